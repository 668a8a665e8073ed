//! A bounded reader and a small writer for DER.
//!
//! Lengths are definite; a length in more bytes than needed is tolerated (some responders write it),
//! indefinite lengths and high tag numbers are not. Every element keeps its own bytes, so that signatures
//! are checked over what was received and never over a re-encoding.

use crate::time::UnixTime;

/// Universal tag BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Universal tag INTEGER.
pub const INTEGER: u8 = 0x02;
/// Universal tag BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// Universal tag OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Universal tag NULL.
pub const NULL: u8 = 0x05;
/// Universal tag OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// Universal tag ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// Universal tag SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Universal tag SET.
pub const SET: u8 = 0x31;
/// Universal tag UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// Universal tag GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;

/// The bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER: {0}")]
pub struct DerError(pub &'static str);

/// One element: its tag, its content and its whole encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Identifier octet (class, constructed bit and number).
    pub tag: u8,
    /// Content octets.
    pub content: &'a [u8],
    /// Identifier, length and content octets as received.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader over the content.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.content)
    }
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub fn peek_tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element of any tag.
    pub fn element(&mut self) -> Result<Element<'a>, DerError> {
        let bytes = self.rest;
        let (&tag, after_tag) = bytes.split_first().ok_or(DerError("truncated"))?;
        if tag & 0x1f == 0x1f {
            return Err(DerError("high tag number"));
        }
        let (&first, mut after_length) = after_tag.split_first().ok_or(DerError("truncated"))?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return Err(DerError("unsupported length"));
            }
            let octets = after_length.get(..count).ok_or(DerError("truncated"))?;
            after_length = after_length.get(count..).ok_or(DerError("truncated"))?;
            octets.iter().fold(0usize, |length, octet| (length << 8) | usize::from(*octet))
        };
        let content = after_length.get(..length).ok_or(DerError("truncated"))?;
        let rest = after_length.get(length..).ok_or(DerError("truncated"))?;
        let whole = bytes.get(..bytes.len() - rest.len()).ok_or(DerError("truncated"))?;
        self.rest = rest;
        Ok(Element { tag, content, whole })
    }

    /// The next element, which must have `tag`.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        match self.peek_tag() {
            Some(found) if found == tag => self.element(),
            Some(_) => Err(DerError("unexpected tag")),
            None => Err(DerError("truncated")),
        }
    }

    /// The next element if it has `tag`.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.peek_tag() == Some(tag) { self.element().map(Some) } else { Ok(None) }
    }

    /// A SEQUENCE, as reader of its content.
    pub fn sequence(&mut self) -> Result<Reader<'a>, DerError> {
        self.expect(SEQUENCE).map(|element| element.reader())
    }

    /// An INTEGER's content octets (big-endian two's complement, at least one).
    pub fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.expect(INTEGER)?.content;
        if content.is_empty() { Err(DerError("empty integer")) } else { Ok(content) }
    }

    /// An OBJECT IDENTIFIER's content octets.
    pub fn oid(&mut self) -> Result<&'a [u8], DerError> {
        self.expect(OID).map(|element| element.content)
    }

    /// A BIT STRING of whole octets.
    pub fn bit_string(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(BIT_STRING)?.content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(DerError("bit string of partial octets")),
        }
    }

    /// UTCTime or GeneralizedTime.
    pub fn time(&mut self) -> Result<UnixTime, DerError> {
        let element = self.element()?;
        parse_time(element.tag, element.content).ok_or(DerError("malformed time"))
    }

    /// Fails when something is left.
    pub fn finish(self) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(DerError("trailing bytes")) }
    }
}

/// The only element of `bytes`; anything after it is an error.
pub fn single(bytes: &[u8], tag: u8) -> Result<Element<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag)?;
    reader.finish()?;
    Ok(element)
}

fn parse_time(tag: u8, content: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (text, fraction) = match text.split_once('.') {
        Some((text, fraction)) if tag == GENERALIZED_TIME => (text, format!(".{fraction}")),
        Some(_) => return None,
        None => (text, String::new()),
    };
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let full = match (tag, text.len()) {
        (GENERALIZED_TIME, 14) => text.to_owned(),
        (UTC_TIME, 12) => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        (UTC_TIME, 10) => format!("{}{text}00", if text < "50" { "20" } else { "19" }),
        _ => return None,
    };
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}{fraction}Z",
        full.get(..4)?,
        full.get(4..6)?,
        full.get(6..8)?,
        full.get(8..10)?,
        full.get(10..12)?,
        full.get(12..14)?
    );
    UnixTime::parse_rfc3339(&rfc3339)
}

/// Encodes one element.
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length => {
            let octets = (length as u64).to_be_bytes();
            let skip = octets.iter().take_while(|octet| **octet == 0).count();
            out.push(0x80 | (octets.len() - skip) as u8);
            out.extend(octets.iter().skip(skip));
        }
    }
    out.extend_from_slice(content);
    out
}

/// Encodes a SEQUENCE of encoded elements.
pub fn write_sequence(elements: &[&[u8]]) -> Vec<u8> {
    write(SEQUENCE, &elements.concat())
}

/// Encodes a non-negative INTEGER from big-endian octets of any width.
pub fn write_unsigned(magnitude: &[u8]) -> Vec<u8> {
    let skip = magnitude.iter().take_while(|octet| **octet == 0).count();
    let magnitude = magnitude.get(skip..).unwrap_or_default();
    let mut content = Vec::with_capacity(magnitude.len() + 1);
    if magnitude.first().is_none_or(|octet| octet & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(magnitude);
    write(INTEGER, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_truncated_and_trailing_bytes() {
        let encoded = write_sequence(&[&write_unsigned(&[0x80]), &write(OCTET_STRING, &[7; 300])]);
        for length in 0..encoded.len() {
            assert!(single(&encoded[..length], SEQUENCE).is_err(), "{length}");
        }
        let mut reader = single(&encoded, SEQUENCE).unwrap().reader();
        assert_eq!(reader.integer().unwrap(), [0, 0x80]);
        assert_eq!(reader.expect(OCTET_STRING).unwrap().content.len(), 300);
        reader.finish().unwrap();
        assert!(single(&[encoded, vec![0]].concat(), SEQUENCE).is_err());
        assert!(single(&[0x30, 0x80, 0, 0], SEQUENCE).is_err());
        assert!(single(&[0x30, 0x85, 0, 0, 0, 0, 0], SEQUENCE).is_err());
    }

    #[test]
    fn reads_both_time_forms() {
        let read = |tag, text: &str| Reader::new(&write(tag, text.as_bytes())).time().map(|t| t.to_rfc3339());
        assert_eq!(read(UTC_TIME, "491231235959Z").unwrap(), "2049-12-31T23:59:59Z");
        assert_eq!(read(UTC_TIME, "500101000000Z").unwrap(), "1950-01-01T00:00:00Z");
        assert_eq!(read(GENERALIZED_TIME, "20261123225500.25Z").unwrap(), "2026-11-23T22:55:00.250Z");
        assert!(read(UTC_TIME, "261323225500Z").is_err());
        assert!(read(GENERALIZED_TIME, "20261123225500").is_err());
    }
}
