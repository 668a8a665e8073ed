use bytes::Bytes;

use super::gather::Gather;
use super::{Event, MimeEvent, Multipart, Part, PartHeaders, PartKind, StreamedKind};
use crate::limits;
use crate::message::{ContentType, ErrorCode, XRoadError};

/// Where in the order of parts the message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// OCSP responses may come, the message must.
    Message,
    /// After a SOAP part: attachments, or what follows them.
    Attachments,
    /// After a REST part: a body, or what follows it.
    Body,
    /// Hash chain result, hash chain, or the signature.
    HashChainResult,
    /// Hash chain or the signature.
    HashChain,
    /// The signature.
    Signature,
    /// Nothing more.
    End,
}

/// Push reader of a transport message, on both sides (`transport.md` 3.4).
///
/// Small parts come whole, bodies and attachments as slices of what was fed. The order of parts is enforced;
/// whether what must be there is there (message, signature) is for the caller to say when `Finished` comes.
#[derive(Debug)]
pub struct Decoder {
    outer: Multipart,
    nested: Option<Multipart>,
    stage: Stage,
    whole: Option<Collector>,
    ocsp_responses: usize,
    attachments: usize,
}

impl Decoder {
    /// A message with this `Content-Type`. Error: `invalid_content_type` unless it is `multipart/mixed` with a boundary.
    pub fn new(content_type: &str) -> Result<Self, XRoadError> {
        let refuse = || {
            XRoadError::new(ErrorCode::InvalidContentType, format!("Invalid content type: {content_type}"))
        };
        let kind =
            ContentType::parse(content_type).filter(|kind| kind.is("multipart/mixed")).ok_or_else(refuse)?;
        let boundary = kind.only_parameter("boundary").ok_or_else(refuse)?;
        Ok(Self {
            outer: Multipart::new(&boundary)?,
            nested: None,
            stage: Stage::Message,
            whole: None,
            ocsp_responses: 0,
            attachments: 0,
        })
    }

    /// Bytes of the whole part that is being put together.
    pub fn held(&self) -> usize {
        self.whole.as_ref().map_or(0, |whole| whole.body.len())
    }

    /// Adds bytes of the HTTP body.
    pub fn feed(&mut self, bytes: Bytes) {
        self.outer.feed(bytes);
    }

    /// Says that the HTTP body is complete.
    pub fn finish(&mut self) {
        self.outer.finish();
    }

    /// The next event; `None` when more input is needed, or after `Finished`.
    ///
    /// Errors: `invalid_content_type` for a part that may not stand there, `invalid_message` for one after the
    /// signature, `mime_parsing_failed`, `io_error` for a message that is cut off.
    // Not an iterator: it can give None and later an event.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>, XRoadError> {
        loop {
            if let Some(nested) = &mut self.nested
                && let Some(event) = nested.next()?
            {
                match self.attachment_event(event)? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            let Some(event) = self.outer.next()? else { return Ok(None) };
            match event {
                MimeEvent::PartStart(headers) => {
                    if let Some(event) = self.start(headers)? {
                        return Ok(Some(event));
                    }
                }
                MimeEvent::Data(data) => match (&mut self.whole, &mut self.nested) {
                    (Some(whole), _) => whole.push(data)?,
                    (None, Some(nested)) => nested.feed(data),
                    (None, None) => return Ok(Some(Event::Data(data))),
                },
                MimeEvent::PartEnd => {
                    if let Some(whole) = self.whole.take() {
                        return Ok(Some(Event::Part(whole.finish())));
                    }
                    match self.nested.take() {
                        None => return Ok(Some(Event::End)),
                        Some(nested) if nested.is_finished() && self.attachments > 0 => {}
                        Some(_) => {
                            return Err(XRoadError::new(
                                ErrorCode::MimeParsingFailed,
                                "Attachments without end, or none at all",
                            ));
                        }
                    }
                }
                MimeEvent::Finished => return Ok(Some(Event::Finished)),
            }
        }
    }

    fn attachment_event(&mut self, event: MimeEvent) -> Result<Option<Event>, XRoadError> {
        Ok(match event {
            MimeEvent::PartStart(headers) => {
                self.attachments += 1;
                if self.attachments > limits::ATTACHMENTS_MAX {
                    return Err(XRoadError::new(ErrorCode::InvalidMessage, "Too many attachments"));
                }
                Some(Event::Start { kind: StreamedKind::Attachment(self.attachments), headers })
            }
            MimeEvent::Data(data) => Some(Event::Data(data)),
            MimeEvent::PartEnd => Some(Event::End),
            MimeEvent::Finished => None,
        })
    }

    fn start(&mut self, headers: PartHeaders) -> Result<Option<Event>, XRoadError> {
        let value = headers.content_type.as_deref().unwrap_or("text/plain");
        let kind = ContentType::parse(value);
        let is = |base: &str| kind.as_ref().is_some_and(|kind| kind.is(base));
        let is_soap = kind.as_ref().is_some_and(ContentType::is_soap);
        let (stage, part) = match self.stage {
            Stage::End => {
                return Err(XRoadError::new(ErrorCode::InvalidMessage, "Extra content after the signature"));
            }
            Stage::Message if is("application/ocsp-response") => {
                self.ocsp_responses += 1;
                if self.ocsp_responses > limits::OCSP_PARTS_MAX {
                    return Err(XRoadError::new(ErrorCode::InvalidMessage, "Too many OCSP responses"));
                }
                (Stage::Message, PartKind::OcspResponse)
            }
            Stage::Message if is("application/x-road-rest-request") => (Stage::Body, PartKind::RestRequest),
            Stage::Message if is("application/x-road-rest-response") => (Stage::Body, PartKind::RestResponse),
            Stage::Message if is_soap => (Stage::Attachments, PartKind::Soap),
            Stage::Attachments if is("multipart/mixed") => {
                let boundary = kind.as_ref().and_then(|kind| kind.parameter("boundary"));
                let boundary = boundary.ok_or_else(|| self.unexpected(value))?;
                self.nested = Some(Multipart::new(&boundary)?);
                self.stage = Stage::HashChainResult;
                return Ok(None);
            }
            Stage::Body if is("application/x-road-rest-body") => {
                self.stage = Stage::HashChainResult;
                return Ok(Some(Event::Start { kind: StreamedKind::RestBody, headers }));
            }
            Stage::Attachments | Stage::Body | Stage::HashChainResult
                if is("application/hash-chain-result") =>
            {
                (Stage::HashChain, PartKind::HashChainResult)
            }
            Stage::Attachments | Stage::Body | Stage::HashChainResult | Stage::HashChain
                if is("application/hash-chain") =>
            {
                (Stage::Signature, PartKind::HashChain)
            }
            Stage::Message => return Err(self.unexpected(value)),
            _ if is("signature/bdoc-1.0/ts") => (Stage::End, PartKind::Signature),
            _ if is("text/xml") => (Stage::End, PartKind::Fault),
            _ => return Err(self.unexpected(value)),
        };
        self.stage = stage;
        self.whole = Some(Collector::new(part, headers));
        Ok(None)
    }

    fn unexpected(&self, value: &str) -> XRoadError {
        XRoadError::new(ErrorCode::InvalidContentType, format!("Unexpected content type of a part: {value}"))
    }
}

/// A whole part while it comes.
#[derive(Debug)]
struct Collector {
    kind: PartKind,
    headers: PartHeaders,
    body: Gather,
    limit: usize,
}

impl Collector {
    fn new(kind: PartKind, headers: PartHeaders) -> Self {
        let limit = match kind {
            PartKind::OcspResponse => limits::OCSP_RESPONSE_BYTES_MAX,
            PartKind::Soap => limits::SOAP_PART_BYTES_MAX,
            PartKind::RestRequest | PartKind::RestResponse => limits::REST_PART_BYTES_MAX,
            PartKind::HashChainResult | PartKind::HashChain => limits::HASH_CHAIN_BYTES_MAX,
            PartKind::Signature => limits::SIGNATURE_BYTES_MAX,
            PartKind::Fault => limits::FAULT_BYTES_MAX,
        };
        Self { kind, headers, body: Gather::default(), limit }
    }

    fn push(&mut self, data: Bytes) -> Result<(), XRoadError> {
        if self.body.len() + data.len() > self.limit {
            return Err(XRoadError::new(
                ErrorCode::InvalidMessage,
                format!("{:?} part is too large", self.kind),
            ));
        }
        self.body.push(data);
        Ok(())
    }

    fn finish(self) -> Part {
        Part { kind: self.kind, headers: self.headers, body: self.body.finish() }
    }
}
