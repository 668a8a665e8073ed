use std::borrow::Cow;

/// Text content as Canonical XML writes it: `&`, `<`, `>` and CR escaped. Safe in any element content.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    escape(text, in_text)
}

/// An attribute value as Canonical XML writes it between double quotes: `&`, `<`, `"`, TAB, LF and CR escaped.
pub fn escape_attribute(value: &str) -> Cow<'_, str> {
    escape(value, in_attribute)
}

pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push(out, text.as_bytes(), in_text);
}

pub(super) fn push_attribute(out: &mut Vec<u8>, value: &str) {
    push(out, value.as_bytes(), in_attribute);
}

fn in_text(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

fn in_attribute(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

fn escape(text: &str, replacement: impl Fn(u8) -> Option<&'static str>) -> Cow<'_, str> {
    if !text.bytes().any(|byte| replacement(byte).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    push(&mut out, text.as_bytes(), replacement);
    // Only ASCII was replaced, by ASCII, so this is UTF-8 still.
    Cow::Owned(String::from_utf8(out).unwrap_or_default())
}

fn push(out: &mut Vec<u8>, text: &[u8], replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        if let Some(escaped) = replacement(*byte) {
            out.extend_from_slice(text.get(from..at).unwrap_or_default());
            out.extend_from_slice(escaped.as_bytes());
            from = at + 1;
        }
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
}
