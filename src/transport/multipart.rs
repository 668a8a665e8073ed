use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::delimiter::{DelimiterSearch, Found};
use crate::limits::{
    MIME_BOUNDARY_BYTES_MAX, MIME_HEADER_BYTES_MAX, MIME_HEADER_LINE_BYTES_MAX, MIME_HEADERS_MAX,
    MIME_PART_HEADERS_BYTES_MAX,
};
use crate::message::{ErrorCode, XRoadError, latin1_to_utf8};

/// The headers of one part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartHeaders {
    /// `Content-Type`, read as ISO-8859-1; `None` when the part has none.
    pub content_type: Option<String>,
    /// The others: names and values as bytes, folded lines joined, in order; of equal names the last value.
    pub fields: Vec<(Bytes, Bytes)>,
}

/// What comes out of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MimeEvent {
    /// A part begins.
    PartStart(PartHeaders),
    /// Bytes of the part, slices of what was fed.
    Data(Bytes),
    /// The part ends.
    PartEnd,
    /// The multipart body ends.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Preamble,
    Headers,
    Body,
    // A part has ended, its end was not yet told.
    PartDone { last: bool },
    Epilogue,
    Finished,
}

/// Push reader of a multipart body: bytes in, events out, in whatever pieces they come.
///
/// Line ends may be LF alone. Preamble and epilogue are skipped. Nothing is decoded.
#[derive(Debug)]
pub struct Multipart {
    search: DelimiterSearch,
    input: VecDeque<Bytes>,
    place: Place,
    headers: HeaderReader,
    end_of_input: bool,
    end_may_be_missing: bool,
    failure: Option<XRoadError>,
}

impl Multipart {
    /// A body with this boundary. Error: `invalid_content_type` for a boundary that RFC 2046 does not allow.
    pub fn new(boundary: &str) -> Result<Self, XRoadError> {
        let legal = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        let length = boundary.len();
        if length == 0
            || length > MIME_BOUNDARY_BYTES_MAX
            || !boundary.bytes().all(legal)
            || boundary.ends_with(' ')
        {
            return Err(XRoadError::new(ErrorCode::InvalidContentType, "Invalid multipart boundary"));
        }
        Ok(Self {
            search: DelimiterSearch::new(boundary),
            input: VecDeque::new(),
            place: Place::Preamble,
            headers: HeaderReader::default(),
            end_of_input: false,
            end_may_be_missing: false,
            failure: None,
        })
    }

    /// Lets the last part end with the input, as clients and services sometimes do.
    pub fn end_may_be_missing(mut self) -> Self {
        self.end_may_be_missing = true;
        self
    }

    /// Adds input.
    pub fn feed(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !matches!(self.place, Place::Epilogue | Place::Finished) {
            self.input.push_back(bytes);
        }
    }

    /// Says that there is no more input.
    pub fn finish(&mut self) {
        self.end_of_input = true;
    }

    /// Whether the closing boundary was seen and told.
    pub fn is_finished(&self) -> bool {
        self.place == Place::Finished
    }

    /// The next event; `None` when more input is needed, or after the end. Errors: `mime_parsing_failed` for headers
    /// that break a rule or a bound, `io_error` when the input ends before the closing boundary.
    // Not an iterator: it can give None and later an event.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<MimeEvent>, XRoadError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = self.step();
        if let Err(error) = &result {
            self.failure = Some(error.clone());
        }
        result
    }

    fn step(&mut self) -> Result<Option<MimeEvent>, XRoadError> {
        loop {
            match self.place {
                Place::Finished => return Ok(None),
                Place::Epilogue => {
                    self.input.clear();
                    self.place = Place::Finished;
                    return Ok(Some(MimeEvent::Finished));
                }
                Place::PartDone { last } => {
                    self.place = if last { Place::Epilogue } else { Place::Headers };
                    return Ok(Some(MimeEvent::PartEnd));
                }
                Place::Preamble | Place::Headers | Place::Body => {}
            }
            let Some(input) = self.input.front_mut() else { return self.at_end_of_input() };
            if input.is_empty() {
                self.input.pop_front();
                continue;
            }
            if self.place == Place::Headers {
                if let Some(headers) = self.headers.read(input)? {
                    self.search.restart();
                    self.place = Place::Body;
                    return Ok(Some(MimeEvent::PartStart(headers)));
                }
                continue;
            }
            let in_body = self.place == Place::Body;
            match self.search.next(input) {
                Found::Content(data) if in_body => return Ok(Some(MimeEvent::Data(data))),
                Found::Content(_) | Found::Nothing => {}
                Found::Delimiter { close: last } if in_body => self.place = Place::PartDone { last },
                Found::Delimiter { close: true } => self.place = Place::Epilogue,
                Found::Delimiter { close: false } => self.place = Place::Headers,
            }
        }
    }

    fn at_end_of_input(&mut self) -> Result<Option<MimeEvent>, XRoadError> {
        if !self.end_of_input {
            return Ok(None);
        }
        if !self.end_may_be_missing || self.place == Place::Headers {
            return Err(XRoadError::new(
                ErrorCode::IoError,
                "Multipart body ends before its closing boundary",
            ));
        }
        if self.place == Place::Preamble {
            self.place = Place::Finished;
            return Ok(Some(MimeEvent::Finished));
        }
        let held = self.search.take_held();
        if !held.is_empty() {
            return Ok(Some(MimeEvent::Data(held)));
        }
        self.place = Place::PartDone { last: true };
        self.step()
    }
}

/// Reads the header lines of a part.
#[derive(Debug, Default)]
struct HeaderReader {
    // A line whose end has not come yet.
    line: BytesMut,
    // The field that the last lines make up.
    field: Vec<u8>,
    headers: PartHeaders,
    total: usize,
}

impl HeaderReader {
    /// Takes lines from the front of `input`; gives the headers when the empty line was met.
    fn read(&mut self, input: &mut Bytes) -> Result<Option<PartHeaders>, XRoadError> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            let piece = input.split_to(end + 1);
            let line = if self.line.is_empty() {
                piece
            } else {
                self.line.extend_from_slice(&piece);
                self.line.split().freeze()
            };
            let line = line.get(..line.len() - 1).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                self.end_field()?;
                self.total = 0;
                return Ok(Some(std::mem::take(&mut self.headers)));
            }
            self.take_line(line)?;
        }
        self.line.extend_from_slice(input);
        input.clear();
        if self.line.len() > MIME_HEADER_LINE_BYTES_MAX + 1 {
            return Err(refuse("MIME header line is too long"));
        }
        Ok(None)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), XRoadError> {
        self.total += line.len();
        if line.len() > MIME_HEADER_LINE_BYTES_MAX {
            return Err(refuse("MIME header line is too long"));
        }
        if self.total > MIME_PART_HEADERS_BYTES_MAX {
            return Err(refuse("MIME part has too many header bytes"));
        }
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(refuse("MIME header has a control character"));
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            self.end_field()?;
        } else if self.field.is_empty() {
            return Err(refuse("MIME headers begin with a folded line"));
        }
        self.field.extend_from_slice(line);
        if self.field.len() > MIME_HEADER_BYTES_MAX {
            return Err(refuse("MIME header is too long"));
        }
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), XRoadError> {
        if self.field.is_empty() {
            return Ok(());
        }
        let mut field = std::mem::take(&mut self.field);
        let ended = self.take_field(&field);
        // Its memory is for the next one.
        field.clear();
        self.field = field;
        ended
    }

    fn take_field(&mut self, field: &[u8]) -> Result<(), XRoadError> {
        let colon = memchr::memchr(b':', field).ok_or_else(|| refuse("MIME header without a colon"))?;
        let (name, value) = field.split_at(colon);
        let (name, value) = (name.trim_ascii_end(), value.get(1..).unwrap_or_default().trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("MIME header name is not a token"));
        }
        // Whoever gets the part from here gets the field in one line, and must be able to take it.
        if name.len() + b": ".len() + value.len() > MIME_HEADER_LINE_BYTES_MAX {
            return Err(refuse("MIME header is too long without its folding"));
        }
        if name.eq_ignore_ascii_case(b"content-type") {
            if self.headers.content_type.is_some() {
                return Err(refuse("MIME part has two content types"));
            }
            self.headers.content_type = Some(latin1_to_utf8(value).into_owned());
            return Ok(());
        }
        let value = Bytes::copy_from_slice(value);
        if let Some((_, known)) = self.headers.fields.iter_mut().find(|(known, _)| known == name) {
            *known = value;
            return Ok(());
        }
        if self.headers.fields.len() >= MIME_HEADERS_MAX {
            return Err(refuse("MIME part has too many headers"));
        }
        self.headers.fields.push((Bytes::copy_from_slice(name), value));
        Ok(())
    }
}

fn refuse(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::MimeParsingFailed, text)
}
