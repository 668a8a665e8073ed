use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::message::{ErrorCode, XRoadError};

const CLIENT: &str = r#"<x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>LAB</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>100</i:memberCode><i:subsystemCode>consumer</i:subsystemCode></x:client>"#;
const SERVICE: &str = r#"<x:service i:objectType="SERVICE"><i:xRoadInstance>LAB</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>200</i:memberCode><i:serviceCode>get</i:serviceCode><i:serviceVersion>v1</i:serviceVersion></x:service>"#;
const ID: &str = "<x:id>q-1</x:id>";
const VERSION: &str = "<x:protocolVersion>4.0</x:protocolVersion>";
const BODY: &str = "<s:Body><getFoo/></s:Body>";

fn envelope(content: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="{SOAP_NAMESPACE}" xmlns:x="{XROAD_NAMESPACE}" xmlns:i="{IDENTIFIERS_NAMESPACE}" xmlns:r="{REPRESENTATION_NAMESPACE}">{content}</s:Envelope>"#
    )
}

fn with_headers(extra: &str) -> String {
    envelope(&format!("<s:Header>\n  {CLIENT}{SERVICE}{ID}{VERSION}{extra}</s:Header>{BODY}"))
}

fn parse(text: &str) -> Result<SoapMessage, XRoadError> {
    match Soap::parse(Bytes::copy_from_slice(text.as_bytes()))? {
        Soap::Message(message) => Ok(*message),
        Soap::Fault(_) => panic!("a fault"),
    }
}

fn code(text: &str) -> String {
    parse(text).unwrap_err().code().to_owned()
}

#[test]
fn reads_the_headers() {
    let message = parse(&with_headers("<x:userId>u</x:userId><other xmlns='o'>x</other>")).unwrap();
    let header = message.header();
    assert_eq!(header.client.to_string(), "LAB/GOV/100/consumer");
    assert_eq!(header.service.to_string(), "LAB/GOV/200/get/v1");
    assert_eq!((header.service.subsystem_code(), header.service.service_version()), (None, Some("v1")));
    assert_eq!((header.message_id.as_str(), header.user_id.as_deref()), ("q-1", Some("u")));
    assert_eq!(message.body_element(), "getFoo");
    assert_eq!(message.body_content(), b"<getFoo/>");
}

#[test]
fn checks_stand_in_the_order_of_official_servers() {
    assert_eq!(code(&envelope("")), "missing_header");
    assert_eq!(
        code(&envelope(&format!("<s:Header>{CLIENT}{SERVICE}{ID}</s:Header>"))),
        "missing_header_field"
    );
    assert_eq!(
        code(&envelope(&format!("<s:Header>{CLIENT}{SERVICE}{VERSION}</s:Header>"))),
        "missing_header_field"
    );
    assert_eq!(
        code(&envelope(&format!("<s:Header>{CLIENT}{ID}{VERSION}</s:Header>"))),
        "missing_header_field"
    );
    let header = format!("<s:Header>{CLIENT}{SERVICE}{ID}{VERSION}</s:Header>");
    assert_eq!(code(&envelope(&header)), "missing_body");
    assert_eq!(code(&envelope(&format!("{header}<s:Body> </s:Body>"))), "invalid_body");
    assert_eq!(code(&envelope(&format!("{header}<s:Body><get/><get/></s:Body>"))), "invalid_body");
    assert_eq!(code(&envelope(&format!("{header}{BODY}{BODY}"))), "invalid_body");
    assert_eq!(code(&envelope(&format!("{header}<s:Body><set/></s:Body>"))), "inconsistent_headers");
    assert_eq!(code(&envelope(&format!("{header}{header}{BODY}"))), "invalid_soap");
    assert_eq!(code(&envelope(&format!("{BODY}{header}"))), "invalid_soap");
    assert_eq!(code(&with_headers(ID)), "duplicate_header_field");
    assert_eq!(code(&with_headers("").replace("4.0", " 4.0")), "invalid_protocol_version");
    assert_eq!(
        code(&with_headers("").replace("i:objectType=\"SERVICE\"", "objectType=\"SERVICE\"")),
        "invalid_xml"
    );
    assert_eq!(code(&with_headers("").replace("\"SUBSYSTEM\"", "\"SERVER\"")), "invalid_xml");
    assert_eq!(code(&with_headers("").replace(">100<", "> <")), "internal_error");
    let twice = "<i:memberCode>100</i:memberCode>";
    assert_eq!(code(&with_headers("").replace(twice, &twice.repeat(2))), "duplicate_header_field");
    assert_eq!(code(&with_headers("").replace(">q-1<", "><x>q-1</x><")), "invalid_xml");
}

#[test]
fn parts_of_identifiers_hold_text_only() {
    let inside = with_headers("").replace(">100<", "><x/>100<");
    assert_eq!(code(&inside), "invalid_xml");
    assert_eq!(
        code(&with_headers("").replace(">100<", ">1<i:memberCode>9</i:memberCode>00<")),
        "invalid_xml"
    );
    assert_eq!(code(&with_headers("").replace(">v1<", ">v<x>2</x>1<")), "invalid_xml");
    // What is no part of an identifier is nobody's business, and comments are no elements.
    let unknown = with_headers("").replace("</x:client>", "<o xmlns='o'><p>1</p></o></x:client>");
    assert_eq!(parse(&unknown).unwrap().header().client.to_string(), "LAB/GOV/100/consumer");
    let comment = with_headers("").replace(">100<", ">1<!-- 9 -->00<");
    assert_eq!(parse(&comment).unwrap().header().client.to_string(), "LAB/GOV/100/consumer");
}

#[test]
fn hostile_xml_is_invalid_soap() {
    assert_eq!(code(&format!("<!DOCTYPE a [<!ENTITY e 'x'>]>{}", with_headers(""))), "invalid_soap");
    assert_eq!(code(&with_headers("").replace("q-1", "&e;")), "invalid_soap");
    let deep = "<a>".repeat(100_000);
    assert_eq!(code(&with_headers("").replace("<getFoo/>", &deep)), "invalid_soap");
    assert_eq!(code("<a/>"), "invalid_soap");
    assert_eq!(code(""), "invalid_soap");
    let text = with_headers("");
    for length in 0..text.len() {
        assert!(parse(&text[..length]).is_err());
    }
}

#[test]
fn headers_that_must_be_understood_are_refused_for_the_next_node_only() {
    let block = |attributes| with_headers(&format!("<o xmlns='o' {attributes}/>"));
    assert!(parse(&block("s:mustUnderstand='1'")).is_ok());
    assert!(parse(&block("s:actor='http://schemas.xmlsoap.org/soap/actor/next'")).is_ok());
    let next = block("s:mustUnderstand='1' s:actor='http://schemas.xmlsoap.org/soap/actor/next'");
    assert_eq!(code(&next), "invalid_soap");
}

#[test]
fn trap_transport_21_the_body_element_only_starts_with_the_service_code() {
    let body = |name| with_headers("").replace("<getFoo/>", &format!("<n:{name} xmlns:n='any'/>"));
    assert!(parse(&body("get")).is_ok());
    assert!(parse(&body("getResponse")).is_ok());
    assert_eq!(code(&body("Get")), "inconsistent_headers");
}

#[test]
fn trap_transport_22_an_empty_issue_is_not_an_absent_one_and_versions_are_not_compared() {
    let header = |extra: &str| parse(&with_headers(extra)).unwrap().header().clone();
    let absent = header("");
    let error = absent.check_consistent(&header("<x:issue/>")).unwrap_err();
    assert!(error.is(ErrorCode::InconsistentResponse));
    assert!(header("<x:issue/>").check_consistent(&header("<x:issue></x:issue>")).is_ok());
    let mut other = absent.clone();
    other.protocol_version = "4.1".into();
    other.security_server = Some(crate::message::SecurityServerId::new("A", "B", "C", "D").unwrap());
    assert!(absent.check_consistent(&other).is_ok());
    other.message_id = "q-2".into();
    assert!(absent.check_consistent(&other).is_err());
}

#[test]
fn trap_transport_23_the_request_hash_stands_after_the_id_and_replaces_an_older_one() {
    let response = with_headers("<x:requestHash algorithmId='a'>old</x:requestHash>");
    let bytes = parse(&response).unwrap().with_request_hash("aGFzaA==");
    let expected = with_headers("").replace(
        ID,
        "<x:id>q-1</x:id>\n  <x:requestHash algorithmId=\"http://www.w3.org/2001/04/xmlenc#sha512\">aGFzaA==</x:requestHash>",
    );
    assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
    let header = parse(&expected).unwrap().header().clone();
    assert!(header.check_request_hash("aGFzaA==").is_ok());
    assert!(header.check_request_hash("other").is_err());
    assert!(parse(&with_headers("")).unwrap().header().check_request_hash("x").is_err());
    assert!(parse(&response).unwrap().header().check_request_hash("old").is_err());
}

#[test]
fn the_request_hash_takes_prefix_and_attributes_of_the_id() {
    let text = with_headers("").replace(ID, &format!("<id xmlns=\"{XROAD_NAMESPACE}\" a='1' >q-1</id >"));
    let bytes = parse(&text).unwrap().with_request_hash("h");
    let text = std::str::from_utf8(&bytes).unwrap();
    let expected = format!("q-1</id >\n  <requestHash xmlns=\"{XROAD_NAMESPACE}\" a='1' algorithmId=\"");
    assert!(text.contains(&expected), "{text}");
    assert_eq!(parse(text).unwrap().header().request_hash.as_ref().unwrap().value, "h");
}

#[test]
fn bytes_in_other_encodings_stay_and_are_understood() {
    let latin1 = format!(
        "<?xml version='1.0' encoding='ISO-8859-1'?>{}",
        with_headers("<x:issue>caf\u{e9}</x:issue>")
    );
    let bytes: Vec<u8> = latin1.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let Soap::Message(message) = Soap::parse(bytes.clone().into()).unwrap() else { panic!("a message") };
    assert_eq!(message.bytes(), &bytes);
    assert_eq!(message.header().issue.as_deref(), Some("caf\u{e9}"));
    assert!(message.is_converted());
    let again = parse(std::str::from_utf8(&message.with_request_hash("h")).unwrap()).unwrap();
    assert_eq!(again.header().issue.as_deref(), Some("caf\u{e9}"));
    let utf16: Vec<u8> = "\u{feff}<?xml version='1.0' encoding='UTF-16'?>"
        .chars()
        .chain(with_headers("").chars())
        .flat_map(|c| u16::try_from(u32::from(c)).unwrap().to_le_bytes())
        .collect();
    assert!(matches!(Soap::parse(utf16.into()), Ok(Soap::Message(_))));
    let with_mark = format!("\u{feff}{}", with_headers(""));
    assert_eq!(parse(&with_mark).unwrap().bytes(), with_mark.as_bytes());
    assert_eq!(code(&format!("<?xml version='1.0' encoding='EBCDIC'?>{}", with_headers(""))), "invalid_soap");
}

#[test]
fn a_fault_is_read_whatever_else_is_missing() {
    let fault = envelope(
        "<s:Body><s:Fault><faultcode>Server.ServerProxy.AccessDenied</faultcode><faultstring>a &amp; b</faultstring>\
         <detail>x<faultDetail xmlns=''>d-1</faultDetail></detail></s:Fault></s:Body>",
    );
    let Soap::Fault(fault) = Soap::parse(fault.into()).unwrap() else { panic!("not a fault") };
    assert_eq!(fault.fault.code, "Server.ServerProxy.AccessDenied");
    assert_eq!((fault.fault.string.as_str(), fault.fault.detail.as_str()), ("a & b", "d-1"));
    assert!(fault.fault.error().is(ErrorCode::AccessDenied));
}

#[test]
fn an_answer_of_the_server_itself_copies_the_headers() {
    let message = parse(&with_headers("")).unwrap();
    let answer = message.with_body(b"<getResponse xmlns='y'/>");
    let answer = parse(std::str::from_utf8(&answer).unwrap()).unwrap();
    assert_eq!(answer.header(), message.header());
    assert_eq!(answer.body_element(), "getResponse");
}

proptest! {
    #[test]
    fn damage_anywhere_never_breaks_the_response_that_is_made(
        at in 0usize..1500,
        with in prop::sample::select(vec!["<", ">", "/", "&", "\"", " ", "<!--x-->", "<![CDATA[x]]>", "\r\n", "<x:issue/>", "\u{e9}"]),
    ) {
        let text = with_headers("<x:requestHash algorithmId='a'>old</x:requestHash>");
        let at = at.min(text.len());
        let changed = [&text[..at], with, &text[at..]].concat();
        if let Ok(Soap::Message(message)) = Soap::parse(changed.into_bytes().into()) {
            let Ok(Soap::Message(response)) = Soap::parse(message.with_request_hash("h")) else {
                return Err(TestCaseError::fail("the response is not a message"));
            };
            prop_assert!(message.header().check_consistent(response.header()).is_ok());
            prop_assert!(response.header().check_request_hash("h").is_ok());
        }
    }
}
