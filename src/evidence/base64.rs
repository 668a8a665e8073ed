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

/// Decodes base64 without any white space.
pub(super) fn decode_plain(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
