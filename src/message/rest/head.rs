use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;

use crate::limits::{MIME_HEADERS_MAX, REST_PART_BYTES_MAX};
use crate::message::{ErrorCode, XRoadError};

/// The lines of a message part: two lines, then headers; bytes as they are signed.
#[derive(Debug, Clone)]
pub(super) struct Head {
    part: ByteString,
    first: Range<usize>,
    second: Range<usize>,
    headers: Vec<HeaderLine>,
}

#[derive(Debug, Clone, Copy)]
struct HeaderLine {
    start: usize,
    colon: usize,
    end: usize,
}

impl Head {
    pub(super) fn builder(first: &str, second: &str) -> HeadBuilder {
        let mut part = String::with_capacity(1024);
        part.push_str(first);
        part.push_str("\r\n");
        part.push_str(second);
        part.push_str("\r\n");
        let second = first.len() + 2..first.len() + 2 + second.len();
        HeadBuilder { part, first: 0..first.len(), second, headers: Vec::with_capacity(16) }
    }

    /// Reads a part in its one canonical form: UTF-8, every line ended by CRLF, no control byte but tab,
    /// headers as `token ":" value`.
    pub(super) fn parse(part: Bytes) -> Result<Self, XRoadError> {
        let refuse = |text: &'static str| XRoadError::new(ErrorCode::InternalError, text);
        if part.len() > REST_PART_BYTES_MAX {
            return Err(refuse("The REST message part is too large"));
        }
        let part = ByteString::try_from(part).map_err(|_| refuse("The REST message part is not UTF-8"))?;
        let bytes = part.as_bytes();
        let mut lines = Vec::with_capacity(16);
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = memchr::memchr(b'\r', rest);
            let length = length.ok_or_else(|| refuse("A line of the REST message part has no end"))?;
            let line = rest.get(..length).unwrap_or_default();
            if rest.get(length + 1) != Some(&b'\n') || has_control(line) {
                return Err(refuse("A control character in the REST message part"));
            }
            if lines.len() > MIME_HEADERS_MAX {
                return Err(refuse("Too many headers in the REST message part"));
            }
            lines.push(at..at + length);
            at += length + 2;
        }
        let mut lines = lines.into_iter();
        let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
            return Err(refuse("The REST message part has less than two lines"));
        };
        let mut headers = Vec::with_capacity(lines.len());
        for line in lines {
            let bytes = bytes.get(line.clone()).unwrap_or_default();
            let colon = memchr::memchr(b':', bytes).ok_or_else(|| refuse("A header without a colon"))?;
            if !bytes.get(..colon).is_some_and(is_token) {
                return Err(refuse("A header name that is not a token"));
            }
            headers.push(HeaderLine { start: line.start, colon: line.start + colon, end: line.end });
        }
        Ok(Self { part, first, second, headers })
    }

    pub(super) fn part(&self) -> &Bytes {
        self.part.as_bytes()
    }

    pub(super) fn first(&self) -> &str {
        self.text(self.first.clone())
    }

    pub(super) fn second(&self) -> &str {
        self.text(self.second.clone())
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.headers
            .iter()
            .map(|line| (self.text(line.start..line.colon), self.text(line.colon + 1..line.end)))
    }

    /// The values of a header, name without case, in order.
    pub(super) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        let is_it = move |line: &&HeaderLine| {
            line.colon - line.start == name.len()
                && self.text(line.start..line.colon).eq_ignore_ascii_case(name)
        };
        self.headers.iter().filter(is_it).map(|line| self.text(line.colon + 1..line.end))
    }

    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.values(name).next_back()
    }

    /// The last value of a header whose name is compared exactly.
    pub(super) fn last_exactly(&self, name: &str) -> Option<&str> {
        let is_it = |line: &&HeaderLine| self.text(line.start..line.colon) == name;
        self.headers.iter().rfind(is_it).map(|line| self.text(line.colon + 1..line.end))
    }

    fn text(&self, range: Range<usize>) -> &str {
        self.part.get(range).unwrap_or_default()
    }
}

pub(super) struct HeadBuilder {
    part: String,
    first: Range<usize>,
    second: Range<usize>,
    headers: Vec<HeaderLine>,
}

impl HeadBuilder {
    /// Appends a header; the caller has seen to it that neither text breaks the line.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        let start = self.part.len();
        self.part.push_str(name);
        self.part.push(':');
        self.part.push_str(value);
        self.headers.push(HeaderLine { start, colon: start + name.len(), end: self.part.len() });
        self.part.push_str("\r\n");
    }

    pub(super) fn finish(self) -> Head {
        Head { part: self.part.into(), first: self.first, second: self.second, headers: self.headers }
    }
}

/// An RFC 9110 token.
pub(super) fn is_token(name: &[u8]) -> bool {
    let is_tchar = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            )
            || matches!(byte, b'`' | b'|' | b'~')
    };
    !name.is_empty() && name.iter().all(is_tchar)
}

/// Whether bytes of a header value may stand in a line: no control but tab.
pub(super) fn is_header_value(value: &[u8]) -> bool {
    !has_control(value)
}

// Without an early end, so that it becomes vector instructions.
fn has_control(line: &[u8]) -> bool {
    line.iter().fold(false, |found, byte| found | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f))
}
