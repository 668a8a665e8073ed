//! The one path that is tested against access rights and sent to the service.

use thiserror::Error;

/// A service path whose meaning is the same for the access check and for the service: the text after the service
/// code, `""` or beginning with `/`, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPath<'a> {
    raw: &'a str,
    decoded: Option<String>,
}

impl<'a> CheckedPath<'a> {
    /// Percent-decodes a path and refuses every form that a service could read as another path than the one that
    /// was checked: escaped `#`, `?`, `/`, `\`, NUL, or a further escape; dot segments, before or after decoding and
    /// before `;parameters`; empty segments (one trailing `/` is none); bad escapes and bytes that are not UTF-8.
    ///
    /// For services with the base endpoint alone there is nothing to be mistaken about and nothing to refuse: do not
    /// call this, and send the path as it came (PR-REST; `transport.md`, *Stricter than upstream*).
    pub fn new(raw: &'a str) -> Result<Self, PathError> {
        if raw.contains(['\\', '#', '?']) {
            return Err(PathError::Delimiter);
        }
        let decoded = if raw.contains('%') { Some(decode(raw)?) } else { None };
        let text = decoded.as_deref().unwrap_or(raw);
        if text.is_empty() {
            return Ok(Self { raw, decoded });
        }
        let segments = text.strip_prefix('/').ok_or(PathError::NoSlash)?;
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err(PathError::EmptySegment);
            }
            let name = segment.split(';').next().unwrap_or(segment);
            if name == "." || name == ".." {
                return Err(PathError::DotSegment);
            }
        }
        Ok(Self { raw, decoded })
    }

    /// What is matched with the path patterns of endpoints.
    pub fn decoded(&self) -> &str {
        self.decoded.as_deref().unwrap_or(self.raw)
    }

    /// What is sent to the service: the path as it came.
    pub fn raw(&self) -> &'a str {
        self.raw
    }
}

/// Does the path, decoded, leave the service by its dot segments? Nobody may call that, whatever his rights
/// (X-Road 7.8 behaviour); dot segments that stay inside pass where paths do not decide about access.
pub fn leaves_the_service(raw: &str) -> bool {
    let decoded = percent_decoded(raw);
    let mut depth = 0_usize;
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

// Once; what is no escape stays.
fn percent_decoded(raw: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = hex_pair(tail).filter(|_| *first == b'%');
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    bytes
}

/// Why a path is ambiguous. The fault is the consumer's; answered with `access_denied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// `\`, `#`, `?`, NUL or an escaped `/`.
    #[error("the service path holds a delimiter that is escaped or out of place")]
    Delimiter,
    /// `.` or `..`
    #[error("the service path holds a dot segment")]
    DotSegment,
    /// `//`
    #[error("the service path holds an empty segment")]
    EmptySegment,
    /// Not empty and not beginning with `/`.
    #[error("the service path does not begin with a slash")]
    NoSlash,
    /// `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the service path is badly percent-encoded")]
    Encoding,
    /// `%25` followed by two hexadecimal digits.
    #[error("the service path is percent-encoded twice")]
    DoubleEncoding,
}

fn decode(raw: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let byte = hex_pair(tail).ok_or(PathError::Encoding)?;
        rest = tail.get(2..).unwrap_or_default();
        match byte {
            b'#' | b'?' | b'/' | b'\\' | 0 => return Err(PathError::Delimiter),
            byte => bytes.push(byte),
        }
    }
    if bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && hex_pair(&bytes[at + 1..]).is_some()) {
        return Err(PathError::DoubleEncoding);
    }
    String::from_utf8(bytes).map_err(|_| PathError::Encoding)
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}
