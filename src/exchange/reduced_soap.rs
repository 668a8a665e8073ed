//! A SOAP message reduced to its header fields, for services whose bodies are not logged (`signature.md` 7.1).

use std::fmt::Write;

use bytes::Bytes;

use crate::log::Direction;
use crate::message::{
    IDENTIFIERS_NAMESPACE, REPRESENTATION_NAMESPACE, SOAP_NAMESPACE, SoapHeader, XROAD_NAMESPACE,
};
use crate::xml::{escape_attribute, escape_text};

/// The known header fields and, as body, one empty element named after the service.
pub fn reduce(header: &SoapHeader, direction: Direction) -> Bytes {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP_NAMESPACE}\" \
         xmlns:id=\"{IDENTIFIERS_NAMESPACE}\" xmlns:repr=\"{REPRESENTATION_NAMESPACE}\" \
         xmlns:xroad=\"{XROAD_NAMESPACE}\"><SOAP-ENV:Header>"
    );
    let client = &header.client;
    let mut fields = vec![
        ("xRoadInstance", client.instance()),
        ("memberClass", client.member_class()),
        ("memberCode", client.member_code()),
    ];
    fields.extend(client.subsystem_code().map(|code| ("subsystemCode", code)));
    identifier(&mut xml, "client", client.type_name(), &fields);
    let service = &header.service;
    let provider = service.client();
    let mut fields = vec![
        ("xRoadInstance", provider.instance()),
        ("memberClass", provider.member_class()),
        ("memberCode", provider.member_code()),
    ];
    fields.extend(provider.subsystem_code().map(|code| ("subsystemCode", code)));
    fields.push(("serviceCode", service.service_code()));
    fields.extend(service.service_version().map(|version| ("serviceVersion", version)));
    identifier(&mut xml, "service", "SERVICE", &fields);
    if let Some(party) = &header.represented_party {
        xml.push_str("<repr:representedParty>");
        if let Some(class) = &party.party_class {
            element(&mut xml, "repr:partyClass", class);
        }
        if let Some(code) = &party.party_code {
            element(&mut xml, "repr:partyCode", code);
        }
        xml.push_str("</repr:representedParty>");
    }
    if let Some(user) = &header.user_id {
        element(&mut xml, "xroad:userId", user);
    }
    if let Some(issue) = &header.issue {
        element(&mut xml, "xroad:issue", issue);
    }
    element(&mut xml, "xroad:id", &header.message_id);
    if let Some(hash) = &header.request_hash {
        let algorithm = escape_attribute(&hash.algorithm);
        // Writing into a String cannot fail.
        let _ = write!(
            xml,
            "<xroad:requestHash algorithmId=\"{algorithm}\">{}</xroad:requestHash>",
            escape_text(&hash.value)
        );
    }
    element(&mut xml, "xroad:protocolVersion", &header.protocol_version);
    let suffix = if direction == Direction::Response { "Response" } else { "" };
    let _ = write!(
        xml,
        "</SOAP-ENV:Header><SOAP-ENV:Body><xroad:{0}{suffix}/></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        service.service_code()
    );
    Bytes::from(xml)
}

fn identifier(xml: &mut String, name: &str, object_type: &str, fields: &[(&str, &str)]) {
    let _ = write!(xml, "<xroad:{name} id:objectType=\"{object_type}\">");
    for (field, value) in fields {
        element(xml, &format!("id:{field}"), value);
    }
    let _ = write!(xml, "</xroad:{name}>");
}

fn element(xml: &mut String, name: &str, text: &str) {
    let _ = write!(xml, "<{name}>{}</{name}>", escape_text(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Soap;

    #[test]
    fn the_reduced_message_is_one_with_the_same_headers_and_no_content() {
        let request = br#"<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers"><S:Header><x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>A&amp;B</i:xRoadInstance><i:memberClass>G</i:memberClass><i:memberCode>1</i:memberCode><i:subsystemCode>s</i:subsystemCode></x:client><x:service i:objectType="SERVICE"><i:xRoadInstance>A</i:xRoadInstance><i:memberClass>G</i:memberClass><i:memberCode>2</i:memberCode><i:serviceCode>get</i:serviceCode><i:serviceVersion>v1</i:serviceVersion></x:service><x:id>q</x:id><x:issue></x:issue><x:protocolVersion>4.0</x:protocolVersion></S:Header><S:Body><get><secret/></get></S:Body></S:Envelope>"#;
        let Soap::Message(message) = Soap::parse(Bytes::from_static(request)).unwrap() else {
            panic!("a message")
        };
        let reduced = reduce(message.header(), Direction::Request);
        assert!(memchr::memmem::find(&reduced, b"secret").is_none());
        let Soap::Message(read) = Soap::parse(reduced).unwrap() else { panic!("a message") };
        message.header().check_consistent(read.header()).unwrap();
        assert_eq!(read.body_element(), "get");
    }
}
