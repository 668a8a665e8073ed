//! Messages that two official servers exchanged, taken apart without Hermod's own decoder.

use std::path::Path;

/// The parts of a recorded transport message, in order: type and content.
pub struct Recorded {
    pub parts: Vec<(String, Vec<u8>)>,
}

impl Recorded {
    /// Reads `request.http` or `response.http`; `None` when the file does not exist or is no multipart.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let head_end = find(&bytes, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
        let body = &bytes[head_end + 4..];
        let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_vec() };
        let original = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let content_type =
            original.lines().find(|l| l.to_lowercase().starts_with("content-type: multipart"))?;
        let boundary = content_type.split("boundary=").nth(1)?.trim().trim_matches('"').to_owned();
        Some(Self { parts: split(&body, &boundary) })
    }

    pub fn part(&self, kind: &str) -> Option<&[u8]> {
        self.parts.iter().find(|(k, _)| k.starts_with(kind)).map(|(_, content)| content.as_slice())
    }

    /// Message and attachments, in transport order.
    pub fn signed_parts(&self) -> Vec<Vec<u8>> {
        let mut signed = Vec::new();
        for (kind, content) in &self.parts {
            if kind.starts_with("multipart/") {
                let boundary = kind.split("boundary=").nth(1).unwrap().trim().trim_matches('"');
                signed.extend(split(content, boundary).into_iter().map(|(_, content)| content));
            } else if !["application/ocsp", "application/hash-chain", "signature/"]
                .iter()
                .any(|k| kind.starts_with(k))
            {
                signed.push(content.clone());
            }
        }
        signed
    }
}

/// Every recorded transport message that carries a signature: where it is, and its parts.
pub fn recorded(root: &Path) -> Vec<(String, Recorded)> {
    let mut all = Vec::new();
    for run in ["transport", "transport-tuned", "batch"] {
        for case in std::fs::read_dir(root.join("captures").join(run)).unwrap() {
            for direction in ["request", "response"] {
                let path = case.as_ref().unwrap().path().join(format!("{direction}.http"));
                if let Some(message) = Recorded::read(&path).filter(|m| m.part("signature/").is_some()) {
                    all.push((path.display().to_string(), message));
                }
            }
        }
    }
    all
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(line) = find(body, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&body[line + 2..line + 2 + size]);
        body = &body[line + 2 + size + 2..];
    }
    out
}

fn split(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let mut parts = Vec::new();
    let delimiter = format!("--{boundary}");
    let mut rest = &body[find(body, delimiter.as_bytes()).unwrap() + delimiter.len()..];
    while !rest.starts_with(b"--") {
        rest = &rest[2..];
        let end = find(rest, format!("\r\n{delimiter}").as_bytes()).unwrap();
        let part = &rest[..end];
        // A part without headers starts with the empty line itself.
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&part[..0], content),
            None => {
                let head_end = find(part, b"\r\n\r\n").unwrap();
                (&part[..head_end], &part[head_end + 4..])
            }
        };
        let head = String::from_utf8_lossy(head).into_owned();
        let kind = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
        });
        parts.push((kind.unwrap_or_default(), content.to_vec()));
        rest = &rest[end + 2 + delimiter.len()..];
    }
    parts
}
