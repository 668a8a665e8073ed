//! SOAP faults and how an error is shown to each kind of party.

use std::fmt::Write;

use super::{Fault, XRoadError};

/// How an error reaches its reader: HTTP status, header fields in order, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// HTTP status code.
    pub status: u16,
    /// Header fields in the order of official servers, without `Date` and framing.
    pub headers: Vec<(&'static str, String)>,
    /// The body, UTF-8.
    pub body: Vec<u8>,
}

/// The format of a REST error, chosen by the `Accept` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `application/json`.
    Json,
    /// `application/xml;charset=utf-8`.
    ApplicationXml,
    /// `text/xml;charset=utf-8`.
    TextXml,
}

impl ErrorFormat {
    /// By all values of `Accept`: the first XML type wins, whatever its weight and whatever stands before it;
    /// without any it is JSON (X-Road 7.8 behaviour).
    pub fn from_accept<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        for value in values {
            for range in value.split(|byte| *byte == b',') {
                let kind = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                if kind.eq_ignore_ascii_case(b"text/xml") || kind.eq_ignore_ascii_case(b"text/*") {
                    return Self::TextXml;
                }
                if kind.eq_ignore_ascii_case(b"application/xml") {
                    return Self::ApplicationXml;
                }
            }
        }
        Self::Json
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::ApplicationXml => "application/xml;charset=utf-8",
            Self::TextXml => "text/xml;charset=utf-8",
        }
    }
}

impl Fault {
    /// A fault of this server; `detail` is the random identifier under which it is logged.
    pub fn new(error: &XRoadError, detail: &str) -> Self {
        Self {
            code: error.code().to_owned(),
            string: error.text().to_owned(),
            actor: String::new(),
            detail: detail.to_owned(),
        }
    }

    /// The error that this fault tells of, with its code untouched.
    pub fn error(&self) -> XRoadError {
        XRoadError::with_code(self.code.clone(), self.string.clone())
    }

    /// The fault as official servers write it: one line, UTF-8 (`transport.md` 5.4).
    pub fn to_xml(&self) -> Vec<u8> {
        let mut xml = String::with_capacity(400 + self.string.len());
        xml.push_str(concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope "#,
            r#"xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>"#
        ));
        push_escaped(&mut xml, &self.code);
        xml.push_str("</faultcode><faultstring>");
        push_escaped(&mut xml, &self.string);
        xml.push_str("</faultstring><faultactor>");
        push_escaped(&mut xml, &self.actor);
        xml.push_str(r#"</faultactor><detail><faultDetail xmlns="">"#);
        push_escaped(&mut xml, &self.detail);
        xml.push_str("</faultDetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>");
        xml.into_bytes()
    }

    /// The answer to a REST client: 500 when the code starts with `server.`, else 400 (`transport.md` 2.6).
    pub fn rest_answer(&self, format: ErrorFormat) -> ErrorAnswer {
        let status = if self.code.starts_with("server.") { 500 } else { 400 };
        let body = match format {
            ErrorFormat::Json => self.rest_json(),
            ErrorFormat::ApplicationXml | ErrorFormat::TextXml => self.rest_xml(),
        };
        let code =
            self.code.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        let content_type = format.content_type().to_owned();
        ErrorAnswer { status, headers: vec![("X-Road-Error", code), ("Content-Type", content_type)], body }
    }

    /// The answer to a SOAP client, and the plain fault between servers: always 200.
    pub fn soap_answer(&self) -> ErrorAnswer {
        soap_fault_answer(self.to_xml())
    }

    fn rest_json(&self) -> Vec<u8> {
        let text = |value: &str| serde_json::Value::from(value).to_string();
        let (code, string, detail) = (text(&self.code), text(&self.string), text(&self.detail));
        format!(r#"{{"type":{code},"message":{string},"detail":{detail}}}"#).into_bytes()
    }

    fn rest_xml(&self) -> Vec<u8> {
        let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?><error><type>"#);
        push_escaped(&mut xml, &self.code);
        xml.push_str("</type><message>");
        push_escaped(&mut xml, &self.string);
        xml.push_str("</message><detail>");
        push_escaped(&mut xml, &self.detail);
        xml.push_str("</detail></error>");
        xml.into_bytes()
    }
}

/// A SOAP answer that carries the bytes of a fault as they came, for example of the provider's service.
pub fn soap_fault_answer(fault_xml: Vec<u8>) -> ErrorAnswer {
    let headers = vec![("Content-Type", "text/xml;charset=utf-8".to_owned()), ("SOAPAction", String::new())];
    ErrorAnswer { status: 200, headers, body: fault_xml }
}

// Characters that XML 1.0 cannot hold are replaced, so that any text gives a well-formed answer.
fn push_escaped(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => xml.push(c),
            _ => {
                // Writing into a String cannot fail.
                let _ = write!(xml, "\u{fffd}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ErrorCode;

    fn fault(text: &'static str) -> Fault {
        Fault::new(&XRoadError::new(ErrorCode::UnknownService, text).prefixed("server.serverproxy"), "d-1")
    }

    #[test]
    fn writes_a_fault_as_one_line() {
        let expected = concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/"#,
            r#"soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>server.serverproxy.unknown_service"#,
            r#"</faultcode><faultstring>a &lt;&amp;&quot;</faultstring><faultactor></faultactor><detail>"#,
            r#"<faultDetail xmlns="">d-1</faultDetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body>"#,
            r#"</SOAP-ENV:Envelope>"#
        );
        assert_eq!(String::from_utf8(fault("a <&\"").to_xml()).unwrap(), expected);
    }

    #[test]
    fn any_text_gives_a_well_formed_answer() {
        let fault = fault("\0%\u{1b}\u{ffff}]]>\"\n");
        let xml = String::from_utf8(fault.to_xml()).unwrap();
        assert!(xml.contains("<faultstring>\u{fffd}%\u{fffd}\u{fffd}]]&gt;&quot;\n</faultstring>"));
        let json: serde_json::Value =
            serde_json::from_slice(&fault.rest_answer(ErrorFormat::Json).body).unwrap();
        assert_eq!(json["message"], "\0%\u{1b}\u{ffff}]]>\"\n");
    }

    #[test]
    fn trap_transport_39_xml_anywhere_in_accept_beats_json() {
        let format = |accept: &[&str]| ErrorFormat::from_accept(accept.iter().map(|value| value.as_bytes()));
        assert_eq!(format(&[]), ErrorFormat::Json);
        assert_eq!(format(&["*/*"]), ErrorFormat::Json);
        assert_eq!(format(&["application/json, text/xml;q=0.1"]), ErrorFormat::TextXml);
        assert_eq!(format(&["application/json", "TEXT/*"]), ErrorFormat::TextXml);
        assert_eq!(
            format(&["application/json, application/xml; q=0, text/xml"]),
            ErrorFormat::ApplicationXml
        );
    }

    #[test]
    fn trap_transport_06_the_status_of_a_rest_error_depends_on_the_spelling_of_its_code() {
        let status = |code: &'static str| {
            Fault::new(&XRoadError::with_code(code, ""), "").rest_answer(ErrorFormat::Json).status
        };
        assert_eq!(status("server.serverproxy.access_denied"), 500);
        assert_eq!(status("Server.ServerProxy.AccessDenied"), 400);
        assert_eq!(status("client.invalid_soap"), 400);
    }

    #[test]
    fn trap_transport_07_soap_errors_are_http_200() {
        let answer = fault("x").soap_answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers[0], ("Content-Type", "text/xml;charset=utf-8".to_owned()));
        assert_eq!(answer.headers[1], ("SOAPAction", String::new()));
    }
}
