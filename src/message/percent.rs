use std::borrow::Cow;

use super::IdentifierError;

/// Characters that stay as they are in one path segment (RFC 3986 `pchar` without percent escapes).
pub(super) fn is_pchar(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'
        | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

/// Percent-encodes one identifier field as one path segment: UTF-8 bytes outside of `pchar` become `%XX`
/// in upper case (X-Road 7.8 behaviour).
pub fn encode_segment(field: &str) -> Cow<'_, str> {
    if field.bytes().all(is_pchar) {
        return Cow::Borrowed(field);
    }
    let mut text = String::with_capacity(field.len() + 8);
    for byte in field.bytes() {
        if is_pchar(byte) {
            text.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(text)
}

/// Decodes one path segment into an identifier field.
///
/// `+` stays, `%2F` becomes `/` inside the field, bytes that are not UTF-8 become U+FFFD. A character that a
/// path segment cannot hold, or an unfinished escape, is an error.
pub fn decode_segment(segment: &str) -> Result<Cow<'_, str>, IdentifierError> {
    if segment.bytes().all(is_pchar) {
        return Ok(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let (high, low) = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else { return Err(IdentifierError::Escape) };
                bytes.push(high << 4 | low);
            }
            byte if is_pchar(byte) => bytes.push(byte),
            _ => return Err(IdentifierError::Character),
        }
    }
    Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
