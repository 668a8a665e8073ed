//! Signature documents of official servers, made again to the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hermod::crypto::{Certificate, DigestAlgorithm, EcdsaFormat, SignatureAlgorithm};
use hermod::evidence::hash_chain::{ChainInput, ChainRequest, HashTree, InputValue, Leaf, verify_chain};
use hermod::evidence::{PartName, Reference, SignatureTemplate};
use hermod::time::UnixTime;

use super::exchange::recorded;
use crate::common::vectors;

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap_or_else(|| panic!("{from}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}

fn decode(text: &str) -> Vec<u8> {
    let compact: String = text.replace("&#13;", "").split_whitespace().collect();
    STANDARD.decode(compact).unwrap()
}

#[test]
fn every_captured_signature_is_made_again_to_the_same_bytes() {
    let Some(root) = vectors() else { return };
    let mut count = 0;
    for (name, message) in recorded(&root) {
        let original = std::str::from_utf8(message.part("signature/").unwrap()).unwrap();
        let certificate =
            Certificate::from_der(&decode(between(original, "<ds:X509Certificate>", "</"))).unwrap();
        let ocsp = Bytes::from(decode(between(
            original,
            "<xades:EncapsulatedOCSPValue Id=\"ocsp-response-1\">",
            "</",
        )));
        let time = UnixTime::parse_rfc3339(between(original, "<xades:SigningTime>", "</")).unwrap();
        let value = decode(between(original, "<ds:SignatureValue Id=\"signature-value\">", "</"));
        let template = SignatureTemplate::new(&certificate, &[], &[ocsp], SignatureAlgorithm::RsaSha512);
        let (reference, signed) = match message.part("application/hash-chain-result") {
            Some(result) => (Reference::HashChainResult, result.to_vec()),
            None => (Reference::Message, message.signed_parts().remove(0)),
        };
        let prepared = template.prepare(reference, &DigestAlgorithm::Sha512.digest(&signed), time);
        let key = certificate.public_key();
        key.verify(SignatureAlgorithm::RsaSha512, prepared.signed_info(), &value, EcdsaFormat::Raw).unwrap();
        assert!(prepared.finish(&value) == original.as_bytes(), "{name}");
        count += 1;
    }
    assert_eq!(count, 198);
}

#[test]
fn every_captured_chain_verifies_and_lone_messages_are_encoded_to_the_same_bytes() {
    let Some(root) = vectors() else { return };
    let (mut chains, mut reproduced) = (0, 0);
    for (name, message) in recorded(&root) {
        let Some(result) = message.part("application/hash-chain-result") else { continue };
        let chain = message.parts.iter().find(|(kind, _)| kind == "application/hash-chain").unwrap();
        let digests: Vec<_> =
            message.signed_parts().iter().map(|p| DigestAlgorithm::Sha512.digest(p)).collect();
        let uris: Vec<_> = (0..digests.len()).map(|at| PartName::at(at).uri()).collect();
        let inputs: Vec<_> = uris
            .iter()
            .zip(&digests)
            .map(|(uri, d)| ChainInput { uri, value: InputValue::Digest(d.algorithm(), d.as_ref()) })
            .collect();
        let files = [("/sig-hashchain.xml", chain.1.as_slice())];
        let request =
            ChainRequest { result, chains: &files, inputs: &inputs, allow_absent: false, allow_sha1: false };
        let covered = verify_chain(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(covered.len(), inputs.len());
        chains += 1;
        if std::str::from_utf8(&chain.1).unwrap().contains("STEP1") || digests.len() == 1 {
            continue;
        }
        let tree = HashTree::new(vec![Leaf::Parts(digests)]).unwrap();
        assert!(tree.result_xml("/sig-hashchain.xml") == result, "{name}");
        assert!(tree.chain_xml(0, "/message.xml") == chain.1, "{name}");
        reproduced += 1;
    }
    assert!(chains == 89 && reproduced > 60, "{chains} {reproduced}");
}
