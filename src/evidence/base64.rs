//! Base64 as XML documents carry it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends unbroken base64.
pub(super) fn push(out: &mut String, bytes: &[u8]) {
    STANDARD.encode_string(bytes, out);
}

/// Appends base64 in lines of 76 characters, `line_end` between them.
pub(super) fn push_lines(out: &mut String, bytes: &[u8], line_end: &str) {
    // 57 bytes make 76 characters.
    for (line, chunk) in bytes.chunks(57).enumerate() {
        if line > 0 {
            out.push_str(line_end);
        }
        STANDARD.encode_string(chunk, out);
    }
}

/// Decodes base64 with any XML white space in it; padding is required and unused bits are zero.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let is_space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
    if !text.bytes().any(is_space) {
        return STANDARD.decode(text).ok();
    }
    // Whole lines at a time.
    let mut compact = Vec::with_capacity(text.len());
    text.as_bytes().split(|b| is_space(*b)).for_each(|line| compact.extend_from_slice(line));
    STANDARD.decode(compact).ok()
}

/// Decodes base64 without any white space into the start of `out`, with the same strictness; gives the length. For short
/// values of a known length, which every message has by the dozen.
pub(super) fn decode_into(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let (whole, last) = text.as_chunks::<4>().0.split_at_checked((text.len() / 4).checked_sub(1)?)?;
    let [last] = last else { return None };
    text.len().is_multiple_of(4).then_some(())?;
    let mut invalid = 0;
    let mut quad = |four: &[u8; 4]| {
        let [a, b, c, d] = *four;
        let value = |byte: u8| VALUES[usize::from(byte)];
        let (a, b, c, d) = (value(a), value(b), value(c), value(d));
        invalid |= a | b | c | d;
        let [_, bytes @ ..] =
            (u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d)).to_be_bytes();
        bytes
    };
    let (into, rest) = out.split_at_mut_checked(3 * whole.len())?;
    for (to, four) in into.as_chunks_mut::<3>().0.iter_mut().zip(whole) {
        *to = quad(four);
    }
    let (four, length) = match *last {
        [a, b, b'=', b'='] => ([a, b, b'A', b'A'], 1),
        [a, b, c, b'='] => ([a, b, c, b'A'], 2),
        four => (four, 3),
    };
    let bytes = quad(&four);
    rest.get_mut(..length)?.copy_from_slice(bytes.get(..length)?);
    let unused_are_zero = bytes.get(length..)?.iter().all(|byte| *byte == 0);
    (invalid & INVALID == 0 && unused_are_zero).then_some(3 * whole.len() + length)
}

const INVALID: u8 = 0x80;

/// Values of the letters of the alphabet.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Decodes base64 without any white space.
pub(super) fn decode_plain(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_in_place_takes_and_refuses_what_the_engine_does() {
        let (mut in_place, text) = (
            [0; 96],
            STANDARD.encode((0..64_u8).map(|at| at.wrapping_mul(37).wrapping_add(251)).collect::<Vec<u8>>()),
        );
        for end in 0..=text.len() {
            let mut text = text.as_bytes().get(..end).unwrap().to_vec();
            for at in 0..=text.len() {
                for byte in *b"A/+=-_ \n\0\xff9" {
                    let kept = text.get(at).copied();
                    if let Some(place) = text.get_mut(at) {
                        *place = byte;
                    }
                    let expected = STANDARD.decode(&text).ok().filter(|bytes| !bytes.is_empty());
                    let length = decode_into(&text, &mut in_place);
                    let decoded = length.map(|length| in_place.get(..length).unwrap().to_vec());
                    assert_eq!(decoded, expected, "{}", String::from_utf8_lossy(&text));
                    if let (Some(place), Some(kept)) = (text.get_mut(at), kept) {
                        *place = kept;
                    }
                }
            }
        }
        assert_eq!(decode_into(b"AAAAAAAA", &mut [0; 5]), None, "no room");
    }
}
