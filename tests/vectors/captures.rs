//! Captured exchanges: their files as HTTP messages, their transport messages decoded.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hermod::message::XRoadError;
use hermod::transport::{Decoder, Event, Part, PartHeaders, PartKind, StreamedKind};
use serde_json::Value;

use crate::common;

/// One captured exchange.
pub struct Case {
    pub name: String,
    pub meta: Value,
    folder: PathBuf,
}

/// All captured exchanges; none when there are no vectors.
pub fn cases() -> Vec<Case> {
    let Some(vectors) = common::vectors() else { return Vec::new() };
    let mut cases = Vec::new();
    for run in ["transport", "transport-tuned", "batch"] {
        let entries = fs::read_dir(vectors.join("captures").join(run)).expect("captures");
        let mut folders: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        folders.sort();
        cases.extend(folders.iter().filter(|folder| folder.is_dir()).map(|folder| Case::open(folder)));
    }
    cases
}

/// The captured exchange of this name under `transport`.
pub fn case(name: &str) -> Option<Case> {
    Some(Case::open(&common::vectors()?.join("captures/transport").join(name)))
}

impl Case {
    fn open(folder: &Path) -> Self {
        let meta = fs::read(folder.join("meta.json")).expect("meta.json");
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        Self { name, meta: serde_json::from_slice(&meta).expect("JSON"), folder: folder.to_owned() }
    }

    /// A file of the exchange such as `client-request`; `None` when that hop did not happen.
    pub fn http(&self, file: &str) -> Option<Http> {
        fs::read(self.folder.join(file).with_extension("http")).ok().map(|bytes| Http::read(&bytes))
    }

    /// A text of `meta.json`.
    pub fn text(&self, name: &str) -> &str {
        self.meta[name].as_str().unwrap_or_default()
    }
}

/// An HTTP message without its framing.
pub struct Http {
    pub first_line: String,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Bytes,
}

impl Http {
    fn read(bytes: &[u8]) -> Self {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").expect("a head");
        let mut lines =
            bytes[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first_line = String::from_utf8_lossy(lines.next().expect("a line")).into_owned();
        let headers = lines.map(|line| {
            let colon = memchr::memchr(b':', line).expect("a colon");
            (line[..colon].to_vec(), line[colon + 1..].trim_ascii().to_vec())
        });
        let mut message = Self { first_line, headers: headers.collect(), body: Bytes::new() };
        let body = &bytes[end + 4..];
        let is_chunked = message.header("Transfer-Encoding").is_some_and(|value| value == "chunked");
        message.body = if is_chunked { dechunked(body).into() } else { body.to_vec().into() };
        message
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    pub fn raw_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Status of a response.
    pub fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// Whether the body is a transport message.
    pub fn is_multipart(&self) -> bool {
        self.header("Content-Type").is_some_and(|value| value.starts_with("multipart/mixed"))
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memchr(b'\n', rest).expect("a chunk size");
        let size = std::str::from_utf8(&rest[..end - 1]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        rest = &rest[end + 1..];
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// A decoded transport message: whole parts and streamed parts in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub parts: Vec<Part>,
    pub streamed: Vec<(StreamedKind, PartHeaders, Vec<u8>)>,
    pub finished: bool,
}

impl Decoded {
    pub fn part(&self, kind: PartKind) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// The message part.
    pub fn message(&self) -> Option<&Part> {
        let kinds = [PartKind::Soap, PartKind::RestRequest, PartKind::RestResponse];
        self.parts.iter().find(|part| kinds.contains(&part.kind))
    }

    pub fn has_attachments(&self) -> bool {
        self.streamed.iter().any(|(kind, ..)| matches!(kind, StreamedKind::Attachment(_)))
    }
}

/// Decodes a transport message that comes in pieces of this size.
pub fn decode(content_type: &str, body: &Bytes, piece: usize) -> Result<Decoded, XRoadError> {
    let mut decoder = Decoder::new(content_type)?;
    let mut decoded = Decoded::default();
    let mut rest = body.clone();
    loop {
        while let Some(event) = decoder.next()? {
            match event {
                Event::Part(part) => decoded.parts.push(part),
                Event::Start { kind, headers } => decoded.streamed.push((kind, headers, Vec::new())),
                Event::Data(data) => decoded.streamed.last_mut().expect("a part").2.extend_from_slice(&data),
                Event::End => {}
                Event::Finished => decoded.finished = true,
            }
        }
        if rest.is_empty() {
            if decoded.finished {
                return Ok(decoded);
            }
            decoder.finish();
            continue;
        }
        decoder.feed(rest.split_to(piece.min(rest.len())));
    }
}
