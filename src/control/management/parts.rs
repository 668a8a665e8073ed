//! A management request as `multipart/related`: the envelope, then what proves it, as raw bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::message::ContentType;
use crate::transport::{RelatedEvent, RelatedReader};

/// Header of a signature part: the JCA name of its algorithm.
pub const SIGNATURE_ALGORITHM: &str = "signature-algorithm-id";
/// Parts after the envelope, as `authCertReg` has them.
const PARTS_MAX: usize = 5;

/// A part after the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryPart {
    /// The JCA name of the algorithm, where the part is a signature.
    pub algorithm: Option<String>,
    /// Its bytes.
    pub bytes: Bytes,
}

impl BinaryPart {
    /// A certificate or OCSP response.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        Self { algorithm: None, bytes: bytes.into() }
    }
}

/// A request and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The envelope: exactly these bytes are signed.
    pub soap: Bytes,
    /// Signatures, certificates, OCSP responses in the order of the protocol.
    pub proofs: Vec<BinaryPart>,
}

impl Parts {
    /// `Content-Type` and body. Without proofs it is the envelope alone.
    pub fn encode(&self, boundary: &str) -> (String, Bytes) {
        if self.proofs.is_empty() {
            return ("text/xml; charset=UTF-8".into(), self.soap.clone());
        }
        let mut body = BytesMut::new();
        body.put_slice(format!("--{boundary}\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n").as_bytes());
        body.put_slice(&self.soap);
        for part in &self.proofs {
            body.put_slice(
                format!("\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n").as_bytes(),
            );
            if let Some(algorithm) = &part.algorithm {
                body.put_slice(format!("{SIGNATURE_ALGORITHM}: {algorithm}\r\n").as_bytes());
            }
            body.put_slice(b"\r\n");
            body.put_slice(&part.bytes);
        }
        body.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let content_type = format!(
            "multipart/related; type=\"application/octet-stream\"; charset=UTF-8; boundary={boundary}"
        );
        (content_type, body.freeze())
    }

    /// Reads a body. Error: a line of text.
    pub fn decode(content_type: &str, body: Bytes) -> Result<Self, String> {
        let parsed = ContentType::parse(content_type).ok_or("the content type cannot be read")?;
        if parsed.is("text/xml") {
            return Ok(Self { soap: body, proofs: Vec::new() });
        }
        let boundary = parsed.parameter("boundary").ok_or("the multipart has no boundary")?;
        let mut reader = RelatedReader::new(&boundary).map_err(|error| error.to_string())?;
        reader.feed(body);
        reader.finish();
        let (mut soap, mut proofs) = (None, Vec::new());
        let mut open: Option<(Option<String>, BytesMut)> = None;
        while let Some(event) = reader.next().map_err(|error| error.to_string())? {
            match event {
                RelatedEvent::Soap { body, .. } => soap = Some(body),
                RelatedEvent::AttachmentStart(headers) => {
                    let named = |(name, _): &&(Bytes, Bytes)| {
                        name.eq_ignore_ascii_case(SIGNATURE_ALGORITHM.as_bytes())
                    };
                    let algorithm = headers.fields.iter().find(named);
                    let algorithm =
                        algorithm.map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned());
                    open = Some((algorithm, BytesMut::new()));
                }
                RelatedEvent::Data(bytes) => {
                    if let Some((_, whole)) = &mut open {
                        whole.put_slice(&bytes);
                    }
                }
                RelatedEvent::AttachmentEnd => {
                    if proofs.len() >= PARTS_MAX {
                        return Err("there are too many parts".into());
                    }
                    let part =
                        open.take().map(|(algorithm, bytes)| BinaryPart { algorithm, bytes: bytes.freeze() });
                    proofs.extend(part);
                }
                RelatedEvent::Finished => break,
            }
        }
        Ok(Self { soap: soap.ok_or("there is no SOAP part")?, proofs })
    }
}
