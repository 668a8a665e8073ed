//! Heads of requests and responses: finding their end, parsing, body framing.

use bytes::Bytes;
use memchr::memchr;

use super::output::bodiless;
use super::{BodyFraming, destination};
use crate::limits::HTTP_HEADERS_MAX;
use crate::worker::error::HttpError;

/// No header fields, with a type that `respond` and `send_request` accept.
pub const NO_HEADERS: &[(&str, &str)] = &[];

/// Protocol version of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// Head of a request, raw: nothing is decoded, order and case are kept.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// Method as sent.
    pub method: Bytes,
    /// Request target as sent (path and query, percent-encoded; ASCII without controls and blanks).
    pub target: Bytes,
    /// Protocol version.
    pub version: Version,
    /// Header fields in order; values without surrounding blanks.
    pub headers: Vec<(Bytes, Bytes)>,
}

/// Head of a response, raw.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// Protocol version.
    pub version: Version,
    /// Status code, 200 to 999 (interim answers are skipped).
    pub status: u16,
    /// Reason phrase, maybe empty.
    pub reason: Bytes,
    /// Header fields in order; values without surrounding blanks.
    pub headers: Vec<(Bytes, Bytes)>,
}

/// First value of a header field; names compare case-insensitively.
pub fn header<'h>(headers: &'h [(Bytes, Bytes)], name: &str) -> Option<&'h Bytes> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
}

/// All values of a header field in order.
pub fn header_values<'h>(
    headers: &'h [(Bytes, Bytes)],
    name: &'h str,
) -> impl Iterator<Item = &'h Bytes> + 'h {
    headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
}

impl RequestHead {
    /// First value of a header field.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        header(&self.headers, name)
    }
}

impl ResponseHead {
    /// First value of a header field.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        header(&self.headers, name)
    }
}

/// Finds the end of a head without looking at a byte twice, however slowly it arrives.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl HeadScanner {
    /// Length of the head including its empty line, once it is there.
    ///
    /// Errors: line ends other than CRLF, folded lines, a head above `limit` (414 while the first line is open).
    pub(crate) fn scan(&mut self, input: &[u8], limit: usize) -> Result<Option<usize>, HttpError> {
        while let Some(found) = memchr(b'\n', input.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned + found;
            if end >= limit {
                return Err(self.too_large());
            }
            let line = input.get(self.line_start..end).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(bad("bare LF in a head"));
            };
            (self.scanned, self.line_start) = (end + 1, end + 1);
            match (line.is_empty(), self.lines) {
                (true, 0) => return Err(bad("empty line where a message begins")),
                (true, _) => return Ok(Some(end + 1)),
                (false, _) => {}
            }
            if self.lines > 0 && matches!(line.first(), Some(b' ' | b'\t')) {
                return Err(bad("folded header line"));
            }
            self.lines += 1;
        }
        self.scanned = input.len();
        if input.len() >= limit { Err(self.too_large()) } else { Ok(None) }
    }

    fn too_large(&self) -> HttpError {
        match self.lines {
            0 => HttpError::Malformed { status: 414, reason: "request line too long" },
            _ => HttpError::Malformed { status: 431, reason: "header fields too large" },
        }
    }
}

/// Parses a complete request head.
pub(crate) fn parse_request(head: &Bytes) -> Result<RequestHead, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    complete(request.parse(head))?;
    let version = version(request.version)?;
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("request target is not ascii"));
    }
    let headers = owned(head, request.headers);
    if let Some(fault) = destination::fault(method, target, version, &headers) {
        return Err(bad(fault));
    }
    let (method, target) = (head.slice_ref(method.as_bytes()), head.slice_ref(target.as_bytes()));
    Ok(RequestHead { method, target, version, headers })
}

/// Parses a complete response head.
pub(crate) fn parse_response(head: &Bytes) -> Result<ResponseHead, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    complete(response.parse(head))?;
    let version = version(response.version)?;
    let status = response.code.filter(|code| (100..=999).contains(code)).ok_or_else(|| bad("bad status"))?;
    // httparse gives an empty reason where it holds bytes that are no ASCII.
    let reason = response.reason.filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| head.slice_ref(reason.as_bytes())).unwrap_or_default();
    Ok(ResponseHead { version, status, reason, headers: owned(head, response.headers) })
}

/// Framing of a request's body (RFC 9112 6.3), refusing everything that two parsers could read differently.
pub(crate) fn request_body(head: &RequestHead) -> Result<BodyFraming, HttpError> {
    if head.version == Version::Http10 && head.header("transfer-encoding").is_some() {
        return Err(bad("transfer encoding in http/1.0"));
    }
    Ok(declared(&head.headers)?.unwrap_or(BodyFraming::None))
}

/// Framing of a response's body to a request with this method.
pub(crate) fn response_body(head: &ResponseHead, method_was_head: bool) -> Result<BodyFraming, HttpError> {
    let declared = declared(&head.headers)?;
    if method_was_head || bodiless(head.status) {
        return Ok(BodyFraming::None);
    }
    Ok(declared.unwrap_or(BodyFraming::UntilClose))
}

fn declared(headers: &[(Bytes, Bytes)]) -> Result<Option<BodyFraming>, HttpError> {
    let mut encodings = header_values(headers, "transfer-encoding");
    let encoding = encodings.next();
    let mut lengths = header_values(headers, "content-length");
    let length = lengths.next();
    match (encoding, length) {
        (Some(_), Some(_)) => Err(bad("content length together with transfer encoding")),
        (Some(encoding), None) if encodings.next().is_none() && encoding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Some(BodyFraming::Chunked))
        }
        (Some(_), None) => Err(HttpError::Malformed { status: 501, reason: "unknown transfer encoding" }),
        (None, Some(length)) if lengths.all(|other| other == length) => {
            let digits = (1..=18).contains(&length.len()) && length.iter().all(u8::is_ascii_digit);
            let value =
                std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
            value.map(|value| Some(BodyFraming::Length(value))).ok_or_else(|| bad("bad content length"))
        }
        (None, Some(_)) => Err(bad("content lengths differ")),
        (None, None) => Ok(None),
    }
}

fn version(minor: Option<u8>) -> Result<Version, HttpError> {
    match minor {
        Some(0) => Ok(Version::Http10),
        Some(1) => Ok(Version::Http11),
        _ => Err(HttpError::Malformed { status: 505, reason: "unknown http version" }),
    }
}

fn owned(head: &Bytes, fields: &[httparse::Header<'_>]) -> Vec<(Bytes, Bytes)> {
    let slice = |part: &[u8]| if part.is_empty() { Bytes::new() } else { head.slice_ref(part) };
    fields.iter().map(|field| (slice(field.name.as_bytes()), slice(field.value))).collect()
}

fn complete(parsed: httparse::Result<usize>) -> Result<(), HttpError> {
    match parsed {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(bad("malformed head")),
        Err(error) => Err(syntax(error)),
    }
}

fn syntax(error: httparse::Error) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => {
            HttpError::Malformed { status: 431, reason: "too many header fields" }
        }
        httparse::Error::Version => HttpError::Malformed { status: 505, reason: "unknown http version" },
        _ => bad("malformed head"),
    }
}

fn bad(reason: &'static str) -> HttpError {
    HttpError::Malformed { status: 400, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"POST /r1/a?b=%20|\"{} HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nx-Utf8: \xc3\xb5  \r\n\r\nbody";

    #[test]
    fn the_end_of_a_head_is_found_however_it_arrives() {
        for step in 1..HEAD.len() {
            let mut scanner = HeadScanner::default();
            let found = (step..HEAD.len() + step)
                .step_by(step)
                .find_map(|length| scanner.scan(&HEAD[..length.min(HEAD.len())], 8192).unwrap());
            assert_eq!(found, Some(HEAD.len() - 4));
        }
    }

    #[test]
    fn a_head_is_kept_raw() {
        let head = parse_request(&Bytes::from_static(&HEAD[..HEAD.len() - 4])).unwrap();
        assert_eq!(head.target, "/r1/a?b=%20|\"{}");
        assert_eq!(head.headers[1], (Bytes::from_static(b"X-Empty"), Bytes::new()));
        assert_eq!(head.header("X-UTF8").unwrap(), "\u{f5}");
    }

    #[test]
    fn no_altered_head_causes_more_than_an_error() {
        let head = &HEAD[..HEAD.len() - 4];
        for at in 0..head.len() {
            for byte in 0..=255 {
                let mut altered = head.to_vec();
                altered[at] = byte;
                if let Ok(Some(length)) = HeadScanner::default().scan(&altered, 8192) {
                    let altered = Bytes::from(altered).split_to(length);
                    let _ = parse_request(&altered).map(|head| request_body(&head));
                    let _ = parse_response(&altered).map(|head| response_body(&head, false));
                }
            }
        }
    }
}
