//! MIME entities with exact byte ranges: signed bytes are never normalised.

use super::DirectoryError;
use super::fields::Parameters;

/// Header fields and the bytes after the blank line.
pub(super) struct Entity<'a> {
    fields: Vec<(String, String)>,
    pub body: &'a [u8],
}

impl<'a> Entity<'a> {
    /// Splits head and body. Folded fields are unfolded.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DirectoryError> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = bytes;
        while let Some((line, after)) = next_line(rest) {
            rest = after;
            if line.is_empty() {
                break;
            }
            let line =
                std::str::from_utf8(line).map_err(|_| DirectoryError::Malformed("a field is not text"))?;
            if line.starts_with([' ', '\t']) {
                let (_, value) = fields.last_mut().ok_or(DirectoryError::Malformed("a field has no name"))?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) =
                line.split_once(':').ok_or(DirectoryError::Malformed("a field has no name"))?;
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(Self { fields, body: rest })
    }

    /// The first field of this name, in any case.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    pub(super) fn required(&self, name: &str) -> Result<String, DirectoryError> {
        self.field(name).ok_or_else(|| DirectoryError::MissingField(name.to_ascii_lowercase()))
    }
}

/// The boundary that an entity's Content-Type names.
pub(super) fn boundary_of(entity: &Entity<'_>) -> Result<String, DirectoryError> {
    let field = entity.field("Content-Type").unwrap_or_default();
    let parameters = Parameters::read(&field);
    if !parameters.value.to_ascii_lowercase().starts_with("multipart/") {
        return Err(DirectoryError::Malformed("it is not multipart"));
    }
    let boundary = parameters.get_any_case("boundary").unwrap_or_default();
    if boundary.is_empty() {
        Err(DirectoryError::Malformed("it names no boundary"))
    } else {
        Ok(boundary.to_owned())
    }
}

// One line without its end (CRLF or LF), and what follows.
fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = memchr::memchr(b'\n', bytes);
    let (line, rest) = match end {
        Some(end) => (bytes.get(..end)?, bytes.get(end + 1..)?),
        None => (bytes, &[][..]),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

#[derive(PartialEq)]
enum Line {
    Content,
    Delimiter,
    Close,
}

fn classify(line: &[u8], boundary: &str) -> Line {
    let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes())) else {
        return Line::Content;
    };
    let blank = |rest: &[u8]| rest.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    match rest.strip_prefix(b"--") {
        Some(rest) if blank(rest) => Line::Close,
        _ if blank(rest) => Line::Delimiter,
        _ => Line::Content,
    }
}

/// The parts of a multipart body: the line break before a delimiter belongs to the delimiter. Text before the
/// first and after the closing delimiter is skipped, a missing closing delimiter tolerated.
pub(super) fn split_lenient<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut start = None;
    let mut rest = body;
    while let Some((line, after)) = next_line(rest) {
        let at = body.len() - rest.len();
        rest = after;
        let kind = classify(line, boundary);
        if kind == Line::Content {
            continue;
        }
        if let Some(start) = start.take() {
            parts.extend(body.get(start..at).map(without_line_break));
        }
        if kind == Line::Close {
            return parts;
        }
        start = Some(body.len() - rest.len());
    }
    if let Some(start) = start {
        parts.extend(body.get(start..));
    }
    parts
}

/// As [`split_lenient`], for signed content whose boundary is not signed: every line that starts with two
/// hyphens must be a delimiter, and nothing but blank lines may stand before the first and after the last,
/// so that no other reading exists.
pub(super) fn split_strict<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, DirectoryError> {
    let mut rest = body;
    let (mut first, mut closed) = (true, false);
    while let Some((line, after)) = next_line(rest) {
        rest = after;
        if first && line.is_empty() {
            continue;
        }
        let kind = classify(line, boundary);
        if (closed && !line.is_empty())
            || (first && kind != Line::Delimiter)
            || (kind == Line::Content && line.starts_with(b"--"))
        {
            return Err(DirectoryError::Malformed("its content does not keep to its boundary"));
        }
        first = false;
        closed |= kind == Line::Close;
    }
    Ok(split_lenient(body, boundary))
}

fn without_line_break(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}
