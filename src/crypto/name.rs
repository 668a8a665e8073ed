//! Distinguished names.

use std::fmt;
use std::sync::Arc;

use super::der::{self, DerError, Reader};
use super::{sha1, to_hex};

/// A distinguished name; cloning is cheap.
///
/// Equality is the one official servers use: upper and lower case, blanks and the order of the parts do not
/// matter. `Display` is the RFC 2253 text that Java writes into signatures.
#[derive(Clone)]
pub struct Name(Arc<Inner>);

struct Inner {
    der: Box<[u8]>,
    parts: Vec<Vec<Attribute>>,
    canonical: String,
}

struct Attribute {
    oid: Box<[u8]>,
    value: Box<[u8]>,
    text: Option<String>,
}

/// serialNumber.
pub const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
/// commonName.
pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// countryName.
pub const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
/// organizationName.
pub const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// organizationalUnitName.
pub const ORGANIZATIONAL_UNIT: &[u8] = &[0x55, 0x04, 0x0b];
/// businessCategory.
pub const BUSINESS_CATEGORY: &[u8] = &[0x55, 0x04, 0x0f];
/// organizationIdentifier.
pub const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 0x04, 0x61];

impl Name {
    /// serialNumber.
    pub const SERIAL_NUMBER: &'static [u8] = SERIAL_NUMBER;
    /// commonName.
    pub const COMMON_NAME: &'static [u8] = COMMON_NAME;
    /// countryName.
    pub const COUNTRY: &'static [u8] = COUNTRY;
    /// organizationName.
    pub const ORGANIZATION: &'static [u8] = ORGANIZATION;
    /// organizationalUnitName.
    pub const ORGANIZATIONAL_UNIT: &'static [u8] = ORGANIZATIONAL_UNIT;
    /// businessCategory.
    pub const BUSINESS_CATEGORY: &'static [u8] = BUSINESS_CATEGORY;
    /// organizationIdentifier.
    pub const ORGANIZATION_IDENTIFIER: &'static [u8] = ORGANIZATION_IDENTIFIER;

    /// Reads a DER `Name`.
    pub fn from_der(bytes: &[u8]) -> Result<Self, DerError> {
        let mut list = der::single(bytes, der::SEQUENCE)?.reader();
        let mut parts = Vec::new();
        while !list.is_empty() {
            let mut set = list.expect(der::SET)?.reader();
            let mut attributes = Vec::new();
            while !set.is_empty() {
                attributes.push(Attribute::read(&mut set)?);
            }
            if attributes.is_empty() {
                return Err(DerError("empty relative name"));
            }
            parts.push(attributes);
        }
        let canonical = canonical(&parts);
        Ok(Self(Arc::new(Inner { der: bytes.into(), parts, canonical })))
    }

    /// The DER bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-1 of the DER bytes: OCSP's issuer name hash.
    pub fn sha1(&self) -> [u8; 20] {
        sha1(&self.0.der)
    }

    /// A text that is the same for equal names; for look-up tables.
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }

    /// A line for people: what identifies the holder, without encodings. Two names may share it.
    pub fn for_people(&self) -> String {
        let parts =
            [("CN", COMMON_NAME), ("serialNumber", SERIAL_NUMBER), ("O", ORGANIZATION), ("C", COUNTRY)];
        let known = parts.iter().filter_map(|(name, oid)| Some(format!("{name}={}", self.attribute(oid)?)));
        let known: Vec<String> = known.collect();
        if known.is_empty() { self.to_string() } else { known.join(", ") }
    }

    /// The value of an attribute as certificate profiles read it (`trust.md` 5.2): the last part in DER
    /// order that has the type counts, of that part the first attribute, escaped as in RFC 4514.
    pub fn attribute(&self, oid: &[u8]) -> Option<String> {
        let part = self.0.parts.iter().rev().find(|part| part.iter().any(|found| *found.oid == *oid))?;
        part.first().map(|first| match &first.text {
            Some(text) => escape_rfc4514(text),
            None => format!("#{}", to_hex(&first.value)),
        })
    }
}

impl Attribute {
    fn read(set: &mut Reader<'_>) -> Result<Self, DerError> {
        let mut pair = set.sequence()?;
        let oid = pair.oid()?;
        let value = pair.element()?;
        pair.finish()?;
        let text = decode_text(value.tag, value.content);
        Ok(Self { oid: oid.into(), value: value.whole.into(), text })
    }
}

// Directory string types as text; anything else is kept as its encoding only.
fn decode_text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        // UTF8String
        0x0c => Some(String::from_utf8_lossy(content).into_owned()),
        // NumericString, PrintableString, TeletexString, IA5String, VisibleString, GeneralString
        0x12 | 0x13 | 0x14 | 0x16 | 0x1a | 0x1b => Some(content.iter().map(|b| char::from(*b)).collect()),
        // BMPString
        0x1e => {
            let units = content.chunks(2).map(|pair| pair.iter().fold(0u16, |u, b| u << 8 | u16::from(*b)));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        // UniversalString
        0x1c => {
            let points = content.chunks(4).map(|four| four.iter().fold(0u32, |p, b| p << 8 | u32::from(*b)));
            Some(points.map(|p| char::from_u32(p).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

// Parts sorted, values lower-cased, trimmed, runs of blanks collapsed. Separators cannot occur in values:
// control characters are escaped.
fn canonical(parts: &[Vec<Attribute>]) -> String {
    let part_text = |part: &Vec<Attribute>| {
        let values: Vec<String> = part
            .iter()
            .map(|attribute| {
                let value = match &attribute.text {
                    Some(text) => {
                        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
                        words.join(" ").to_lowercase().replace(['\u{1}', '\u{2}', '\u{3}'], "\u{3}")
                    }
                    None => format!("#{}", to_hex(&attribute.value)),
                };
                format!("{}={value}", to_hex(&attribute.oid))
            })
            .collect();
        values.join("\u{1}")
    };
    let mut texts: Vec<String> = parts.iter().map(part_text).collect();
    texts.sort();
    texts.join("\u{2}")
}

fn escape_rfc4514(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    let leading = text.chars().take_while(|c| *c == ' ').count();
    let trailing = text.chars().rev().take_while(|c| *c == ' ').count();
    for (at, c) in text.chars().enumerate() {
        let special = matches!(c, ',' | '"' | '\\' | '+' | '=' | '<' | '>' | ';')
            || (c == '#' && at == 0)
            || (c == ' ' && (at < leading || at + trailing > last));
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

// Keywords of RFC 2253; Java writes every other type as its dotted number with the value in hexadecimal.
fn keyword(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        COMMON_NAME => "CN",
        COUNTRY => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        ORGANIZATION => "O",
        ORGANIZATIONAL_UNIT => "OU",
        [0x55, 0x04, 0x09] => "STREET",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => return None,
    })
}

fn dotted(oid: &[u8]) -> String {
    let mut out = String::new();
    let mut number = 0u64;
    for octet in oid {
        number = number.wrapping_shl(7) | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if out.is_empty() {
            let first = (number / 40).min(2);
            out = format!("{first}.{}", number - first * 40);
        } else {
            out.push_str(&format!(".{number}"));
        }
        number = 0;
    }
    out
}

// Java escapes '=' and '#' wherever they stand, and blanks only at the ends.
fn escape_java(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    let leading = text.chars().take_while(|c| *c == ' ').count();
    let trailing = text.chars().rev().take_while(|c| *c == ' ').count();
    for (at, c) in text.chars().enumerate() {
        match c {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', c]),
            ' ' if at < leading || at + trailing > last => out.push_str("\\ "),
            '\0' => out.push_str("\\00"),
            _ => out.push(c),
        }
    }
    out
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.parts.iter().rev().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            for (at, attribute) in part.iter().enumerate() {
                if at > 0 {
                    f.write_str("+")?;
                }
                match (keyword(&attribute.oid), &attribute.text) {
                    (Some(keyword), Some(text)) => write!(f, "{keyword}={}", escape_java(text))?,
                    (Some(keyword), None) => write!(f, "{keyword}=#{}", to_hex(&attribute.value))?,
                    (None, _) => write!(f, "{}=#{}", dotted(&attribute.oid), to_hex(&attribute.value))?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.canonical == other.0.canonical
    }
}

impl Eq for Name {}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.canonical.hash(state);
    }
}
