use std::borrow::Cow;
use std::ops::Range;

use crate::message::{ErrorCode, XRoadError};

/// A value of `Content-Type`, looked at without losing how it was written.
#[derive(Debug, Clone)]
pub struct ContentType<'a> {
    value: &'a str,
    base: &'a str,
    parameters: Vec<(&'a str, Range<usize>)>,
}

impl<'a> ContentType<'a> {
    /// Reads a value; `None` when it has no type or a parameter that cannot be read.
    pub fn parse(value: &'a str) -> Option<Self> {
        let base = value.split(';').next().unwrap_or_default();
        let mut at = base.len();
        let base = base.trim();
        if base.is_empty() {
            return None;
        }
        let mut parameters = Vec::new();
        loop {
            let rest = value.get(at..)?;
            let start = at + rest.len() - rest.trim_start_matches([';', ' ', '\t']).len();
            let rest = value.get(start..)?;
            if rest.is_empty() {
                return Some(Self { value, base, parameters });
            }
            let equals = rest.find('=')?;
            let name = rest.get(..equals)?.trim();
            let from = start + equals + 1;
            let from = from + value.get(from..)?.len() - value.get(from..)?.trim_start().len();
            let length = value_length(value.get(from..)?)?;
            parameters.push((name, from..from + length));
            at = from + length;
        }
    }

    /// Type and subtype as written.
    pub fn base(&self) -> &'a str {
        self.base
    }

    /// Whether this is that type, without case.
    pub fn is(&self, base: &str) -> bool {
        self.base.eq_ignore_ascii_case(base)
    }

    /// Whether a SOAP envelope may come as this: `text/xml` or `application/xop+xml`.
    pub fn is_soap(&self) -> bool {
        self.is("text/xml") || self.is("application/xop+xml")
    }

    /// Whether this is `multipart/related`.
    pub fn is_related(&self) -> bool {
        self.is("multipart/related")
    }

    /// Whether it names no character set, or one that is known.
    pub fn has_known_charset(&self) -> bool {
        self.parameter("charset").is_none_or(|charset| is_known_charset(&charset))
    }

    /// The value of a parameter without its quotes, name without case.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let range = &self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?.1;
        let value = self.value.get(range.clone())?;
        let Some(quoted) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
            return Some(Cow::Borrowed(value.trim_end()));
        };
        if !quoted.contains('\\') {
            return Some(Cow::Borrowed(quoted));
        }
        let mut text = String::with_capacity(quoted.len());
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            text.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
        }
        Some(Cow::Owned(text))
    }

    /// The same of a parameter that is given once: of two, readers take one or the other.
    pub fn only_parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let count = self.parameters.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count();
        if count == 1 { self.parameter(name) } else { None }
    }

    /// The value with this parameter put in place of its old value, or appended as `;name=value`.
    pub fn with_parameter(&self, name: &str, new: &str) -> String {
        match self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            None => format!("{};{name}={new}", self.value),
            Some((_, range)) => {
                let (before, after) = (self.value.get(..range.start), self.value.get(range.end..));
                format!("{}{new}{}", before.unwrap_or_default(), after.unwrap_or_default())
            }
        }
    }
}

// A quoted string with its quotes, or everything up to the next semicolon.
fn value_length(rest: &str) -> Option<usize> {
    if !rest.starts_with('"') {
        return Some(rest.find(';').unwrap_or(rest.len()));
    }
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// How a SOAP message comes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoapBodyKind {
    /// The body is the envelope.
    Envelope,
    /// The body is `multipart/related` with this boundary.
    Related {
        /// The boundary parameter.
        boundary: String,
    },
}

/// What a client's or a service's `Content-Type` says of the body.
///
/// Errors: `internal_error` when it is missing, empty or names an unknown character set (official servers show it
/// with the prefix of the server, not `client`); `invalid_content_type` for a wrong type or no boundary.
pub fn soap_body_kind(content_type: Option<&str>) -> Result<SoapBodyKind, XRoadError> {
    let internal = |text: &'static str| XRoadError::new(ErrorCode::InternalError, text);
    let value = content_type.map(str::trim).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| internal("Content-Type header is missing"))?;
    let kind = ContentType::parse(value).ok_or_else(|| internal("Content-Type header is malformed"))?;
    if !kind.has_known_charset() {
        return Err(internal("Content-Type header names an unknown character set"));
    }
    if kind.is_soap() {
        return Ok(SoapBodyKind::Envelope);
    }
    let refuse = |text: String| XRoadError::new(ErrorCode::InvalidContentType, text);
    if !kind.is_related() {
        return Err(refuse(format!("Invalid content type: {}", kind.base())));
    }
    match kind.only_parameter("boundary").filter(|boundary| !boundary.is_empty()) {
        Some(boundary) => Ok(SoapBodyKind::Related { boundary: boundary.into_owned() }),
        None => Err(refuse("multipart/related without boundary".to_owned())),
    }
}

/// The `Content-Type` of a SOAP message towards client or service (`transport.md` 2.5, 6.1): the sender's own for a
/// MIME message, in UTF-8, with the boundary of the rebuilt body; otherwise always `text/xml; charset=UTF-8`.
pub fn answer_content_type(original: &str, has_attachments: bool, boundary: &str) -> String {
    const PLAIN: &str = "text/xml; charset=UTF-8";
    let fallback = || format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}");
    let Some(kind) = ContentType::parse(original).filter(ContentType::is_related) else {
        return if has_attachments { fallback() } else { PLAIN.to_owned() };
    };
    let value = kind.with_parameter("boundary", boundary);
    let Some(kind) = ContentType::parse(&value) else { return fallback() };
    match kind.parameter("charset") {
        Some(charset) if charset.eq_ignore_ascii_case("utf-8") => value,
        _ => kind.with_parameter("charset", "utf-8"),
    }
}

fn is_known_charset(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let families = ["iso-8859-", "windows-125", "utf-16", "utf-32", "koi8-", "ibm", "cp"];
    ["utf-8", "utf8", "us-ascii", "ascii", "latin1", "iso8859-1"].contains(&name.as_str())
        || families.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters_as_they_are_written() {
        let kind = ContentType::parse("Multipart/Related ; type=\"a;b\"; BOUNDARY=x-y ; start=\"<a\\\"b>\"")
            .unwrap();
        assert!(kind.is_related());
        assert_eq!(kind.parameter("boundary").unwrap(), "x-y");
        assert_eq!(kind.parameter("type").unwrap(), "a;b");
        assert_eq!(kind.parameter("start").unwrap(), "<a\"b>");
        assert!(ContentType::parse("").is_none());
        assert!(ContentType::parse("a/b; x").is_none());
        assert!(ContentType::parse("a/b; x=\"y").is_none());
    }

    #[test]
    fn client_content_types_have_the_errors_of_official_servers() {
        let code = |value| soap_body_kind(value).unwrap_err().code().to_owned();
        assert_eq!(code(None), "internal_error");
        assert_eq!(code(Some(" ")), "internal_error");
        assert_eq!(code(Some("text/xml; charset=nonsense")), "internal_error");
        assert_eq!(code(Some("application/json")), "invalid_content_type");
        assert_eq!(code(Some("multipart/related; boundary=a; boundary=b")), "invalid_content_type");
        assert_eq!(soap_body_kind(Some("Text/XML;charset=\"utf-8\"; x=y")).unwrap(), SoapBodyKind::Envelope);
        let related = SoapBodyKind::Related { boundary: "b".into() };
        assert_eq!(soap_body_kind(Some("multipart/related; boundary=\"b\"")).unwrap(), related);
    }

    #[test]
    fn trap_transport_24_only_a_mime_message_keeps_its_content_type() {
        assert_eq!(
            answer_content_type("text/xml; charset=ISO-8859-1", false, "n"),
            "text/xml; charset=UTF-8"
        );
        let kept = answer_content_type("multipart/related; charset=latin1; boundary=\"o\"", false, "n");
        assert_eq!(kept, "multipart/related; charset=utf-8; boundary=n");
        let appended = answer_content_type("multipart/related; boundary=\"o\"", true, "n");
        assert_eq!(appended, "multipart/related; boundary=n;charset=utf-8");
        let same = "multipart/related; charset=UTF-8; boundary=n";
        assert_eq!(answer_content_type(same, true, "n"), same);
    }
}
