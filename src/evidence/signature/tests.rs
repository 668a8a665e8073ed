use super::document::{self, SignatureDocument};
use super::verify::check_value;
use super::*;
use crate::crypto::{
    Certificate, Digest, DigestAlgorithm, SignatureAlgorithm, SigningKey, SoftwareKey, ecdsa,
};
use crate::time::UnixTime;
use crate::trust::Policy;
use crate::xml::{C14n, canonicalize};

const NOW: UnixTime = UnixTime::from_millis(1_795_474_800_123);

fn certificate_of(key: &SoftwareKey, algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
    let pkcs8 = rustls_pki_types::PrivatePkcs8KeyDer::from(key.pkcs8_der());
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, algorithm).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
    Certificate::from_der(certificate.der()).unwrap()
}

fn ec() -> (SoftwareKey, SignatureTemplate, Certificate) {
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let certificate = certificate_of(&key, &rcgen::PKCS_ECDSA_P256_SHA256);
    let template = SignatureTemplate::new(&certificate, &[], &[], key.algorithm());
    (key, template, certificate)
}

fn digest(text: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(text.as_bytes())
}

fn check(
    signature: &[u8],
    certificate: &Certificate,
) -> Result<SignatureAlgorithm, crate::message::XRoadError> {
    let parsed = document::parse(signature)?;
    check_value(&SignatureDocument::read(&parsed)?, certificate, &Policy::STRICT)
}

#[test]
fn a_batch_shares_its_signature_and_a_lone_message_has_no_chain() {
    let (key, template, certificate) = ec();
    let alone = sign_batch(&template, &key, NOW, &[vec![digest("m")]]).unwrap();
    assert!(alone[0].hash_chain.is_none() && alone[0].hash_chain_result.is_none());
    check(&alone[0].signature, &certificate).unwrap();
    let with_body = sign_batch(&template, &key, NOW, &[vec![digest("m"), digest("b")]]).unwrap();
    assert!(with_body[0].hash_chain.is_some());
    let requests = [vec![digest("1")], vec![digest("2"), digest("b")], vec![digest("3")]];
    let batch = sign_batch(&template, &key, NOW, &requests).unwrap();
    check(&batch[0].signature, &certificate).unwrap();
    // The very same bytes, not copies of them.
    assert!(batch.iter().all(|data| data.signature.as_ptr() == batch[0].signature.as_ptr()));
    assert_ne!(batch[0].hash_chain, batch[1].hash_chain);
    assert!(sign_batch(&template, &key, NOW, &[]).is_err());
}

#[test]
fn trap_signature_05_without_transform_the_inclusive_form_counts() {
    let (key, template, certificate) = ec();
    let original = sign_batch(&template, &key, NOW, &[vec![digest("m")]]).unwrap().remove(0).signature;
    let text = String::from_utf8(original.to_vec()).unwrap();
    let exclusive = text.replace(C14n::Inclusive10.uri(), C14n::Exclusive.uri());
    let value = {
        let parsed = document::parse(exclusive.as_bytes()).unwrap();
        let read = SignatureDocument::read(&parsed).unwrap();
        key.sign(&canonicalize(read.signed_info, C14n::Exclusive, &[])).unwrap()
    };
    let start = exclusive.find("\"signature-value\">\n").unwrap() + 19;
    let end = start + exclusive[start..].find('\n').unwrap();
    let mut encoded = String::new();
    super::super::base64::push(&mut encoded, &value);
    let resigned = [&exclusive[..start], encoded.as_str(), &exclusive[end..]].concat();
    check(resigned.as_bytes(), &certificate).unwrap();
}

#[test]
fn trap_signature_06_rest_is_text_xml_too_and_the_wrapper_has_its_zero() {
    let (key, template, _) = ec();
    let data = sign_batch(&template, &key, NOW, &[vec![digest("m")]]).unwrap().remove(0);
    let text = String::from_utf8(data.signature.to_vec()).unwrap();
    assert!(text.contains("<xades:MimeType>text/xml</xades:MimeType>"));
    assert!(text.contains("xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\""));
}

#[test]
fn trap_signature_10_p256_keys_sign_with_ecdsa_sha512() {
    let (key, template, certificate) = ec();
    let data = sign_batch(&template, &key, NOW, &[vec![digest("m")]]).unwrap().remove(0);
    assert_eq!(check(&data.signature, &certificate).unwrap(), SignatureAlgorithm::EcdsaSha512);
}

#[test]
fn trap_signature_11_short_raw_values_are_read_and_full_ones_written() {
    let (key, template, certificate) = ec();
    let prepared = (0..).find_map(|round: u64| {
        let prepared = template.prepare(Reference::Message, &digest(&round.to_string()), NOW);
        let value = key.sign(prepared.signed_info()).unwrap();
        assert_eq!(value.len(), 64);
        // Both halves start with a zero byte: official servers write such a value with 62 bytes. Rare, so any
        // value whose halves can be written shorter by leaving out leading zeros is as good as another.
        (value[0] == 0 && value[32] == 0 || round == 2000).then_some((prepared, value))
    });
    let (prepared, value) = prepared.unwrap();
    let short = match (value[0], value[32]) {
        (0, 0) => [&value[1..32], &value[33..]].concat(),
        _ => value,
    };
    check(&prepared.finish(&short), &certificate).unwrap();
}

#[test]
fn trap_signature_12_a_der_value_is_never_guessed() {
    let (key, template, certificate) = ec();
    let prepared = template.prepare(Reference::Message, &digest("m"), NOW);
    let value = ecdsa::raw_to_der(&key.sign(prepared.signed_info()).unwrap()).unwrap();
    assert_eq!(check(&prepared.finish(&value), &certificate).unwrap_err().code(), "invalid_signature_value");
}

#[test]
fn trap_signature_13_chains_use_the_digest_of_the_parts() {
    let (key, _, certificate) = ec();
    let key = key.with_algorithm(SignatureAlgorithm::EcdsaSha256).unwrap();
    let template = SignatureTemplate::new(&certificate, &[], &[], SignatureAlgorithm::EcdsaSha256);
    let data = sign_batch(&template, &key, NOW, &[vec![digest("m"), digest("b")]]).unwrap().remove(0);
    let chain = String::from_utf8(data.hash_chain.unwrap().to_vec()).unwrap();
    assert!(chain.contains("DefaultDigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\""));
    check(&data.signature, &certificate).unwrap();
    let other = SoftwareKey::generate_ec_p256().unwrap();
    assert!(matches!(sign_batch(&template, &other, NOW, &[vec![digest("m")]]), Err(SigningError::Key(_))));
}
