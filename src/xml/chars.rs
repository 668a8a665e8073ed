//! Character classes of XML 1.0 (fifth edition).

/// Bits of the class of one byte.
pub(super) mod class {
    /// Needs a look in text or attribute values: markup, references, line ends, controls, and the lead byte of U+FFFE.
    pub(in crate::xml) const SPECIAL: u8 = 1;
    /// May start a name (ASCII only; no colon).
    pub(in crate::xml) const NAME_START: u8 = 2;
    /// May continue a name (ASCII only; no colon).
    pub(in crate::xml) const NAME: u8 = 4;
    /// White space.
    pub(in crate::xml) const SPACE: u8 = 8;
    /// Control characters that no document may contain.
    pub(in crate::xml) const FORBIDDEN: u8 = 16;
    /// As `SPECIAL`, for attribute values: quotes, TAB and LF too.
    pub(in crate::xml) const SPECIAL_IN_VALUE: u8 = 32;
}

/// Class bits by byte.
pub(super) static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut bits = 0;
        if b.is_ascii_alphabetic() || b == b'_' {
            bits |= class::NAME_START | class::NAME;
        }
        if b.is_ascii_digit() || b == b'-' || b == b'.' {
            bits |= class::NAME;
        }
        if matches!(b, b' ' | b'\t' | b'\n' | b'\r') {
            bits |= class::SPACE;
        }
        if b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r') {
            bits |= class::FORBIDDEN | class::SPECIAL | class::SPECIAL_IN_VALUE;
        }
        if matches!(b, b'<' | b'&' | b'\r' | 0xEF) {
            bits |= class::SPECIAL | class::SPECIAL_IN_VALUE;
        }
        if b == b'>' {
            bits |= class::SPECIAL;
        }
        if matches!(b, b'"' | b'\'' | b'\t' | b'\n') {
            bits |= class::SPECIAL_IN_VALUE;
        }
        table[byte] = bits;
        byte += 1;
    }
    table
}

pub(super) fn is(byte: u8, bits: u8) -> bool {
    CLASS[byte as usize] & bits != 0
}

/// Whether a character may stand in a document (production 2).
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Length in bytes of the name without colon at the start of `text`; 0 when there is none.
pub(super) fn ncname_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let Some(&byte) = bytes.get(at) else { return at };
        if byte < 0x80 {
            if !is(byte, if at == 0 { class::NAME_START } else { class::NAME }) {
                return at;
            }
            at += 1;
            continue;
        }
        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { return at };
        if !(if at == 0 { is_name_start(c) } else { is_name(c) }) {
            return at;
        }
        at += c.len_utf8();
    }
}

/// The byte offset of the first character of `text` that no document may contain.
pub(super) fn forbidden_at(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().find_map(|(at, byte)| {
        let bad = is(*byte, class::FORBIDDEN) || (*byte == 0xEF && is_noncharacter(bytes, at));
        bad.then_some(at)
    })
}

/// Whether U+FFFE or U+FFFF starts at `at`, in valid UTF-8.
pub(super) fn is_noncharacter(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..at + 3), Some([0xEF, 0xBF, 0xBE | 0xBF]))
}
