//! Certificates and keys.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermod::crypto::{Certificate, DigestAlgorithm, KeyKind, Name, RecordKeys, SignatureAlgorithm, ecdsa};

use crate::common::vectors;

fn files(root: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extensions, found);
        } else if extensions.iter().any(|extension| path.extension().is_some_and(|found| found == *extension))
        {
            found.push(path);
        }
    }
}

fn read(path: impl AsRef<Path>) -> Certificate {
    let path = path.as_ref();
    Certificate::from_der_or_pem(&std::fs::read(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn trap_signature_25_reads_every_certificate_of_the_vectors() {
    let Some(root) = vectors() else { return };
    let mut found = Vec::new();
    files(&root.join("certs"), &["pem", "txt"], &mut found);
    files(&root.join("globalconf/certs"), &["pem", "txt"], &mut found);
    files(&root.join("captures/trust/certificates"), &["pem", "der"], &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for path in found {
        let certificate = read(&path);
        assert_ne!(certificate.public_key().kind(), KeyKind::Unsupported, "{}", path.display());
        assert!(certificate.not_before() < certificate.not_after());
        let again = Certificate::from_der(certificate.der()).unwrap();
        assert_eq!(again, certificate);
        // Truncated and extended bytes are refused, never a panic.
        for length in (0..certificate.der().len()).step_by(7) {
            assert!(Certificate::from_der(&certificate.der()[..length]).is_err());
        }
        assert!(Certificate::from_der(&[certificate.der(), &[0]].concat()).is_err());
    }
}

#[test]
fn issuers_are_recognised_by_name_and_signature() {
    let Some(root) = vectors() else { return };
    let chain = root.join("globalconf/certs/test_chain");
    let load = |name: &str| read(chain.join(name));
    let (root_ca, ca_1, ca_2, ca_3) =
        (load("root_ca.pem"), load("ca_1.pem"), load("ca_2.pem"), load("ca_3.pem"));
    assert!(root_ca.is_issued_by(&root_ca) && ca_1.is_issued_by(&root_ca));
    assert!(ca_2.is_issued_by(&ca_1) && ca_3.is_issued_by(&ca_2));
    assert!(load("user_3.pem").is_issued_by(&ca_3));
    assert!(!load("user_3.pem").is_issued_by(&ca_2));
    let forged = load("user_invalid_sig.extracted.pem");
    assert!(!forged.is_issued_by(&ca_3));
    let md5 = load("user_3_md5.extracted.pem");
    assert_eq!(md5.signature_algorithm(), None);
    assert!(!md5.is_issued_by(&ca_3));
    assert_eq!(ca_1.signature_algorithm(), Some(SignatureAlgorithm::RsaSha1));
    assert!(load("ca_4_no_ext.pem").basic_constraints().is_none());
    assert!(ca_1.basic_constraints().is_some_and(|constraints| constraints.ca));
}

#[test]
fn captured_certificates_are_classified() {
    let Some(root) = vectors() else { return };
    let trust = root.join("captures/trust/certificates");
    let (ca, auth, sign) =
        (read(trust.join("ca.der")), read(trust.join("ss0-auth.der")), read(trust.join("ss0-sign.der")));
    assert!(auth.is_issued_by(&ca) && sign.is_issued_by(&ca));
    assert_eq!(read(trust.join("ss0-auth.crt.pem")), auth);
    let usage = sign.key_usage().unwrap();
    assert!(usage.non_repudiation() && !usage.digital_signature() && !usage.key_encipherment());
    assert!(auth.key_usage().unwrap().digital_signature());
    assert_eq!(auth.public_key().kind(), KeyKind::Rsa { bits: 3072 });
    assert!(!auth.has_unknown_critical() && !sign.has_unknown_critical());
}

#[test]
fn trap_signature_11_ecdsa_values_convert_as_published() {
    let Some(root) = vectors() else { return };
    let text = std::fs::read(root.join("signatures/ecdsa-format.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let field = |name: &str| STANDARD.decode(json[name].as_str().unwrap()).unwrap();
    assert_eq!(ecdsa::der_to_raw(&field("ec_der_base64"), 32).unwrap(), field("ec_der_to_raw_base64"));
    assert_eq!(ecdsa::raw_to_der(&field("ec_raw_base64")).unwrap(), field("ec_raw_to_der_base64"));
    // Upstream writes halves without their leading zeros: they widen to what ASN.1 says.
    let (der, short) = ([0x30, 7, 2, 1, 5, 2, 2, 3, 4], [0, 5, 3, 4]);
    assert_eq!(ecdsa::widen_raw(&short, 32).unwrap(), ecdsa::der_to_raw(&der, 32).unwrap());
}

#[test]
fn names_are_written_as_java_writes_them_and_compared_leniently() {
    let Some(root) = vectors() else { return };
    let sign = read(root.join("captures/trust/certificates/ss0-sign.der"));
    let record = std::fs::read(root.join("captures/evidence/rest-204/ss0-logrecord.json")).unwrap();
    let record = String::from_utf8_lossy(&record).into_owned();
    let written = format!("<ds:X509IssuerName>{}</ds:X509IssuerName>", sign.issuer());
    let serial = format!("<ds:X509SerialNumber>{}</ds:X509SerialNumber>", sign.serial_decimal());
    assert!(record.contains(&written), "{written}");
    assert!(record.contains(&serial), "{serial}");
    let name = |parts: &[(&[u8], u8, &str)]| {
        use hermod::crypto::der;
        let sets: Vec<u8> = parts
            .iter()
            .flat_map(|(oid, tag, value)| {
                let pair =
                    der::write_sequence(&[&der::write(der::OID, oid), &der::write(*tag, value.as_bytes())]);
                der::write(der::SET, &pair)
            })
            .collect();
        Name::from_der(&der::write(der::SEQUENCE, &sets)).unwrap()
    };
    let one = name(&[
        (Name::COUNTRY, 0x13, "FI"),
        (Name::ORGANIZATION, 0x0c, "Lab  Org"),
        (Name::SERIAL_NUMBER, 0x13, "a#b"),
    ]);
    let two = name(&[
        (Name::ORGANIZATION, 0x13, " lab org "),
        (Name::SERIAL_NUMBER, 0x0c, "A#B"),
        (Name::COUNTRY, 0x13, "fi"),
    ]);
    assert_eq!(one, two);
    assert_ne!(
        one,
        name(&[
            (Name::COUNTRY, 0x13, "FI"),
            (Name::ORGANIZATION, 0x0c, "LabOrg"),
            (Name::SERIAL_NUMBER, 0x13, "a#b")
        ])
    );
    assert_eq!(one.to_string(), "2.5.4.5=#1303612362,O=Lab  Org,C=FI");
    // trap_trust_16: the last one in DER order counts, values are escaped.
    let repeated = name(&[
        (Name::ORGANIZATIONAL_UNIT, 0x0c, "A"),
        (Name::ORGANIZATIONAL_UNIT, 0x0c, "B"),
        (Name::COMMON_NAME, 0x0c, "#a+b "),
    ]);
    assert_eq!(repeated.attribute(Name::ORGANIZATIONAL_UNIT).unwrap(), "B");
    assert_eq!(repeated.attribute(Name::COMMON_NAME).unwrap(), "\\#a\\+b\\ ");
    assert_eq!(repeated.attribute(Name::COUNTRY), None);
}

#[test]
fn anchor_fingerprint_and_auth_hash_use_their_digests() {
    let Some(root) = vectors() else { return };
    let auth = read(root.join("captures/trust/certificates/ss0-auth.der"));
    assert_eq!(DigestAlgorithm::Sha256.digest(auth.der()).as_ref(), auth.sha256());
    assert_eq!(DigestAlgorithm::Sha1.digest(auth.der()).as_ref(), auth.sha1());
}

/// The official message log's encryption, from the secret to the bytes in its columns.
#[test]
fn trap_signature_39_records_are_encrypted_as_the_official_database_holds_them() {
    let Some(root) = vectors() else { return };
    let text = std::fs::read_to_string(root.join("messagelog/encryption-derived.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = |value: &serde_json::Value| {
        let hex = value.as_str().unwrap();
        let digits = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        digits.collect::<Vec<u8>>()
    };
    let secret = String::from_utf8(bytes(&expected["ikm_hex"])).unwrap();
    let name = expected["salt_utf8"].as_str().unwrap();
    let keys = RecordKeys::parse(&format!("{name} = {secret}\n"), Some(name)).unwrap();
    let cipher = keys.official().unwrap();
    assert_eq!(cipher.key_id(), name);
    for example in expected["examples"].as_array().unwrap() {
        let (record, plain) = (example["record_id"].as_u64().unwrap(), bytes(&example["plaintext_hex"]));
        let sealed = match example["attachment_no"].as_u64() {
            None => cipher.message(record, &plain),
            Some(number) => cipher.attachment(record, u32::try_from(number).unwrap(), &plain),
        };
        assert_eq!(sealed.unwrap(), bytes(&example["ciphertext_hex"]), "{}", example["what"]);
    }
}
