use std::borrow::Cow;

use crate::message::{ErrorCode, IdentifierError, ServiceId, XRoadError};

/// What is wrong with the path of a request, whatever its port and kind, in the words of official servers; they answer
/// a bare 400.
pub fn path_fault(path: &str) -> Option<&'static str> {
    let bytes = path.as_bytes();
    let hex = |at: usize| bytes.get(at).copied().is_some_and(|byte| byte.is_ascii_hexdigit());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'/' | b'%' => {}
            byte if crate::message::percent::is_pchar(*byte) => {}
            _ => return Some("Illegal Path Character"),
        }
        if *byte == b'%' {
            if !hex(at + 1) || !hex(at + 2) {
                return Some("Bad URI encoding");
            }
            match &bytes[at + 1..at + 3] {
                b"25" => return Some("Ambiguous URI path encoding"),
                b"5c" | b"5C" | b"00" => return Some("Illegal Path Character"),
                _ => {}
            }
        }
    }
    if path.contains("//") {
        return Some("Ambiguous URI empty segment");
    }
    if path.contains('%') && !decodes_to_utf8(bytes) {
        return Some("Bad UTF-8 encoding");
    }
    path.split('/').find_map(|segment| {
        if !segment.starts_with(['.', '%']) {
            return None;
        }
        let (name, parameters) = segment.split_once(';').map_or((segment, false), |(name, _)| (name, true));
        let dots = name.replace("%2e", ".").replace("%2E", ".");
        let is_dots = dots == "." || dots == "..";
        if is_dots && dots != name {
            Some("Ambiguous URI path segment")
        } else if is_dots && parameters {
            Some("Ambiguous URI path parameter")
        } else {
            None
        }
    })
}

// Escapes are whole.
fn decodes_to_utf8(path: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(crate::message::percent::hex).unwrap_or_default();
        decoded.push(if byte == b'%' { digit(rest.next()) << 4 | digit(rest.next()) } else { byte });
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// The target of a client's request as it goes into the message: absolute form reduced to path and query,
/// fragment dropped, characters of the query that no URI may hold percent-encoded.
pub(super) fn normalised(target: &str) -> Result<Cow<'_, str>, XRoadError> {
    let target = target.split('#').next().unwrap_or_default();
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let target = match ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme)) {
        Some(scheme) => {
            let rest = target.get(scheme.len()..).unwrap_or_default();
            rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        None => target,
    };
    let Some((path, query)) = target.split_once('?') else { return Ok(Cow::Borrowed(target)) };
    if query.bytes().any(|byte| byte < b' ' || byte == 0x7f) || !escapes_are_whole(query) {
        return Err(invalid());
    }
    if query.bytes().all(is_query_byte) {
        return Ok(Cow::Borrowed(target));
    }
    let mut text = String::with_capacity(target.len() + 16);
    text.push_str(path);
    text.push('?');
    for byte in query.bytes() {
        if is_query_byte(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(Cow::Owned(text))
}

/// Checks line 2 of a part from a peer: a path of URI characters below `/r1/`, and a URI query.
pub(super) fn check(target: &str) -> Result<(), XRoadError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path_is_legal =
        path.bytes().all(|byte| byte == b'/' || byte == b'%' || crate::message::percent::is_pchar(byte));
    let query_is_legal = query.bytes().all(|byte| is_query_byte(byte) || byte >= 0x80)
        && !query.chars().any(is_space_or_control);
    if !path.starts_with("/r1/") || !path_is_legal || !query_is_legal || !escapes_are_whole(target) {
        return Err(invalid());
    }
    Ok(())
}

/// The service of a path `/r1/{instance}/{class}/{code}/{subsystem}/{service}[/path]` and where the rest begins.
pub(super) fn service(path: &str) -> Result<(ServiceId, usize), XRoadError> {
    let start = "/r1/".len();
    let rest = path.strip_prefix("/r1/").ok_or_else(invalid)?;
    let end = rest.match_indices('/').nth(4).map_or(rest.len(), |(at, _)| at);
    let service = ServiceId::from_rest(rest.get(..end).unwrap_or_default()).map_err(|error| match error {
        IdentifierError::Parts { .. } => invalid(),
        other => other.into(),
    })?;
    Ok((service, start + end))
}

fn invalid() -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, "Invalid request URI")
}

fn is_space_or_control(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_query_byte(byte: u8) -> bool {
    crate::message::percent::is_pchar(byte) || matches!(byte, b'/' | b'?' | b'%' | b'[' | b']')
}

fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes)
        .all(|at| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}
