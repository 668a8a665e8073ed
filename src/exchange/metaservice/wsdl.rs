//! A WSDL without the address of the inner service.

use bytes::Bytes;

use crate::message::{ErrorCode, XRoadError};
use crate::xml::{Event, Limits, Reader, escape_attribute};

const SOAP_BINDING: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
const ENDPOINT: &str = "http://example.org/xroad-endpoint";

/// Puts a fixed address into every `soap:address/@location`; all other bytes stay. Error: `internal_error` for what is no
/// well-formed XML.
pub fn anonymise(wsdl: &[u8]) -> Result<Bytes, XRoadError> {
    let unreadable = |error: crate::xml::XmlError| {
        XRoadError::new(ErrorCode::InternalError, format!("the service's WSDL cannot be read: {error}"))
    };
    let mut reader = Reader::new(wsdl, &Limits::default()).map_err(unreadable)?;
    let mut out: Vec<u8> = Vec::with_capacity(wsdl.len() + 64);
    let mut copied = 0;
    while let Some(event) = reader.next().map_err(unreadable)? {
        let Event::Start(tag) = event else { continue };
        if !tag.is(SOAP_BINDING, "address") {
            continue;
        }
        let range = tag.range.clone();
        out.extend_from_slice(wsdl.get(copied..range.start).unwrap_or_default());
        rewrite(&mut out, &tag);
        copied = range.end;
    }
    out.extend_from_slice(wsdl.get(copied..).unwrap_or_default());
    Ok(Bytes::from(out))
}

fn rewrite(out: &mut Vec<u8>, tag: &crate::xml::StartTag<'_, '_>) {
    let qualified = |prefix: &str, local: &str| match prefix {
        "" => local.to_string(),
        prefix => format!("{prefix}:{local}"),
    };
    let mut text = format!("<{}", qualified(tag.prefix, tag.local));
    for (prefix, uri) in tag.declarations() {
        let name = if prefix.is_empty() { "xmlns".to_string() } else { format!("xmlns:{prefix}") };
        text.push_str(&format!(" {name}=\"{}\"", escape_attribute(uri)));
    }
    for attribute in tag.attributes() {
        let location = attribute.prefix.is_empty() && attribute.local == "location";
        let value = if location { ENDPOINT.into() } else { escape_attribute(attribute.value) };
        text.push_str(&format!(" {}=\"{value}\"", qualified(attribute.prefix, attribute.local)));
    }
    text.push_str(if tag.empty { "/>" } else { ">" });
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_the_soap_binding_changes() {
        let wsdl = br#"<?xml version="1.0"?><w:d xmlns:w="u" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"><!--c--><s:address a='1' location="http://10.0.0.1/x?a&amp;b"/><w:address location="k"/></w:d>"#;
        let out = anonymise(wsdl).unwrap();
        let expected = r#"<?xml version="1.0"?><w:d xmlns:w="u" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"><!--c--><s:address a="1" location="http://example.org/xroad-endpoint"/><w:address location="k"/></w:d>"#;
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        assert!(anonymise(b"<!DOCTYPE x><x/>").is_err());
    }
}
