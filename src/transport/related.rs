use bytes::{BufMut, Bytes, BytesMut};

use super::gather::Gather;
use super::{MimeEvent, Multipart, PartHeaders};
use crate::limits::{ATTACHMENTS_MAX, MIME_DEPTH_MAX, SOAP_PART_BYTES_MAX};
use crate::message::{ContentType, ErrorCode, XRoadError, utf8_to_latin1};

/// What comes out of a `multipart/related` body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelatedEvent {
    /// The first leaf part: the envelope, whole.
    Soap {
        /// Its headers, content type included.
        headers: PartHeaders,
        /// Its bytes, not transfer-decoded.
        body: Bytes,
    },
    /// An attachment begins.
    AttachmentStart(PartHeaders),
    /// Bytes of the attachment as they came, not transfer-decoded.
    Data(Bytes),
    /// The attachment ends.
    AttachmentEnd,
    /// The body ends.
    Finished,
}

/// Push reader of a SOAP message with attachments, from a client or a service (`transport.md` 2.4).
///
/// The first leaf part is the envelope, whatever `start` says; all later leaf parts are attachments, nested multiparts
/// are flattened.
#[derive(Debug)]
pub struct RelatedReader {
    // The outermost first; the last one is being read.
    stack: Vec<Multipart>,
    soap: Option<(PartHeaders, Gather)>,
    has_soap: bool,
    attachments: usize,
}

impl RelatedReader {
    /// A body with this boundary, see [`crate::message::soap_body_kind`].
    pub fn new(boundary: &str) -> Result<Self, XRoadError> {
        let outer = Multipart::new(boundary)?.end_may_be_missing();
        Ok(Self { stack: vec![outer], soap: None, has_soap: false, attachments: 0 })
    }

    /// Bytes of the envelope that is being put together.
    pub fn held(&self) -> usize {
        self.soap.as_ref().map_or(0, |(_, body)| body.len())
    }

    /// Adds bytes of the HTTP body.
    pub fn feed(&mut self, bytes: Bytes) {
        if let Some(outer) = self.stack.first_mut() {
            outer.feed(bytes);
        }
    }

    /// Says that the HTTP body is complete.
    pub fn finish(&mut self) {
        if let Some(outer) = self.stack.first_mut() {
            outer.finish();
        }
    }

    /// The next event; `None` when more input is needed, or after `Finished`.
    ///
    /// Errors: `invalid_content_type` for an envelope of another type or a part without type, `missing_soap`,
    /// `mime_parsing_failed`.
    // Not an iterator: it can give None and later an event.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<RelatedEvent>, XRoadError> {
        // The innermost multipart is drained first; when it needs more, the one around it is asked.
        let mut level = self.stack.len();
        while level > 0 {
            level -= 1;
            let Some(multipart) = self.stack.get_mut(level) else { break };
            let Some(event) = multipart.next()? else { continue };
            if let Some(event) = self.take(level, event)? {
                return Ok(Some(event));
            }
            level = self.stack.len();
        }
        Ok(None)
    }

    fn take(&mut self, level: usize, event: MimeEvent) -> Result<Option<RelatedEvent>, XRoadError> {
        let has_inner = level + 1 < self.stack.len();
        match event {
            MimeEvent::Data(data) if has_inner => {
                if let Some(inner) = self.stack.get_mut(level + 1) {
                    inner.feed(data);
                }
                Ok(None)
            }
            MimeEvent::Data(data) => match &mut self.soap {
                Some((_, body)) if body.len() + data.len() > SOAP_PART_BYTES_MAX => {
                    Err(XRoadError::new(ErrorCode::InvalidSoap, "The SOAP part is too large"))
                }
                Some((_, body)) => {
                    body.push(data);
                    Ok(None)
                }
                None => Ok(Some(RelatedEvent::Data(data))),
            },
            MimeEvent::PartStart(headers) => self.start(headers),
            MimeEvent::PartEnd if has_inner => self.close_inner(level),
            MimeEvent::PartEnd => Ok(Some(match self.soap.take() {
                Some((headers, body)) => RelatedEvent::Soap { headers, body: body.finish() },
                None => RelatedEvent::AttachmentEnd,
            })),
            MimeEvent::Finished if level > 0 => Ok(None),
            MimeEvent::Finished if self.has_soap => Ok(Some(RelatedEvent::Finished)),
            MimeEvent::Finished => {
                Err(XRoadError::new(ErrorCode::MissingSoap, "Multipart body has no SOAP part"))
            }
        }
    }

    // The part that held a multipart has ended, and so has the multipart, even without closing boundary.
    fn close_inner(&mut self, level: usize) -> Result<Option<RelatedEvent>, XRoadError> {
        let is_done = self.stack.last().is_none_or(Multipart::is_finished);
        if is_done {
            self.stack.truncate(level + 1);
            return Ok(None);
        }
        Err(XRoadError::new(ErrorCode::MimeParsingFailed, "A nested multipart body has no end"))
    }

    fn start(&mut self, headers: PartHeaders) -> Result<Option<RelatedEvent>, XRoadError> {
        let refuse = |text: &'static str| XRoadError::new(ErrorCode::InvalidContentType, text);
        let value =
            headers.content_type.as_deref().ok_or_else(|| refuse("A MIME part has no content type"))?;
        let kind = ContentType::parse(value);
        if let Some(kind) =
            kind.as_ref().filter(|kind| kind.base().to_ascii_lowercase().starts_with("multipart/"))
        {
            if self.stack.len() >= MIME_DEPTH_MAX {
                return Err(XRoadError::new(
                    ErrorCode::MimeParsingFailed,
                    "Multipart bodies are nested too deep",
                ));
            }
            let boundary =
                kind.parameter("boundary").ok_or_else(|| refuse("A nested multipart has no boundary"))?;
            self.stack.push(Multipart::new(&boundary)?);
            return Ok(None);
        }
        if !std::mem::replace(&mut self.has_soap, true) {
            if !kind.is_some_and(|kind| kind.is_soap()) {
                return Err(refuse("The first MIME part is not a SOAP message"));
            }
            self.soap = Some((headers, Gather::default()));
            return Ok(None);
        }
        self.attachments += 1;
        if self.attachments > ATTACHMENTS_MAX {
            return Err(XRoadError::new(ErrorCode::InvalidMessage, "Too many attachments"));
        }
        Ok(Some(RelatedEvent::AttachmentStart(headers)))
    }
}

/// Writes a SOAP message as `multipart/related` towards client or service (`transport.md` 2.5, 6.1).
///
/// The boundary must be one that the content cannot hold: a fresh one ([`super::Boundary::related`]).
#[derive(Debug)]
pub struct RelatedWriter {
    boundary: String,
    // Between the header name and its value; official servers differ with and without attachments.
    space: &'static str,
    is_first: bool,
}

impl RelatedWriter {
    /// A body with this boundary.
    pub fn new(boundary: String, has_attachments: bool) -> Self {
        Self { boundary, space: if has_attachments { "" } else { " " }, is_first: true }
    }

    /// Appends the start of the next part: the envelope first, then the attachments; the body follows from the caller.
    pub fn part_start(&mut self, out: &mut BytesMut, headers: &PartHeaders) {
        if !std::mem::take(&mut self.is_first) {
            out.put_slice(b"\r\n");
        }
        let content_type = headers.content_type.as_deref().unwrap_or("text/plain");
        out.put_slice(format!("--{}\r\ncontent-type:{}", self.boundary, self.space).as_bytes());
        out.put_slice(&utf8_to_latin1(content_type));
        out.put_slice(b"\r\n");
        for (name, value) in &headers.fields {
            out.put_slice(name);
            out.put_slice(b": ");
            out.put_slice(value);
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
    }

    /// Appends the end.
    pub fn close(&mut self, out: &mut BytesMut) {
        out.put_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
    }

    /// Bytes that everything but the bodies takes, for a `Content-Length`.
    pub fn framing_len(boundary: &str, has_attachments: bool, parts: &[&PartHeaders]) -> usize {
        let mut writer = Self::new(boundary.to_owned(), has_attachments);
        let mut out = BytesMut::new();
        parts.iter().for_each(|headers| writer.part_start(&mut out, headers));
        writer.close(&mut out);
        out.len()
    }
}
