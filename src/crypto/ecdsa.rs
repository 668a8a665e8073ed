//! The two encodings of an ECDSA value: r and s side by side (XML signatures) and ASN.1 (everything else).

use super::der::{self, DerError};

/// Raw `r || s`, each `width` bytes, from an ASN.1 value. Fails when a number is negative or too wide.
pub fn der_to_raw(signature: &[u8], width: usize) -> Result<Vec<u8>, DerError> {
    let mut numbers = der::single(signature, der::SEQUENCE)?.reader();
    let mut raw = vec![0; 2 * width];
    for half in raw.chunks_exact_mut(width.max(1)) {
        let number = numbers.integer()?;
        if number.first().is_some_and(|octet| octet & 0x80 != 0) {
            return Err(DerError("negative number"));
        }
        let skip = number.iter().take_while(|octet| **octet == 0).count();
        pad_left(number.get(skip..).unwrap_or_default(), half).ok_or(DerError("number too wide"))?;
    }
    numbers.finish()?;
    Ok(raw)
}

/// The ASN.1 form of raw `r || s` of any even length; `None` for an odd or empty one.
pub fn raw_to_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = halves(signature)?;
    Some(der::write_sequence(&[&der::write_unsigned(r), &der::write_unsigned(s)]))
}

/// Raw `r || s` at full width: peers may leave out leading zeros, as many in both halves
/// (`signature.md`, trap 11). `None` when it is empty, odd or too long.
pub fn widen_raw(signature: &[u8], width: usize) -> Option<Vec<u8>> {
    let (r, s) = halves(signature)?;
    let mut raw = vec![0; 2 * width];
    let (left, right) = raw.split_at_mut(width);
    pad_left(r, left)?;
    pad_left(s, right)?;
    Some(raw)
}

fn halves(signature: &[u8]) -> Option<(&[u8], &[u8])> {
    let even = !signature.is_empty() && signature.len().is_multiple_of(2);
    even.then(|| signature.split_at(signature.len() / 2))
}

fn pad_left(number: &[u8], to: &mut [u8]) -> Option<()> {
    let start = to.len().checked_sub(number.len())?;
    to.get_mut(start..)?.copy_from_slice(number);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widens_short_halves() {
        assert_eq!(widen_raw(&[5, 3], 3).unwrap(), [0, 0, 5, 0, 0, 3]);
        assert_eq!(widen_raw(&[5, 3, 1], 3), None);
        assert_eq!(widen_raw(&[1; 8], 3), None);
        assert_eq!(widen_raw(&[], 3), None);
    }

    #[test]
    fn refuses_negative_and_wide_numbers() {
        assert!(der_to_raw(&[0x30, 6, 2, 1, 0x80, 2, 1, 1], 32).is_err());
        assert!(der_to_raw(&[0x30, 7, 2, 2, 1, 1, 2, 1, 1], 1).is_err());
        assert_eq!(der_to_raw(&[0x30, 6, 2, 1, 5, 2, 1, 1], 2).unwrap(), [0, 5, 0, 1]);
    }
}
