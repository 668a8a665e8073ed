use std::borrow::Cow;

use crate::message::{ErrorCode, XRoadError};

/// The text of an envelope for parsing: UTF-8 as it is, UTF-16 and ISO-8859-1 converted with a declaration of UTF-8
/// in front. The encoding is told by the byte order mark or the XML declaration, never by a header.
pub(super) fn to_utf8(bytes: &[u8]) -> Result<Cow<'_, [u8]>, XRoadError> {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0, b'<', ..] => return utf16(bytes, u16::from_be_bytes),
        [b'<', 0, ..] => return utf16(bytes, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, ..] => return Ok(Cow::Borrowed(bytes)),
        _ => {}
    }
    let Some(encoding) = declared(bytes) else { return Ok(Cow::Borrowed(bytes)) };
    match encoding.to_ascii_lowercase().as_slice() {
        b"utf-8" | b"utf8" => Ok(Cow::Borrowed(bytes)),
        b"us-ascii" | b"ascii" if bytes.is_ascii() => Ok(Cow::Borrowed(bytes)),
        b"iso-8859-1" | b"latin1" | b"iso8859-1" | b"iso_8859-1" if bytes.is_ascii() => {
            Ok(Cow::Borrowed(bytes))
        }
        b"iso-8859-1" | b"latin1" | b"iso8859-1" | b"iso_8859-1" => {
            Ok(Cow::Owned(redeclared(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())))
        }
        _ => Err(XRoadError::new(ErrorCode::InvalidSoap, "Unsupported encoding of the SOAP message")),
    }
}

// The encoding name of an XML declaration in an encoding that extends ASCII.
fn declared(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(b"<?xml") {
        return None;
    }
    let declaration = bytes.get(..memchr::memchr(b'>', bytes)?)?;
    let at = memchr::memmem::find(declaration, b"encoding")? + b"encoding".len();
    let rest = declaration.get(at..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    rest.get(..memchr::memchr(*quote, rest)?)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, [u8]>, XRoadError> {
    let refuse = || XRoadError::new(ErrorCode::InvalidSoap, "The SOAP message is not UTF-16");
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(refuse());
    }
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    Ok(Cow::Owned(redeclared(&text.map_err(|_| refuse())?)))
}

fn redeclared(text: &str) -> Vec<u8> {
    let content = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or(text, |(_, content)| content),
        None => text,
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{content}").into_bytes()
}
