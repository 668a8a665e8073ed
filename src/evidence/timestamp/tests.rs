use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::*;
use crate::crypto::{Certificate, DigestAlgorithm, SoftwareKey};
use crate::time::UnixTime;
use crate::trust::Policy;

struct Authority {
    key: SoftwareKey,
    certificate: Certificate,
}

fn authority(name: &str) -> Authority {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.serial_number = Some(vec![7].into());
    let certificate = params.self_signed(&pair).unwrap();
    Authority {
        key: SoftwareKey::from_pkcs8_der(&pair.serialize_der()).unwrap(),
        certificate: Certificate::from_der(certificate.der()).unwrap(),
    }
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn response(authority: &Authority, data: &[u8], time: &str) -> Vec<u8> {
    let request = request_der(&DigestAlgorithm::Sha512.digest(data));
    let request = TimestampRequest::parse(&request).unwrap();
    make_response(&authority.key, &authority.certificate, &request, at(time), 42).unwrap()
}

#[test]
fn asks_exactly_as_official_servers_do() {
    let request = request_der(&DigestAlgorithm::Sha512.digest(b"data"));
    let head =
        [0x30, 0x54, 2, 1, 1, 0x30, 0x4f, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 4, 0x40];
    assert_eq!(request.len(), 0x56);
    assert_eq!(request[..22], head);
}

#[test]
fn trap_signature_27_accepts_an_answer_and_stores_it_with_the_authority_certificate() {
    let tsa = authority("TSA");
    let response = response(&tsa, b"data", "2026-06-01T10:20:30Z");
    let imprint = DigestAlgorithm::Sha512.digest(b"data");
    let listed = [authority("TSA 2").certificate, tsa.certificate.clone()];
    let accepted = accept_response(&response, &imprint, &listed, &Policy::default()).unwrap();
    assert_eq!(accepted.time, at("2026-06-01T10:20:30Z"));
    let certificate = tsa.certificate.der();
    assert!(!response.windows(certificate.len()).any(|window| window == certificate));
    assert!(accepted.token.windows(certificate.len()).any(|window| window == certificate));
    let token = TimestampToken::parse(&accepted.token).unwrap();
    let verified = token.verify(b"data", &listed, &Policy::default()).unwrap();
    assert_eq!(verified.authority, tsa.certificate);
    assert!(!verified.is_legacy);
}

#[test]
fn refuses_other_data_other_authorities_and_expired_ones() {
    let tsa = authority("TSA");
    let token = parse_response(&response(&tsa, b"data", "2026-06-01T10:20:30Z")).unwrap();
    let policy = Policy::default();
    let verify = |data: &[u8], listed: &[Certificate]| token.verify(data, listed, &policy).unwrap_err();
    assert_eq!(verify(b"other", std::slice::from_ref(&tsa.certificate)), TimestampError::OtherData);
    assert_eq!(verify(b"data", &[]), TimestampError::NoAuthority);
    assert_eq!(verify(b"data", &[authority("Other").certificate]), TimestampError::UnknownAuthority);
    // Same name and serial number, another key: the certificate that the token names is not the listed one.
    let namesake = authority("TSA").certificate;
    assert!(matches!(verify(b"data", std::slice::from_ref(&namesake)), TimestampError::Signer(_)));
    assert!(token.verify(b"data", &[namesake, tsa.certificate.clone()], &policy).is_ok());
    for time in ["2025-12-31T23:59:59Z", "2027-01-02T00:00:00Z"] {
        let token = parse_response(&response(&tsa, b"data", time)).unwrap();
        assert!(matches!(
            token.verify(b"data", std::slice::from_ref(&tsa.certificate), &policy),
            Err(TimestampError::Signer(_))
        ));
    }
}

#[test]
fn refuses_every_flipped_bit_of_a_token_or_reads_the_same_from_it() {
    let tsa = authority("TSA");
    let response = response(&tsa, b"data", "2026-06-01T10:20:30Z");
    let token = parse_response(&response).unwrap().der().to_vec();
    let listed = [tsa.certificate.clone()];
    for index in 0..token.len() {
        let mut flipped = token.clone();
        flipped[index] ^= 1 << (index % 8);
        let verified = TimestampToken::parse(&flipped)
            .and_then(|token| token.verify(b"data", &listed, &Policy::default()));
        if let Ok(verified) = verified {
            assert_eq!(verified.time, at("2026-06-01T10:20:30Z"), "byte {index}");
        }
    }
}

#[test]
fn says_why_the_authority_refused() {
    match parse_response(&make_rejection("no such policy")) {
        Err(TimestampError::NotGranted { text, .. }) => assert_eq!(text, "no such policy"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn transcoding_is_bounded_and_joins_strings() {
    use super::ber::to_der;
    let indefinite = [0x30, 0x80, 0x24, 0x80, 4, 1, b'a', 4, 1, b'b', 0, 0, 0, 0];
    assert_eq!(to_der(&indefinite).unwrap(), [0x30, 4, 4, 2, b'a', b'b']);
    assert_eq!(to_der(&[4, 0x81, 1, b'a']).unwrap(), [4, 1, b'a']);
    let deep: Vec<u8> = std::iter::repeat_n([0x30, 0x80], 30_000).flatten().collect();
    assert!(to_der(&deep).is_err());
    for bad in
        [&[][..], &[0x30], &[0x30, 0x80], &[4, 0x80, 0, 0], &[0x30, 2, 4, 1], &[0x30, 0, 0], &[0x1f, 1, 0]]
    {
        assert!(to_der(bad).is_err(), "{bad:?}");
    }
}

const DOCUMENT: &[u8] = br#"<a xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xades="http://uri.etsi.org/01903/v1.3.2#"><ds:Signature><ds:SignatureValue>
AQID
</ds:SignatureValue><ds:Object><xades:UnsignedSignatureProperties><xades:X/></xades:UnsignedSignatureProperties></ds:Object></ds:Signature></a>"#;

#[test]
fn trap_signature_08_inserts_a_token_textually_as_first_unsigned_property() {
    let stamped = insert_token(DOCUMENT, b"token").unwrap();
    let text = std::str::from_utf8(&stamped).unwrap();
    let inserted = "<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>dG9rZW4=</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>";
    assert!(text.contains(&format!("<xades:UnsignedSignatureProperties>{inserted}<xades:X/>")));
    assert_eq!(text.replace(inserted, "").as_bytes(), DOCUMENT);
    let document = crate::xml::Document::parse(&stamped, &crate::xml::Limits::default()).unwrap();
    assert_eq!(embedded_token(&document).unwrap().unwrap(), b"token");
    assert!(insert_token(&stamped, b"again").is_err());
}

#[test]
fn trap_signature_26_stamps_the_decoded_signature_value() {
    let imprint = single_imprint(DOCUMENT, DigestAlgorithm::Sha512).unwrap();
    assert_eq!(imprint, DigestAlgorithm::Sha512.digest(&[1, 2, 3]));
}

#[test]
fn refuses_several_or_misplaced_tokens() {
    let stamp = "<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>AAAA</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>";
    let text = std::str::from_utf8(DOCUMENT).unwrap();
    let twice = text.replace("<xades:X/>", &format!("{stamp}{stamp}"));
    let two_inside = text.replace(
        "<xades:X/>",
        &stamp.replace(
            "</xades:SignatureTimeStamp>",
            "<xades:EncapsulatedTimeStamp>AAAA</xades:EncapsulatedTimeStamp></xades:SignatureTimeStamp>",
        ),
    );
    let misplaced = text.replace("<ds:Object>", &format!("<ds:Object>{stamp}"));
    for bad in [twice, two_inside, misplaced] {
        let document = crate::xml::Document::parse(bad.as_bytes(), &crate::xml::Limits::default()).unwrap();
        assert!(embedded_token(&document).is_err(), "{bad}");
    }
}
