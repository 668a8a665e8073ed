//! A SOAP message over HTTP, from an information system or a service: an envelope, or `multipart/related`.

use bytes::{Bytes, BytesMut};

use super::body::{Sink, Source};
use super::http_failure::http_failure;
use super::incoming::Attachment;
use super::room::Room;
use crate::limits::SOAP_PART_BYTES_MAX;
use crate::message::{ErrorCode, SoapBodyKind, XRoadError, answer_content_type, soap_body_kind};
use crate::transport::{PartHeaders, RelatedEvent, RelatedReader, RelatedWriter};
use crate::worker::HttpError;

/// The envelope and the headers of its part.
#[derive(Debug)]
pub struct SoapBody {
    /// Headers that travel with the SOAP part.
    pub headers: PartHeaders,
    /// The envelope, as it came.
    pub soap: Bytes,
    // Must live as long as the envelope.
    _room: Room,
}

/// Reads the envelope, then the attachments one by one.
pub enum SoapReader {
    /// The body is the envelope.
    Envelope {
        /// Its content type.
        content_type: String,
    },
    /// The body is `multipart/related`.
    Related(RelatedReader, Ended),
}

/// Whether the HTTP body was read to its end.
#[derive(Debug, Default)]
pub struct Ended(bool);

impl SoapReader {
    /// By the `Content-Type` of the HTTP message. Errors: `internal_error`, `invalid_content_type`.
    pub fn new(content_type: Option<&str>) -> Result<Self, XRoadError> {
        match soap_body_kind(content_type)? {
            SoapBodyKind::Envelope => {
                Ok(Self::Envelope { content_type: content_type.unwrap_or_default().to_string() })
            }
            SoapBodyKind::Related { boundary } => {
                Ok(Self::Related(RelatedReader::new(&boundary)?, Ended(false)))
            }
        }
    }

    /// The envelope as a whole. Errors: `missing_soap`, `mime_parsing_failed`, `invalid_soap` when it is too large,
    /// `internal_error` when this server has no room for it.
    pub async fn read_soap(
        &mut self,
        source: &mut impl Source,
        mut room: Room,
    ) -> Result<SoapBody, XRoadError> {
        match self {
            Self::Envelope { content_type } => {
                let soap = read_whole(source, &mut room).await?;
                let headers =
                    PartHeaders { content_type: Some(content_type.clone()), ..PartHeaders::default() };
                Ok(SoapBody { headers, soap, _room: room })
            }
            Self::Related(reader, ended) => loop {
                match reader.next()? {
                    Some(RelatedEvent::Soap { headers, body: soap }) => {
                        return Ok(SoapBody { headers, soap, _room: room });
                    }
                    None if !ended.0 => {
                        room.hold(reader.held())?;
                        pull(reader, ended, source).await?;
                    }
                    _ => {
                        return Err(XRoadError::new(
                            ErrorCode::MissingSoap,
                            "the request has no SOAP message",
                        ));
                    }
                }
            },
        }
    }

    /// The headers of the next attachment, `None` after the last.
    pub async fn next_attachment(
        &mut self,
        source: &mut impl Source,
    ) -> Result<Option<PartHeaders>, XRoadError> {
        let Self::Related(reader, ended) = self else { return Ok(None) };
        match next(reader, ended, source).await? {
            Some(RelatedEvent::AttachmentStart(headers)) => Ok(Some(headers)),
            _ => {
                // What follows the last boundary is not part of the message, but a body that is cut off is no message.
                while !ended.0 && pull(reader, ended, source).await? {}
                Ok(None)
            }
        }
    }

    /// Bytes of the attachment that was begun, `None` at its end.
    pub async fn attachment_data(&mut self, source: &mut impl Source) -> Result<Option<Bytes>, XRoadError> {
        let Self::Related(reader, ended) = self else { return Ok(None) };
        match next(reader, ended, source).await? {
            Some(RelatedEvent::Data(data)) => Ok(Some(data)),
            _ => Ok(None),
        }
    }
}

async fn next(
    reader: &mut RelatedReader,
    ended: &mut Ended,
    source: &mut impl Source,
) -> Result<Option<RelatedEvent>, XRoadError> {
    loop {
        if let Some(event) = reader.next()? {
            return Ok(Some(event));
        }
        if ended.0 {
            return Ok(None);
        }
        pull(reader, ended, source).await?;
    }
}

async fn pull(
    reader: &mut RelatedReader,
    ended: &mut Ended,
    source: &mut impl Source,
) -> Result<bool, XRoadError> {
    match source.next().await.map_err(|error| cut_off(&error))? {
        Some(bytes) => reader.feed(bytes),
        None => {
            reader.finish();
            ended.0 = true;
        }
    }
    Ok(!ended.0)
}

async fn read_whole(source: &mut impl Source, room: &mut Room) -> Result<Bytes, XRoadError> {
    let first = source.next().await.map_err(|error| cut_off(&error))?.unwrap_or_default();
    let mut whole = BytesMut::new();
    while let Some(chunk) = source.next().await.map_err(|error| cut_off(&error))? {
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        if whole.len() + chunk.len() > SOAP_PART_BYTES_MAX {
            let text = format!("the SOAP message is larger than {SOAP_PART_BYTES_MAX} bytes");
            return Err(XRoadError::new(ErrorCode::InvalidSoap, text));
        }
        room.hold(whole.len() + chunk.len())?;
        whole.extend_from_slice(&chunk);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn cut_off(error: &HttpError) -> XRoadError {
    http_failure(error, "reading the SOAP message")
}

/// How a message goes to a client or a service: the envelope alone, or MIME rebuilt with a fresh boundary
/// (`transport.md` 2.5, 6.1).
#[derive(Debug)]
pub struct SoapForm {
    /// `Content-Type` of the HTTP message.
    pub content_type: String,
    boundary: Option<String>,
}

impl SoapForm {
    /// By the sender's own content type; `boundary` is fresh.
    pub fn new(original_content_type: &str, has_attachments: bool, boundary: String) -> Self {
        let content_type = answer_content_type(original_content_type, has_attachments, &boundary);
        let is_mime = content_type.to_ascii_lowercase().starts_with("multipart/");
        Self { content_type, boundary: is_mime.then_some(boundary) }
    }

    /// Writes the body.
    pub async fn write(
        self,
        sink: &mut impl Sink,
        headers: &PartHeaders,
        soap: Bytes,
        attachments: &mut [Attachment],
    ) -> Result<(), HttpError> {
        let Some(boundary) = self.boundary else { return sink.write(soap).await };
        let mut writer = RelatedWriter::new(boundary, !attachments.is_empty());
        let mut framing = BytesMut::new();
        writer.part_start(&mut framing, headers);
        sink.write(framing.split().freeze()).await?;
        sink.write(soap).await?;
        for attachment in attachments {
            writer.part_start(&mut framing, &attachment.headers);
            sink.write(framing.split().freeze()).await?;
            let mut chunks = attachment.body.spool.chunks();
            while let Some(chunk) = chunks.next_chunk()? {
                sink.write(chunk).await?;
            }
        }
        writer.close(&mut framing);
        sink.write(framing.freeze()).await
    }
}
