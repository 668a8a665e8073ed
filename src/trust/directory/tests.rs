use super::*;
use crate::crypto::SigningKey;
use crate::trust::pki_for_tests::{Issued, Template, issue, shared_params};

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-01-10T08:00:00Z").unwrap()
}

fn location(signer: &Issued) -> Location {
    Location {
        instance: "LAB".to_owned(),
        url: "http://conf.test/internalconf".to_owned(),
        verification_certs: vec![signer.certificate.der().to_vec()],
    }
}

fn head() -> String {
    "Expire-date: 2026-01-10T08:10:00Z\r\nVersion: 6\r\n".to_owned()
}

fn file(identifier: &str, digest: &Digest) -> String {
    format!(
        "Content-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n\
         Content-identifier: {identifier}\r\nContent-location: /V6/1/shared-params.xml\r\n\
         Hash-algorithm-id: {}\r\n\r\n{}",
        digest.algorithm().uri(),
        digest.to_base64()
    )
}

// Builds a directory as a central server does; the signature is in ASN.1.
fn directory(signer: &Issued, inner_parts: &[String]) -> String {
    let body: String = inner_parts.iter().map(|part| format!("--INNER\r\n{part}\r\n")).collect();
    let signed = format!("{body}--INNER--\r\n");
    let value = signer.key.sign_der(signed.as_bytes()).unwrap();
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    let hash = DigestAlgorithm::Sha512.digest(signer.certificate.der());
    format!(
        "Content-Type: multipart/related; charset=UTF-8; boundary=OUTER\r\n\r\n--OUTER\r\n\
         Content-Type: multipart/mixed; charset=UTF-8; boundary=INNER\r\n\r\n{signed}\r\n--OUTER\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
         Signature-Algorithm-Id: {}\r\n\
         Verification-certificate-hash: {}; hash-algorithm-id={}\r\n\r\n{value}\r\n--OUTER--\r\n",
        signer.key.algorithm().uri(),
        hash.to_base64(),
        hash.algorithm().uri()
    )
}

fn code(text: &str, signer: &Issued) -> &'static str {
    match verify(text.as_bytes(), &location(signer), now(), &Policy::STRICT) {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

#[test]
fn trap_trust_35_signatures_of_ec_keys_are_asn1() {
    let signer = issue(&Template::default(), None);
    let content = shared_params(&[], &[]);
    let digest = DigestAlgorithm::Sha512.digest(&content);
    // trap_trust_25: the instance in single quotes, double quotes or bare.
    for quoted in ["'LAB'", "\"LAB\"", "LAB"] {
        let text =
            directory(&signer, &[head(), file(&format!("SHARED-PARAMETERS; instance={quoted}"), &digest)]);
        let read = verify(text.as_bytes(), &location(&signer), now(), &Policy::STRICT).unwrap();
        let part = &read.parts[0];
        let checked = read.check_file(part, &location(&signer), content.clone()).unwrap();
        assert_eq!((checked.version, checked.instance.as_str()), (6, "LAB"));
        assert_eq!(
            part.url("https://conf.test/internalconf?version=6"),
            "https://conf.test/V6/1/shared-params.xml"
        );
        let metadata = read.metadata(part, &location(&signer));
        assert_eq!(metadata.version(), Some(6));
        assert_eq!(metadata.expires(), Some(read.expires));
        // trap_trust_36 / 29: a listed file of the wrong form.
        let broken = DigestAlgorithm::Sha512.digest(b"<conf/>");
        let broken = DirectoryPart { digest: broken, ..part.clone() };
        let error = read.check_file(&broken, &location(&signer), b"<conf/>".to_vec()).unwrap_err();
        assert_eq!(error.code(), "malformed_global_conf");
    }
    let text = directory(&signer, &[head(), file("SHARED-PARAMETERS; Instance='LAB'", &digest)]);
    assert_eq!(code(&text, &signer), "global_conf_header_field_missing_parameter");
}

#[test]
fn every_check_has_its_code() {
    let signer = issue(&Template::default(), None);
    let digest = DigestAlgorithm::Sha512.digest(b"x");
    let part = file("FOO", &digest);
    let good = directory(&signer, &[head(), part.clone()]);
    assert_eq!(code(&good, &signer), "ok");
    let signed = |parts: &[String]| code(&directory(&signer, parts), &signer);
    let changed = |from: &str, to: &str| code(&good.replacen(from, to, 1), &signer);
    assert_eq!(code("", &signer), "global_conf_parsing_downloaded_conf_directory_failure");
    assert_eq!(changed("Signature-Algorithm-Id", "X-Id"), "global_conf_header_field_missing");
    assert_eq!(
        changed("Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 8bit"),
        "global_conf_header_field_wrong_value"
    );
    assert_eq!(changed("; hash-algorithm-id=", "; other="), "global_conf_header_field_missing_parameter");
    assert_eq!(changed("; hash-algorithm-id=", "; hash-algorithm-id=x"), "internal_error");
    assert_eq!(changed("ecdsa-sha512", "ecdsa-md5"), "internal_error");
    assert_eq!(changed("Version: 6", "Version: 5"), "global_conf_signature_verification_failure");
    let other = issue(&Template { serial: 9, ..Template::default() }, None);
    assert_eq!(code(&good, &other), "global_conf_missing_verification_cert");
    assert_eq!(signed(&["Version: 6\r\n".to_owned(), part.clone()]), "global_conf_header_field_missing");
    let expired = "Expire-date: 2026-01-10T07:59:59Z\r\n".to_owned();
    assert_eq!(signed(&[expired, part.clone()]), "global_conf_outdated");
    let no_colon = "Expire-date: 2026-01-10T10:10:00+0200\r\n".to_owned();
    assert_eq!(signed(&[no_colon, part.clone()]), "global_conf_header_field_wrong_value");
    let unlocated = part.replace("Content-location", "X-location");
    assert_eq!(signed(&[head(), unlocated]), "global_conf_header_field_missing");
    let version = head().replace('6', "7").replace("2027", "2026");
    assert_eq!(signed(&[version, part.clone()]), "internal_error");
    // A weak digest of a file.
    assert_eq!(signed(&[head(), file("FOO", &DigestAlgorithm::Sha1.digest(b"x"))]), "internal_error");
    // trap_trust_23: without the header it is version 2.
    let old = directory(&signer, &["Expire-date: 2026-01-10T08:10:00+00:00\r\n".to_owned(), part]);
    assert_eq!(verify(old.as_bytes(), &location(&signer), now(), &Policy::STRICT).unwrap().version, 2);
}

#[test]
fn references_resolve_against_the_directory() {
    let digest = DigestAlgorithm::Sha512.digest(b"x");
    let part = |location: &str| DirectoryPart {
        content_identifier: String::new(),
        instance: None,
        content_location: location.to_owned(),
        content_file_name: None,
        digest,
    };
    let base = "https://conf.test:8443/dir/internalconf?version=6";
    for (reference, expected) in [
        ("/V6/1/a.xml", "https://conf.test:8443/V6/1/a.xml"),
        ("a.xml", "https://conf.test:8443/dir/a.xml"),
        ("http://other.test/a.xml", "http://other.test/a.xml"),
        ("//other.test/a.xml", "https://other.test/a.xml"),
    ] {
        assert_eq!(part(reference).url(base), expected);
    }
}
