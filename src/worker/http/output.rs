//! Writing heads and framing bodies. Names and values go out exactly as given: Java peers look some names up in
//! lower case (`transport.md` trap 3).

use std::borrow::Cow;

use bytes::Bytes;

use super::{BodyFraming, Version};
use crate::worker::error::HttpError;

/// Head of a request. The caller gives `Host`. The framing field is added here: where `headers` have one of its name, else
/// at the end; its value is that of this message in either case. `Connection: Keep-Alive` goes out as it is.
pub(crate) fn request_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    method: &str,
    target: &[u8],
    headers: &[(N, V)],
    framing: BodyFraming,
) -> Result<Vec<u8>, HttpError> {
    let mut out = Vec::with_capacity(512);
    if method.is_empty() || !is_token(method.as_bytes()) {
        return Err(HttpError::Misuse("method is no token"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(HttpError::Misuse("request target holds a blank, a control or no ascii"));
    }
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut own = match framing {
        BodyFraming::None => Own::default(),
        BodyFraming::Length(length) => Own::length(length),
        BodyFraming::Chunked => Own::chunked(),
        BodyFraming::UntilClose => return Err(HttpError::Misuse("a request cannot end with the connection")),
    };
    fields(&mut out, headers, |name, value| {
        let stays = name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"keep-alive");
        if stays { Some("Connection: Keep-Alive\r\n".into()) } else { own.take(name) }
    })?;
    own.rest(&mut out);
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Head of a response, with a `Connection` field if one is given. It and the framing field stand where `headers` have
/// fields of their names, else at the end.
pub(crate) fn response_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    status: u16,
    reason: &str,
    headers: &[(N, V)],
    framing: BodyFraming,
    connection: Option<&str>,
) -> Result<Vec<u8>, HttpError> {
    let mut out = Vec::with_capacity(512);
    if !(100..=999).contains(&status) || !is_value(reason.as_bytes()) {
        return Err(HttpError::Misuse("bad status line"));
    }
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    let mut own = match framing {
        // RFC 9110 8.6: no Content-Length where there can be no body.
        BodyFraming::None if bodiless(status) => Own::default(),
        BodyFraming::None => Own::length(0),
        BodyFraming::Length(length) => Own::length(length),
        BodyFraming::Chunked => Own::chunked(),
        BodyFraming::UntilClose => Own::default(),
    };
    own.connection = connection.map(|connection| format!("Connection: {connection}\r\n").into());
    fields(&mut out, headers, |name, _| own.take(name))?;
    own.rest(&mut out);
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// The lines of this hop that a head still needs.
#[derive(Default)]
struct Own {
    framing: Option<Line>,
    connection: Option<Line>,
}

type Line = Cow<'static, str>;

impl Own {
    fn length(length: u64) -> Self {
        Self { framing: Some(format!("Content-Length: {length}\r\n").into()), connection: None }
    }

    fn chunked() -> Self {
        Self { framing: Some("Transfer-Encoding: chunked\r\n".into()), connection: None }
    }

    /// The line that belongs where the caller has a field of this name.
    fn take(&mut self, name: &[u8]) -> Option<Line> {
        let is = |line: &mut Line| {
            line.as_bytes().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        self.framing.take_if(is).or_else(|| self.connection.take_if(is))
    }

    fn rest(self, out: &mut Vec<u8>) {
        for line in [self.framing, self.connection].into_iter().flatten() {
            out.extend_from_slice(line.as_bytes());
        }
    }
}

/// Statuses that never have a body (RFC 9112 6.3).
pub(crate) fn bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

/// Does a `Connection` field hold the option?
fn connection_has(headers: &[(Bytes, Bytes)], option: &str) -> bool {
    super::header_values(headers, "connection")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

/// Does the sender want to close after this message?
pub(crate) fn wants_close(version: Version, headers: &[(Bytes, Bytes)]) -> bool {
    match version {
        Version::Http11 => connection_has(headers, "close"),
        Version::Http10 => !connection_has(headers, "keep-alive") || connection_has(headers, "close"),
    }
}

// `own` gives the line that stands in place of a field that is about one hop only.
fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    headers: &[(N, V)],
    mut own: impl FnMut(&[u8], &[u8]) -> Option<Line>,
) -> Result<(), HttpError> {
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.is_empty() || !is_token(name) {
            return Err(HttpError::Misuse("header name is no token"));
        }
        // Headers of a received message may be handed on as they are: its framing is not this message's.
        if [b"content-length".as_slice(), b"transfer-encoding", b"connection"]
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing))
        {
            if let Some(line) = own(name, value) {
                out.extend_from_slice(line.as_bytes());
            }
            continue;
        }
        if !is_value(value) {
            return Err(HttpError::Misuse("header value holds a control"));
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

// Neither ends early, so that they become table look-ups and vector instructions.
fn is_token(bytes: &[u8]) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut others: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [first, rest @ ..] = others {
            table[*first as usize] = true;
            others = rest;
        }
        table
    };
    bytes.iter().fold(true, |all, byte| all & TOKEN[usize::from(*byte)])
}

fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & ((*byte == b'\t') | ((*byte >= b' ') & (*byte != 0x7F))))
}

/// Frames the body of a message that is sent, and holds the sender to what the head announced.
#[derive(Debug)]
pub(crate) struct Encoder {
    framing: BodyFraming,
    left: u64,
}

impl Encoder {
    pub(crate) fn new(framing: BodyFraming) -> Self {
        let left = if let BodyFraming::Length(length) = framing { length } else { 0 };
        Self { framing, left }
    }

    /// Appends a piece of the body, in slices, to those that will be written.
    pub(crate) fn encode(&mut self, piece: Vec<Bytes>, out: &mut Vec<Bytes>) -> Result<(), HttpError> {
        let length: usize = piece.iter().map(Bytes::len).sum();
        if length == 0 {
            return Ok(());
        }
        match self.framing {
            BodyFraming::None => return Err(HttpError::Misuse("a body where none was announced")),
            BodyFraming::Length(_) => {
                let left = self.left.checked_sub(length as u64);
                self.left = left.ok_or(HttpError::Misuse("more body than announced"))?;
                out.extend(piece);
            }
            BodyFraming::Chunked => {
                out.push(Bytes::from(format!("{length:x}\r\n")));
                out.extend(piece);
                out.push(Bytes::from_static(b"\r\n"));
            }
            BodyFraming::UntilClose => out.extend(piece),
        }
        Ok(())
    }

    /// Appends the end of the body.
    pub(crate) fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), HttpError> {
        match self.framing {
            BodyFraming::Length(_) if self.left != 0 => Err(HttpError::Misuse("less body than announced")),
            BodyFraming::Chunked => {
                out.push(Bytes::from_static(b"0\r\n\r\n"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(head: Result<Vec<u8>, HttpError>) -> String {
        String::from_utf8(head.unwrap()).unwrap()
    }

    #[test]
    fn the_framing_stands_where_the_caller_wants_it_with_the_value_of_this_message() {
        let headers =
            [("a", "1"), ("Transfer-Encoding", "chunked"), ("Host", "h"), ("Connection", "Keep-Alive")];
        assert_eq!(
            text(request_head("POST", b"/", &headers, BodyFraming::Chunked)),
            "POST / HTTP/1.1\r\na: 1\r\nTransfer-Encoding: chunked\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n"
        );
        // What was received with another framing, or another wish about its connection, says nothing about this one.
        let received =
            [("content-length", "7"), ("Connection", "close"), ("content-length", "8"), ("b", "2")];
        assert_eq!(
            text(request_head("GET", b"/", &received, BodyFraming::Length(3))),
            "GET / HTTP/1.1\r\nContent-Length: 3\r\nb: 2\r\n\r\n"
        );
        assert_eq!(
            text(request_head("GET", b"/", &received, BodyFraming::Chunked)),
            "GET / HTTP/1.1\r\nb: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            text(response_head(200, "OK", &received, BodyFraming::UntilClose, Some("close"))),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nb: 2\r\n\r\n"
        );
        assert_eq!(
            text(response_head(200, "OK", &headers, BodyFraming::Length(1), None)),
            "HTTP/1.1 200 OK\r\na: 1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"
        );
    }
}
