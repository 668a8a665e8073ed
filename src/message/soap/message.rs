use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::header::SoapHeader;
use super::parser;
use crate::crypto::{DigestAlgorithm, sha512};
use crate::message::{Fault, XRoadError};

/// Base64 of the SHA-512 of the request's SOAP part; attachments are not covered (`transport.md` 3.6).
pub fn soap_request_hash(soap_part: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(sha512(soap_part))
}

/// An envelope: a message or a fault.
#[derive(Debug, Clone)]
pub enum Soap {
    /// A message with X-Road headers.
    Message(Box<SoapMessage>),
    /// A fault.
    Fault(SoapFault),
}

impl Soap {
    /// Reads an envelope. The bytes stay as they are.
    ///
    /// Errors, in the order of `transport.md` 2.3: while reading `invalid_soap` (not well-formed, DOCTYPE, bounds, two
    /// headers, a header that must be understood by the next node), `invalid_xml`, `duplicate_header_field`,
    /// `invalid_protocol_version`, `invalid_body`, `internal_error` (blank identifier field); at the end
    /// `missing_header`, `missing_header_field`, `missing_body`, `invalid_body`, `inconsistent_headers`.
    pub fn parse(bytes: Bytes) -> Result<Self, XRoadError> {
        parser::parse(bytes)
    }
}

/// A fault as it came.
#[derive(Debug, Clone)]
pub struct SoapFault {
    /// The envelope.
    pub bytes: Bytes,
    /// What it says.
    pub fault: Fault,
}

/// A SOAP message: its bytes and what its headers say.
#[derive(Debug, Clone)]
pub struct SoapMessage {
    pub(super) bytes: Bytes,
    // The envelope in UTF-8 when the bytes are in another encoding; the places count in it.
    pub(super) converted: Option<Bytes>,
    pub(super) header: SoapHeader,
    pub(super) body_element: String,
    pub(super) places: Places,
}

/// Where things are in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) id_tag: Range<usize>,
    pub(super) id_name: String,
    pub(super) id_end: usize,
    pub(super) request_hash: Option<Range<usize>>,
    pub(super) header_space: Range<usize>,
    pub(super) body_content: Range<usize>,
}

impl SoapMessage {
    /// The bytes that came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the headers say.
    pub fn header(&self) -> &SoapHeader {
        &self.header
    }

    /// Local name of the element in the body; starts with the service code.
    pub fn body_element(&self) -> &str {
        &self.body_element
    }

    /// The content of the body as text in UTF-8: its element with white space and comments around it. Namespaces that
    /// the envelope declares are not repeated in it.
    pub fn body_content(&self) -> &[u8] {
        self.text().get(self.places.body_content.clone()).unwrap_or_default()
    }

    /// The envelope in UTF-8; the same bytes as [`SoapMessage::bytes`] unless they are in another encoding.
    pub fn text(&self) -> &Bytes {
        self.converted.as_ref().unwrap_or(&self.bytes)
    }

    /// Whether the text had to be converted: then what [`SoapMessage::with_request_hash`] gives is UTF-8 and must be
    /// labelled so.
    pub fn is_converted(&self) -> bool {
        self.converted.is_some()
    }

    /// The response that is signed: `xroad:requestHash` stands right after `xroad:id`, with the prefix and the
    /// attributes of it, after the first white space of the header; an older one is gone; all else is untouched.
    pub fn with_request_hash(&self, request_hash: &str) -> Bytes {
        let text = self.text();
        let places = &self.places;
        let slice = |range: Range<usize>| text.get(range).unwrap_or_default();
        let name_end = places.id_tag.start + 1 + places.id_name.len();
        let attributes = slice(name_end..places.id_tag.end.saturating_sub(1)).trim_ascii_end();
        let prefix = places.id_name.strip_suffix("id").unwrap_or_default();
        let mut out = BytesMut::with_capacity(text.len() + attributes.len() + 300);
        let copy = |out: &mut BytesMut, range: Range<usize>| match &places.request_hash {
            Some(old) if old.start >= range.start && old.end <= range.end => {
                out.put_slice(slice(range.start..old.start));
                out.put_slice(slice(old.end..range.end));
            }
            _ => out.put_slice(slice(range)),
        };
        copy(&mut out, 0..places.id_end);
        out.put_slice(slice(places.header_space.clone()));
        out.put_slice(format!("<{prefix}requestHash").as_bytes());
        out.put_slice(attributes);
        let algorithm = DigestAlgorithm::Sha512.uri();
        out.put_slice(
            format!(" algorithmId=\"{algorithm}\">{request_hash}</{prefix}requestHash>").as_bytes(),
        );
        copy(&mut out, places.id_end..text.len());
        out.freeze()
    }

    /// An envelope like this one with another body content, for answers that the security server makes itself: the
    /// headers are copied. `content` is well-formed, declares its own namespaces and is UTF-8, as the result is.
    pub fn with_body(&self, content: &[u8]) -> Bytes {
        let text = self.text();
        let mut out = BytesMut::with_capacity(text.len() + content.len());
        out.put_slice(text.get(..self.places.body_content.start).unwrap_or_default());
        out.put_slice(content);
        out.put_slice(text.get(self.places.body_content.end..).unwrap_or_default());
        out.freeze()
    }
}
