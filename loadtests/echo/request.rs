//! HTTP requests as the echo service reads them: in place, from one buffer, with nothing allocated for those of known
//! length.

use std::borrow::Cow;

use memchr::memmem;

use crate::content::WHOLE_MAX;

/// What is at the front of a buffer.
#[derive(Debug, PartialEq)]
pub enum Parsed<'a> {
    /// A request with its body.
    Whole(Request<'a>),
    /// The head of one whose body is not waited for.
    Large(LargeHead<'a>),
    /// Not enough of either.
    Partial,
}

/// The head of a request of a message whose body is larger than [`WHOLE_MAX`] and not all there.
#[derive(Debug, PartialEq)]
pub struct LargeHead<'a> {
    /// `Content-Type`; empty where there is none.
    pub content_type: &'a [u8],
    /// `X-Road-Id`.
    pub message_id: &'a [u8],
    /// Bytes of the body.
    pub body: u64,
    /// The client wants no other answer on this connection.
    pub close: bool,
    /// Bytes of the buffer that belong to the head.
    pub length: usize,
}

/// A whole request at the front of a buffer.
#[derive(Debug, PartialEq)]
pub struct Request<'a> {
    /// `Content-Type`; empty where there is none.
    pub content_type: &'a [u8],
    /// Body, without its framing.
    pub body: Cow<'a, [u8]>,
    /// The client wants no other answer on this connection.
    pub close: bool,
    /// Bytes of the buffer that belong to it.
    pub length: usize,
}

/// The request at the front. One whose length is not told before, and one that is no message, is large only when it is
/// whole.
///
/// # Errors
/// Unit: this is no HTTP.
pub fn parse(input: &[u8]) -> Result<Parsed<'_>, ()> {
    const HEAD_MAX: usize = 64 * 1024;
    let Some(end) = memmem::find(input, b"\r\n\r\n") else {
        return if input.len() > HEAD_MAX { Err(()) } else { Ok(Parsed::Partial) };
    };
    let (head, rest) = (&input[..end], &input[end + 4..]);
    let (mut content_type, mut length, mut chunked, mut close) = (&b""[..], 0, false, false);
    let mut from = 0;
    while let Some(at) = memmem::find(&head[from..], b"\r\n") {
        from += at + 2;
        let line = &head[from..];
        let Some(colon) = memchr::memchr(b':', line) else { return Err(()) };
        let value = || line[colon + 1..].split(|byte| *byte == b'\r').next().unwrap_or_default().trim_ascii();
        // Four lengths of names tell what is worth a look.
        let name = &line[..colon];
        match colon {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                close = value().eq_ignore_ascii_case(b"close");
            }
            12 if name.eq_ignore_ascii_case(b"content-type") => content_type = value(),
            14 if name.eq_ignore_ascii_case(b"content-length") => length = number(value(), 10)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => chunked = true,
            _ => {}
        }
    }
    let (body, framed) = if chunked {
        match unchunk(rest)? {
            Some((body, framed)) => (Cow::Owned(body), framed),
            None => return Ok(Parsed::Partial),
        }
    } else if rest.len() < length {
        let message_id = if length > WHOLE_MAX { message_id(head) } else { None };
        return Ok(match message_id {
            Some(message_id) if !content_type.starts_with(b"text/xml") => Parsed::Large(LargeHead {
                content_type,
                message_id,
                body: length as u64,
                close,
                length: end + 4,
            }),
            _ => Parsed::Partial,
        });
    } else {
        (Cow::Borrowed(&rest[..length]), length)
    };
    Ok(Parsed::Whole(Request { content_type, body, close, length: end + 4 + framed }))
}

fn message_id(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"x-road-id:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line =
        lines.find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    Some(line[NAME.len()..].trim_ascii())
}

fn number(text: &[u8], radix: u32) -> Result<usize, ()> {
    let text = std::str::from_utf8(text).map_err(|_| ())?;
    usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), radix).map_err(|_| ())
}

// The body and the length of its chunks, when the last one is there.
fn unchunk(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = memmem::find(&input[at..], b"\r\n") else { return Ok(None) };
        let size = number(&input[at..at + line], 16)?;
        let start = at + line + 2;
        if input.len() < start.saturating_add(size).saturating_add(2) {
            return Ok(None);
        }
        body.extend_from_slice(&input[start..start + size]);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_one_after_the_other_and_only_when_they_are_whole() {
        let one =
            b"POST /echo HTTP/1.1\r\nHost: a\r\ncontent-TYPE: text/plain\r\nContent-Length: 3\r\n\r\nabc";
        let two = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        let both = [one.as_slice(), two.as_slice()].concat();
        for length in 0..one.len() {
            assert_eq!(parse(&both[..length]), Ok(Parsed::Partial), "{length}");
        }
        let Ok(Parsed::Whole(first)) = parse(&both) else { panic!() };
        assert_eq!((first.content_type, &*first.body, first.close), (&b"text/plain"[..], &b"abc"[..], false));
        assert_eq!(first.length, one.len());
        for length in 0..two.len() {
            assert_eq!(parse(&two[..length]), Ok(Parsed::Partial), "{length}");
        }
        let Ok(Parsed::Whole(second)) = parse(&both[first.length..]) else { panic!() };
        assert_eq!((&*second.body, second.close, second.length), (&b"abc"[..], true, two.len()));
        assert!(matches!(parse(b"GET / HTTP/1.1\r\nno header\r\n\r\n"), Err(())));
    }

    #[test]
    fn a_large_message_is_known_by_its_head_and_other_large_requests_are_waited_for() {
        let head = |more: &str| {
            format!("POST / HTTP/1.1\r\n{more}Content-Length: {}\r\nX-Road-Id: a-7\r\n\r\nabc", WHOLE_MAX + 1)
        };
        let text = head("Content-Type: a/b\r\n");
        let Ok(Parsed::Large(large)) = parse(text.as_bytes()) else { panic!() };
        assert_eq!((large.content_type, large.message_id), (&b"a/b"[..], &b"a-7"[..]));
        assert_eq!((large.body, large.length), (WHOLE_MAX as u64 + 1, text.len() - 3));
        assert_eq!(parse(head("Content-Type: text/xml\r\n").as_bytes()), Ok(Parsed::Partial));
        assert_eq!(parse(text.replace("X-Road-Id", "X-Other").as_bytes()), Ok(Parsed::Partial));
    }
}
