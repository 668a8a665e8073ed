use std::borrow::Cow;

/// Text content as Canonical XML writes it: `&`, `<`, `>` and CR escaped. Safe in any element content.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    escape(text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    })
}

/// An attribute value as Canonical XML writes it between double quotes: `&`, `<`, `"`, TAB, LF and CR escaped.
pub fn escape_attribute(value: &str) -> Cow<'_, str> {
    escape(value, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    })
}

fn escape(text: &str, replacement: impl Fn(u8) -> Option<&'static str>) -> Cow<'_, str> {
    let Some(first) = text.bytes().position(|byte| replacement(byte).is_some()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().skip(first) {
        if let Some(escaped) = replacement(byte) {
            // Only ASCII is replaced, so both ends are character boundaries.
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str(escaped);
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}
