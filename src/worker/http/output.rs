//! Writing heads and framing bodies. Names and values go out exactly as given: Java peers look some names up in
//! lower case (`transport.md` trap 3).

use bytes::Bytes;

use super::{BodyFraming, Version};
use crate::worker::error::HttpError;

/// Head of a request. The caller gives `Host`; framing fields are added here and dropped from `headers`.
pub(crate) fn request_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    method: &str,
    target: &[u8],
    headers: &[(N, V)],
    framing: BodyFraming,
) -> Result<Vec<u8>, HttpError> {
    let mut out = Vec::with_capacity(512);
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(HttpError::Misuse("method is no token"));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(HttpError::Misuse("request target holds a blank, a control or no ascii"));
    }
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(&mut out, headers)?;
    match framing {
        BodyFraming::None => {}
        BodyFraming::Length(length) => content_length(&mut out, length),
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::UntilClose => return Err(HttpError::Misuse("a request cannot end with the connection")),
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Head of a response, with a `Connection` field if one is given.
pub(crate) fn response_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    status: u16,
    reason: &str,
    headers: &[(N, V)],
    framing: BodyFraming,
    connection: Option<&str>,
) -> Result<Vec<u8>, HttpError> {
    let mut out = Vec::with_capacity(512);
    if !(100..=999).contains(&status) || !reason.bytes().all(is_value) {
        return Err(HttpError::Misuse("bad status line"));
    }
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
    fields(&mut out, headers)?;
    match framing {
        // RFC 9110 8.6: no Content-Length where there can be no body.
        BodyFraming::None if bodiless(status) => {}
        BodyFraming::None => content_length(&mut out, 0),
        BodyFraming::Length(length) => content_length(&mut out, length),
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::UntilClose => {}
    }
    if let Some(connection) = connection {
        out.extend_from_slice(format!("Connection: {connection}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
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

fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
}

fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(out: &mut Vec<u8>, headers: &[(N, V)]) -> Result<(), HttpError> {
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(HttpError::Misuse("header name is no token"));
        }
        // Headers of a received message may be handed on as they are: its framing is not this message's.
        if [b"content-length".as_slice(), b"transfer-encoding", b"connection"]
            .iter()
            .any(|framing| name.eq_ignore_ascii_case(framing))
        {
            continue;
        }
        if !value.iter().copied().all(is_value) {
            return Err(HttpError::Misuse("header value holds a control"));
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
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

    /// Appends a piece of the body to the slices that will be written.
    pub(crate) fn encode(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), HttpError> {
        if data.is_empty() {
            return Ok(());
        }
        match self.framing {
            BodyFraming::None => return Err(HttpError::Misuse("a body where none was announced")),
            BodyFraming::Length(_) => {
                let left = self.left.checked_sub(data.len() as u64);
                self.left = left.ok_or(HttpError::Misuse("more body than announced"))?;
                out.push(data);
            }
            BodyFraming::Chunked => {
                out.push(Bytes::from(format!("{:x}\r\n", data.len())));
                out.push(data);
                out.push(Bytes::from_static(b"\r\n"));
            }
            BodyFraming::UntilClose => out.push(data),
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
