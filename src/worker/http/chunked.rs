//! Decoder of `Transfer-Encoding: chunked` (RFC 9112 7.1), strict: CRLF only, no sizes with signs or blanks.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::body::Decoded;
use crate::limits::{HTTP_CHUNK_LINE_BYTES_MAX, HTTP_TRAILER_BYTES_MAX};
use crate::worker::error::HttpError;

// A body of 2^60 bytes is none.
const SIZE_DIGITS_MAX: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailer(usize),
    End,
}

/// State between two chunks of input.
#[derive(Debug)]
pub(super) struct ChunkedDecoder(State);

impl ChunkedDecoder {
    pub(super) fn new() -> Self {
        Self(State::Size)
    }

    /// Takes what belongs to the body from the front of bytes that stay where they are; `None` where a line is due.
    pub(super) fn take(&mut self, input: &mut Bytes) -> Option<Bytes> {
        let State::Data(left) = self.0 else { return None };
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let left = left - taken as u64;
        self.0 = if left == 0 { State::DataEnd } else { State::Data(left) };
        Some(input.split_to(taken))
    }

    /// Takes what it can from the front of `input`; data comes as slices of it.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, HttpError> {
        loop {
            match self.0 {
                State::Size => {
                    let Some(line) = line(input, HTTP_CHUNK_LINE_BYTES_MAX)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    self.0 = match size(&line)? {
                        0 => State::Trailer(0),
                        size => State::Data(size),
                    };
                }
                State::Data(_) if input.is_empty() => return Ok(Decoded::NeedMore),
                State::Data(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - taken as u64;
                    self.0 = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Decoded::Data(input.split_to(taken).freeze()));
                }
                State::DataEnd => match (input.first(), input.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        input.advance(2);
                        self.0 = State::Size;
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(Decoded::NeedMore),
                    _ => return Err(bad("chunk does not end with CRLF")),
                },
                State::Trailer(before) => {
                    let Some(line) = line(input, HTTP_TRAILER_BYTES_MAX - before)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    if line.is_empty() {
                        self.0 = State::End;
                        continue;
                    }
                    let colon = memchr(b':', &line).ok_or_else(|| bad("trailer without colon"))?;
                    if colon == 0 || line.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7F) {
                        return Err(bad("malformed trailer"));
                    }
                    self.0 = State::Trailer(before + line.len() + 2);
                }
                State::End => return Ok(Decoded::End),
            }
        }
    }
}

// The next line without its CRLF.
fn line(input: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, HttpError> {
    let Some(end) = memchr(b'\n', input) else {
        return if input.len() > limit { Err(bad("line of a chunk is too long")) } else { Ok(None) };
    };
    if end + 1 > limit {
        return Err(bad("line of a chunk is too long"));
    }
    let line = input.split_to(end + 1).freeze();
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(Some(line.slice_ref(text))),
        None => Err(bad("bare LF in a chunk")),
    }
}

fn size(line: &[u8]) -> Result<u64, HttpError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, extension) = line.split_at(digits);
    if digits.is_empty() || digits.len() > SIZE_DIGITS_MAX {
        return Err(bad("bad chunk size"));
    }
    // Extensions are allowed and mean nothing here; blanks before them are an old leniency (RFC 9112 7.1.1).
    let printable = extension.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7F));
    match extension.trim_ascii_start().first() {
        None if extension.is_empty() => {}
        Some(b';') if printable => {}
        _ => return Err(bad("bad chunk extension")),
    }
    let text = std::str::from_utf8(digits).map_err(|_| bad("bad chunk size"))?;
    u64::from_str_radix(text, 16).map_err(|_| bad("bad chunk size"))
}

fn bad(reason: &'static str) -> HttpError {
    HttpError::Malformed { status: 400, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &[u8], step: usize) -> Result<Option<Vec<u8>>, HttpError> {
        let mut decoder = ChunkedDecoder::new();
        let (mut input, mut body) = (BytesMut::new(), Vec::new());
        for piece in text.chunks(step) {
            input.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut input)? {
                    Decoded::Data(data) => body.extend_from_slice(&data),
                    Decoded::NeedMore => break,
                    Decoded::End => return Ok(Some(body)),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn decodes_however_the_bytes_arrive() {
        let text = b"5\r\nhello\r\n00a;name=\"v\"\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n";
        for step in 1..text.len() {
            assert_eq!(decode(text, step).unwrap().unwrap(), b"hello0123456789");
        }
    }

    #[test]
    fn a_missing_last_chunk_is_no_end() {
        assert_eq!(decode(b"5\r\nhello\r\n", 3).unwrap(), None);
        assert_eq!(decode(b"5\r\nhello\r\n0\r\n", 3).unwrap(), None);
    }

    #[test]
    fn refuses_bad_chunks() {
        let long = [b"1;".as_slice(), &[b'x'; 300], b"\r\n"].concat();
        let trailers = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(2000)].concat();
        for text in [
            b"g\r\n".as_slice(),
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\na\r\n",
            b"0x1\r\na\r\n",
            b"1\na\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1 x\r\na\r\n",
            b"1;\x01\r\na\r\n",
            b"\r\n",
            b"1000000000000000\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nx: y\n\r\n",
            &long,
            &trailers,
        ] {
            for step in [1, 7, text.len()] {
                assert!(decode(text, step).is_err(), "{:?}", String::from_utf8_lossy(text));
            }
        }
    }
}
