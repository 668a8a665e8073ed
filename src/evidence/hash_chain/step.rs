use crate::crypto::{Digest, DigestAlgorithm, Hasher, der};

/// The values of one hash step, which is the digest of their DER encoding (`signature.md` 2.3).
///
/// `SEQUENCE OF SEQUENCE { value OCTET STRING, method UTF8String, transforms SEQUENCE {} }`, the method being
/// the XML URI as text.
#[derive(Debug, Default)]
pub struct DigestList {
    body: Vec<u8>,
}

impl DigestList {
    /// An empty list with room for `items` digests.
    pub fn with_capacity(items: usize) -> Self {
        Self { body: Vec::with_capacity(items * 128) }
    }

    /// Appends a digest.
    pub fn push(&mut self, digest: &Digest) {
        self.push_value(digest.algorithm(), digest.as_ref());
    }

    /// Appends a value that was made, or is said to have been made, with `method`.
    pub fn push_value(&mut self, method: DigestAlgorithm, value: &[u8]) {
        let uri = method.uri().as_bytes();
        let (value_head, uri_head) =
            (Head::new(der::OCTET_STRING, value.len()), Head::new(UTF8_STRING, uri.len()));
        let length = value_head.len() + value.len() + uri_head.len() + uri.len() + NO_TRANSFORMS.len();
        let body = &mut self.body;
        body.extend_from_slice(Head::new(der::SEQUENCE, length).bytes());
        body.extend_from_slice(value_head.bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(uri_head.bytes());
        body.extend_from_slice(uri);
        body.extend_from_slice(&NO_TRANSFORMS);
    }

    /// The step value, and the list empty again.
    pub fn digest(&mut self, algorithm: DigestAlgorithm) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(Head::new(der::SEQUENCE, self.body.len()).bytes());
        hasher.update(&self.body);
        self.body.clear();
        hasher.finish()
    }

    /// The DER encoding.
    pub fn to_der(&self) -> Vec<u8> {
        der::write(der::SEQUENCE, &self.body)
    }
}

const UTF8_STRING: u8 = 0x0c;
const NO_TRANSFORMS: [u8; 2] = [der::SEQUENCE, 0];

// Tag and length of a DER element, without allocation.
struct Head {
    bytes: [u8; 6],
    used: usize,
}

impl Head {
    fn new(tag: u8, length: usize) -> Self {
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let (bytes, used) = match length {
            0..=0x7f => ([tag, d, 0, 0, 0, 0], 2),
            0x80..=0xff => ([tag, 0x81, d, 0, 0, 0], 3),
            0x100..=0xffff => ([tag, 0x82, c, d, 0, 0], 4),
            0x1_0000..=0xff_ffff => ([tag, 0x83, b, c, d, 0], 5),
            _ => ([tag, 0x84, a, b, c, d], 6),
        };
        Self { bytes, used }
    }

    fn len(&self) -> usize {
        self.used
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}
