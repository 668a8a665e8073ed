//! BER to DER: definite minimal lengths and strings in one piece, everything else as it is.

use crate::crypto::der::{DerError, Reader, write};

/// Nesting of a token; a certificate inside one needs about twelve levels.
const DEPTH_MAX: usize = 40;
const CONSTRUCTED: u8 = 0x20;
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// Transcodes exactly one value; nothing may follow it.
///
/// Sets keep their order and primitive values their bytes, so that digests over DER parts stay true.
///
/// # Errors
/// Malformed or nested too deeply. Work is bounded by the input times the nesting.
pub(super) fn to_der(bytes: &[u8]) -> Result<Vec<u8>, DerError> {
    let (der, used) = value(bytes, 0)?;
    if used != bytes.len() {
        return Err(DerError("bytes after the end"));
    }
    Ok(der)
}

/// One value in DER, and how many bytes of the input it took.
fn value(bytes: &[u8], depth: usize) -> Result<(Vec<u8>, usize), DerError> {
    if depth > DEPTH_MAX {
        return Err(DerError("nested too deeply"));
    }
    let (tag, start, length) = header(bytes)?;
    let rest = bytes.get(start..).unwrap_or_default();
    let content = match length {
        Some(length) => rest.get(..length).ok_or(DerError("cut off"))?,
        None => rest,
    };
    if tag & CONSTRUCTED == 0 {
        let length = length.ok_or(DerError("primitive value of indefinite length"))?;
        return Ok((write(tag, content), start + length));
    }
    let mut children = Vec::new();
    let mut at = 0;
    loop {
        let rest = content.get(at..).unwrap_or_default();
        if length.is_none() && rest.starts_with(&END_OF_CONTENTS) {
            at += END_OF_CONTENTS.len();
            break;
        }
        if length.is_some() && rest.is_empty() {
            break;
        }
        let (child, used) = value(rest, depth + 1)?;
        children.extend_from_slice(&child);
        at += used;
    }
    Ok((in_one_piece(tag, &children)?, start + at))
}

/// A constructed value; strings (universal, but no sequence, set, external or embedded value) are joined.
fn in_one_piece(tag: u8, children: &[u8]) -> Result<Vec<u8>, DerError> {
    let number = tag & 0x1f;
    let is_universal = tag & 0xc0 == 0;
    match number {
        _ if !is_universal => Ok(write(tag, children)),
        0x08 | 0x0b | 0x10 | 0x11 => Ok(write(tag, children)),
        0x04 | 0x0c | 0x12..=0x1e => {
            let mut pieces = Reader::new(children);
            let mut joined = Vec::with_capacity(children.len());
            while !pieces.is_empty() {
                joined.extend_from_slice(pieces.expect(number)?.content);
            }
            Ok(write(number, &joined))
        }
        _ => Err(DerError("constructed value of a primitive type")),
    }
}

/// Tag, length of the header, and length of the content (`None` when it is indefinite).
fn header(bytes: &[u8]) -> Result<(u8, usize, Option<usize>), DerError> {
    const CUT: DerError = DerError("truncated");
    let (&tag, &first) = (bytes.first().ok_or(CUT)?, bytes.get(1).ok_or(CUT)?);
    if tag & 0x1f == 0x1f {
        return Err(DerError("high tag number"));
    }
    match first {
        0..=0x7f => Ok((tag, 2, Some(first.into()))),
        0x80 => Ok((tag, 2, None)),
        0x81..=0x84 => {
            let digits = usize::from(first & 0x7f);
            let length = bytes.get(2..2 + digits).ok_or(CUT)?;
            let length = length.iter().fold(0u64, |sum, digit| sum << 8 | u64::from(*digit));
            Ok((tag, 2 + digits, Some(usize::try_from(length).map_err(|_| CUT)?)))
        }
        _ => Err(DerError("unsupported length")),
    }
}
