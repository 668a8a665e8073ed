//! Signature documents that were tampered with, starting from genuine ones.

use bytes::Bytes;
use hermod::evidence::{PartName, SignatureData, SignedPart, VerifyMode, VerifyRequest, verify};

use super::verify::{Captured, data_of, parts_of, sha512, signers};
use crate::common::vectors;

const WRAPPER_END: &str = "</asic:XAdESSignatures>";

struct Genuine {
    captured: Captured,
    name: String,
    data: SignatureData,
    contents: Vec<Vec<u8>>,
}

impl Genuine {
    /// A request without body (single signature), or with one (hash chain).
    fn load(case: &str) -> Option<Self> {
        let captured = Captured::load(&vectors()?);
        let found =
            captured.messages.iter().find(|(name, _)| name.ends_with(&format!("/{case}/request.http")));
        let (name, message) = found.unwrap();
        let (name, data, contents) = (name.clone(), data_of(message), message.signed_parts());
        Some(Self { name, data, contents, captured })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.data.signature).unwrap()
    }

    fn code_of(&self, signature: &str) -> Option<String> {
        let data =
            SignatureData { signature: Bytes::copy_from_slice(signature.as_bytes()), ..self.data.clone() };
        self.code_with(&data, &parts_of(&self.contents))
    }

    fn code_with(&self, data: &SignatureData, parts: &[SignedPart<'_>]) -> Option<String> {
        let signers = signers();
        let request = self.captured.request(&self.name, data, parts, &signers);
        verify(&request).err().map(|error| error.code().to_owned())
    }

    fn refused(&self, from: &str, to: &str, code: &str) {
        let changed = self.text().replacen(from, to, 1);
        assert_ne!(changed, self.text(), "{from}");
        assert_eq!(self.code_of(&changed).as_deref(), Some(code), "{from} -> {to}");
    }

    fn part(&self, from: &str, to: &str) -> String {
        let start = self.text().find(from).unwrap();
        let end = start + self.text()[start..].find(to).unwrap() + to.len();
        self.text()[start..end].to_owned()
    }
}

#[test]
fn no_element_outside_of_what_is_signed_has_attributes_of_its_own() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    for element in [
        "ds:X509Data",
        "ds:X509Certificate",
        "ds:Object",
        "xades:RevocationValues",
        "xades:OCSPValues",
        "xades:EncapsulatedOCSPValue",
    ] {
        let (from, to) = (format!("<{element}"), format!("<{element} more=\"1\""));
        genuine.refused(&from, &to, "malformed_signature");
    }
}

#[test]
fn trap_signature_01_prefixes_are_exact() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    for (from, to) in [("ds:", "dsig:"), ("xades:", "x:")] {
        let renamed = genuine.text().replace(from, to).replace(
            &format!("xmlns:{}", &from[..from.len() - 1]),
            &format!("xmlns:{}", &to[..to.len() - 1]),
        );
        assert_eq!(genuine.code_of(&renamed).as_deref(), Some("malformed_signature"), "{from}");
    }
}

#[test]
fn trap_signature_02_nothing_stands_before_the_signature() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    for before in ["\n", "<!-- -->", "<?a?>", "text", "<a/>"] {
        genuine.refused("<ds:Signature ", &format!("{before}<ds:Signature "), "malformed_signature");
    }
    genuine.refused("<xades:CertDigest>", "<xades:CertDigest>\n", "invalid_signature_value");
}

#[test]
fn trap_signature_03_the_declarations_of_the_root_are_signed() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    genuine.refused(
        " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"",
        "",
        "invalid_signature_value",
    );
    genuine.refused("<ds:SignedInfo>\n", "<ds:SignedInfo>\n  ", "invalid_signature_value");
    genuine.refused("<ds:Signature ", "<ds:Signature xmlns:a=\"b\" ", "invalid_signature_value");
}

#[test]
fn trap_signature_04_a_carriage_return_in_signed_info_survives() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    assert_eq!(genuine.code_of(&genuine.text().replace("&#13;", "&#xD;")), None);
    genuine.refused("&#13;\n", "\n", "invalid_signature_value");
    genuine.refused("&#13;\n", "\r\n", "invalid_signature_value");
    let outside = genuine.text().replace("\n</ds:X509Certificate>", "\r\n</ds:X509Certificate>");
    assert_eq!(genuine.code_of(&outside), None);
}

#[test]
fn trap_signature_17_chain_documents_are_signed_as_bytes() {
    let Some(genuine) = Genuine::load("rest-post-1k") else { return };
    let result = genuine.data.hash_chain_result.clone().unwrap();
    let parts = parts_of(&genuine.contents);
    assert_eq!(genuine.code_with(&genuine.data, &parts), None);
    let longer = SignatureData {
        hash_chain_result: Some([&result[..], b"\n"].concat().into()),
        ..genuine.data.clone()
    };
    assert_eq!(genuine.code_with(&longer, &parts).as_deref(), Some("invalid_signature_value"));
}

#[test]
fn trap_signature_18_a_chain_beside_a_single_signature_covers_nothing() {
    let (Some(single), Some(chained)) = (Genuine::load("rest-get-id"), Genuine::load("rest-post-1k")) else {
        return;
    };
    let data = SignatureData { signature: single.data.signature.clone(), ..chained.data.clone() };
    // In a message a chain that nothing refers to is refused; in a container it is ignored with a warning.
    let code = single.code_with(&data, &parts_of(&single.contents));
    assert_eq!(code.as_deref(), Some("malformed_signature"));
    let attached = [single.contents[0].clone(), chained.contents[1].clone()];
    let code = single.code_with(&data, &parts_of(&attached));
    assert_eq!(code.as_deref(), Some("malformed_signature"));
    let unchained = SignatureData { hash_chain: None, hash_chain_result: None, ..data };
    let code = single.code_with(&unchained, &parts_of(&attached));
    assert_eq!(code.as_deref(), Some("malformed_signature.hashchain_unused_inputs"));
}

#[test]
fn trap_signature_19_references_are_counted_and_each_is_there_once() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    let reference = genuine.part("<ds:Reference Id=\"signature-reference-0\"", "</ds:Reference>\n");
    genuine.refused(&reference, &(reference.clone() + &reference), "malformed_signature");
    let many: String = (1..40)
        .map(|n| {
            reference
                .replace("/message.xml", &format!("/attachment{n}"))
                .replace("reference-0", &format!("r{n}"))
        })
        .collect();
    genuine.refused(&reference, &(reference.clone() + &many), "malformed_signature");
    genuine.refused("</ds:SignedInfo>", &("<x>".repeat(200) + "</ds:SignedInfo>"), "invalid_xml");
    genuine.refused("<ds:SignedInfo>", "<ds:SignedInfo a=\"b\">", "invalid_signature_value");
    let huge = " ".repeat(600 * 1024);
    assert_eq!(genuine.code_of(&(genuine.text().to_owned() + &huge)).as_deref(), Some("invalid_xml"));
}

#[test]
fn a_signature_is_not_wrapped_doubled_or_moved() {
    let Some(genuine) = Genuine::load("rest-get-id") else { return };
    let signature = genuine.part("<ds:Signature ", "</ds:Signature>");
    let signed_properties = genuine.part("<xades:SignedProperties ", "</xades:SignedProperties>");
    let evil = signed_properties.replace("2026-11-23T", "2020-01-01T");
    let refused = |from: &str, to: &str| genuine.refused(from, to, "malformed_signature");
    // A second signature beside, before and inside.
    refused(WRAPPER_END, &(signature.clone() + WRAPPER_END));
    refused("<xades:OCSPValues>", &format!("<xades:OCSPValues>{signature}"));
    refused("</ds:Object>", &format!("</ds:Object><ds:Object>{signature}</ds:Object>"));
    // The signed properties elsewhere, forged ones at their place.
    refused(&signed_properties, &evil.replace("signed-properties", "forged"));
    refused(
        "</xades:UnsignedSignatureProperties>",
        &(signed_properties.clone() + "</xades:UnsignedSignatureProperties>"),
    );
    refused(&signed_properties, &(evil.clone() + &signed_properties));
    refused("</ds:Object>", &format!("</ds:Object><ds:Object>{evil}</ds:Object>"));
    genuine.refused(&signed_properties, &evil, "invalid_signature_value");
    // References to something else within the document.
    refused("URI=\"#signed-properties\"", "URI=\"#signature-value\"");
    refused("URI=\"#signed-properties\"", "URI=\"\"");
    refused("URI=\"/message.xml\"", "URI=\"#signature\"");
    refused("Type=\"http://uri.etsi.org/01903#SignedProperties\" ", "");
    refused("Target=\"#signature\"", "Target=\"#other\"");
    refused("Id=\"signature-value\"", "Id=\"signed-properties\"");
    refused("<ds:Object>", "<ds:Object Id=\"a\"><!-- --></ds:Object><ds:Object>");
    // Transforms and algorithms that have no place here.
    let transforms = |uri: &str| {
        format!("<ds:Transforms><ds:Transform Algorithm=\"{uri}\"/></ds:Transforms><ds:DigestMethod")
    };
    refused("<ds:DigestMethod", &transforms("http://www.w3.org/2000/09/xmldsig#base64"));
    refused("<ds:DigestMethod", &transforms("http://www.w3.org/TR/2001/REC-xml-c14n-20010315"));
    refused("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/TR/1999/REC-xslt-19991116");
    refused("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2001/04/xmldsig-more#md5");
    genuine.refused("xmldsig-more#rsa-sha512", "xmldsig-more#hmac-sha512", "invalid_signature_value");
    genuine.refused("xmldsig-more#rsa-sha512", "xmldsig-more#ecdsa-sha512", "invalid_signature_value");
    genuine.refused("xmldsig-more#rsa-sha512", "xmldsig-more#rsa-sha256", "invalid_signature_value");
    genuine.refused(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>",
        "<!DOCTYPE a>",
        "invalid_xml",
    );
    genuine.refused("encoding=\"UTF-8\"", "encoding=\"UTF-16\"", "invalid_xml");
}

#[test]
fn a_container_reports_what_is_absent_and_refuses_what_is_not_covered() {
    let Some(genuine) = Genuine::load("rest-post-1k") else { return };
    let signers = signers();
    let parts = parts_of(&genuine.contents);
    let request = VerifyRequest {
        mode: VerifyMode::Container,
        ..genuine.captured.request(&genuine.name, &genuine.data, &parts, &signers)
    };
    assert!(verify(&request).unwrap().absent().is_empty());
    let alone = verify(&VerifyRequest { parts: &parts[..1], ..request }).unwrap();
    assert_eq!(alone.absent(), ["/attachment1"]);
    let mut changed = genuine.contents.clone();
    changed[1].push(b' ');
    let error = verify(&VerifyRequest { parts: &parts_of(&changed), ..request }).unwrap_err();
    assert_eq!(error.code(), "malformed_signature.invalid_hash_chain_ref");
    let mut more = parts.clone();
    more.push(SignedPart { name: PartName::Attachment(2), digest: sha512(b""), bytes: Some(b"") });
    let error = verify(&VerifyRequest { parts: &more, ..request }).unwrap_err();
    assert_eq!(error.code(), "malformed_signature.hashchain_unused_inputs");
    let error = verify(&VerifyRequest { parts: &parts[1..], ..request }).unwrap_err();
    assert_eq!(error.code(), "malformed_signature");
}
