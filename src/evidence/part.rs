use std::borrow::Cow;

/// URI of the hash chain of a batch signature.
pub const SIGNATURE_HASH_CHAIN: &str = "/sig-hashchain.xml";
/// URI of the hash chain result of a batch signature.
pub const SIGNATURE_HASH_CHAIN_RESULT: &str = "/sig-hashchainresult.xml";
/// URI of the hash chain of a batch time-stamp.
pub const TIMESTAMP_HASH_CHAIN: &str = "/ts-hashchain.xml";
/// URI of the hash chain result of a batch time-stamp.
pub const TIMESTAMP_HASH_CHAIN_RESULT: &str = "/ts-hashchainresult.xml";
/// URI of the signature document in a container.
pub const SIGNATURE_DOCUMENT: &str = "/META-INF/signatures.xml";

/// A signed part of a message (`signature.md` 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartName {
    /// The SOAP message or the REST head.
    Message,
    /// An attachment, counted from 1; a REST body is attachment 1.
    Attachment(u32),
}

impl PartName {
    /// The URI in signatures and hash chains: `/message.xml`, `/attachment1`, …
    pub fn uri(self) -> Cow<'static, str> {
        match self {
            Self::Message => Cow::Borrowed("/message.xml"),
            Self::Attachment(1) => Cow::Borrowed("/attachment1"),
            Self::Attachment(number) => Cow::Owned(format!("/attachment{number}")),
        }
    }

    /// The part of a URI; `None` for anything else. Leading zeros are not accepted.
    pub fn from_uri(uri: &str) -> Option<Self> {
        if uri == "/message.xml" {
            return Some(Self::Message);
        }
        let digits = uri.strip_prefix("/attachment")?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        plain.then(|| digits.parse().ok()).flatten().map(Self::Attachment)
    }

    /// The name of the container entry: the URI without its slash.
    pub fn entry_name(self) -> Cow<'static, str> {
        match self.uri() {
            Cow::Borrowed(uri) => Cow::Borrowed(uri.trim_start_matches('/')),
            Cow::Owned(uri) => Cow::Owned(uri.trim_start_matches('/').to_owned()),
        }
    }

    /// The part with this place in transport order: 0 is the message, then the attachments.
    pub fn at(index: usize) -> Self {
        match u32::try_from(index) {
            Ok(0) => Self::Message,
            Ok(number) => Self::Attachment(number),
            Err(_) => Self::Attachment(u32::MAX),
        }
    }
}
