use super::super::*;
use crate::crypto::{Certificate, SigningKey, SoftwareKey};
use crate::message::MemberId;
use crate::signer::pkcs12;

const PIN: &str = "Secret1234";

fn certificate_for(key: &SoftwareKey, usages: &[rcgen::KeyUsagePurpose]) -> Certificate {
    let pair = rcgen::KeyPair::try_from(key.pkcs8_der()).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.key_usages = usages.to_vec();
    Certificate::from_der(params.self_signed(&pair).unwrap().der()).unwrap()
}

const SIGN: &[rcgen::KeyUsagePurpose] = &[rcgen::KeyUsagePurpose::ContentCommitment];
const AUTH: &[rcgen::KeyUsagePurpose] = &[rcgen::KeyUsagePurpose::DigitalSignature];

#[test]
fn a_new_token_keeps_its_keys_and_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let token = SoftwareToken::open(&directory.path().join("tokens"), PIN).unwrap();
    let (signing, rsa) = token.create_key(KeyPurpose::Signing, KeyAlgorithm::Rsa(2048)).unwrap();
    let (authentication, ec) = token.create_key(KeyPurpose::Authentication, KeyAlgorithm::EcP256).unwrap();
    let member = MemberId::new("LAB", "GOV", "a/b").unwrap();
    let status = CertificateStatus::Registered;
    let certificate = certificate_for(&rsa, SIGN);
    token.put_certificate(&signing, &certificate, Some(&member), status, false).unwrap();
    token.put_certificate(&signing, &certificate, Some(&member), status, true).unwrap();
    token
        .put_certificate(&authentication, &certificate_for(&ec, AUTH), None, CertificateStatus::Saved, true)
        .unwrap();

    let keys = SoftwareToken::open(&directory.path().join("tokens"), PIN).unwrap().keys().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].id, signing);
    assert_eq!(keys[0].purpose, Some(KeyPurpose::Signing));
    assert_eq!(keys[0].key.public_key_spki(), rsa.public_key_spki());
    assert_eq!(keys[0].certificates.len(), 1);
    assert!(keys[0].certificates[0].active);
    assert_eq!(keys[0].certificates[0].member.as_ref(), Some(&member));
    assert_eq!(keys[0].certificates[0].certificate.der(), certificate.der());
    assert_eq!(keys[1].pkcs8.as_deref(), Some(ec.pkcs8_der()));
    assert_eq!(keys[1].certificates[0].status, Some(CertificateStatus::Saved));
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let token = SoftwareToken::open(directory.path(), PIN).unwrap();
    let (id, _) = token.create_key(KeyPurpose::Signing, KeyAlgorithm::EcP256).unwrap();
    let other = certificate_for(&SoftwareKey::generate_ec_p256().unwrap(), SIGN);
    let result = token.put_certificate(&id, &other, None, CertificateStatus::Saved, true);
    assert!(matches!(result, Err(TokenError::OtherKey { .. })));
}

/// A certificate with nonRepudiation and an authentication bit is refused whatever the key is for.
#[test]
fn trap_trust_14_refuses_a_certificate_for_both_purposes() {
    let directory = tempfile::tempdir().unwrap();
    let token = SoftwareToken::open(directory.path(), PIN).unwrap();
    let member = MemberId::new("LAB", "GOV", "100").unwrap();
    let status = CertificateStatus::Registered;
    for (purpose, member) in [(KeyPurpose::Signing, Some(&member)), (KeyPurpose::Authentication, None)] {
        let (id, key) = token.create_key(purpose, KeyAlgorithm::EcP256).unwrap();
        let both = certificate_for(&key, &[SIGN, AUTH].concat());
        let wrong = if purpose == KeyPurpose::Signing { AUTH } else { SIGN };
        for certificate in [both, certificate_for(&key, wrong), certificate_for(&key, &[])] {
            let result = token.put_certificate(&id, &certificate, member, status, true);
            assert!(matches!(result, Err(TokenError::WrongUsage { .. })));
        }
    }
}

#[test]
fn a_wrong_pin_is_told_from_a_broken_file() {
    let directory = tempfile::tempdir().unwrap();
    let token = SoftwareToken::open(directory.path(), PIN).unwrap();
    let (id, _) = token.create_key(KeyPurpose::Signing, KeyAlgorithm::EcP256).unwrap();
    let wrong = SoftwareToken::open(directory.path(), "wrong").unwrap();
    assert!(matches!(wrong.keys(), Err(TokenError::Pin { .. })));
    std::fs::write(directory.path().join(format!("{id}.p12")), b"nonsense").unwrap();
    assert!(matches!(token.keys(), Err(TokenError::Malformed { .. })));
}

#[test]
fn key_files_can_be_read_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let token = SoftwareToken::open(&directory.path().join("tokens"), PIN).unwrap();
    token.create_key(KeyPurpose::Signing, KeyAlgorithm::EcP256).unwrap();
    for entry in std::fs::read_dir(directory.path().join("tokens")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// The alias is found whatever its case, and a file with another alias is read all the same.
#[test]
fn trap_trust_38_reads_keys_under_any_alias() {
    let directory = tempfile::tempdir().unwrap();
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let path = directory.path().join("key.p12");
    std::fs::write(&path, pkcs12::write_key(&key, "ABCDEF01", PIN).unwrap()).unwrap();
    for alias in ["ABCDEF01", "abcdef01", "other"] {
        assert_eq!(pkcs12::read_key(&path, alias, PIN).unwrap(), key.pkcs8_der());
    }
}

#[test]
fn keyconf_gives_software_keys_with_member_status_and_activity() {
    let certificate = certificate_for(&SoftwareKey::generate_ec_p256().unwrap(), SIGN);
    let contents = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, certificate.der());
    let xml = format!(
        r#"<n:keyConf xmlns:n="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers">
        <device><deviceType>softToken</deviceType><friendlyName>softToken-0</friendlyName><id>0</id>
          <key usage="SIGNING"><keyId>AA01</keyId>
            <cert active="false" id="x"><memberId i:objectType="SUBSYSTEM"><i:xRoadInstance>LAB</i:xRoadInstance>
              <i:memberClass>GOV</i:memberClass><i:memberCode>100</i:memberCode><i:subsystemCode>s</i:subsystemCode></memberId>
              <contents>{contents}</contents><status>registered</status></cert>
            <cert><contents>bm9uc2Vuc2U=</contents><status>registered</status></cert></key>
          <key usage="AUTHENTICATION"><keyId>AA02</keyId>
            <cert><contents>{contents}</contents><status>registration in progress</status></cert></key>
        </device>
        <device><deviceType>some-hsm</deviceType><id>1</id><key usage="SIGNING"><keyId>AA03</keyId></key></device>
        </n:keyConf>"#
    );
    let keys = parse_keyconf(xml.as_bytes()).unwrap();
    assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["AA01", "AA02"]);
    let signing = &keys[0].certificates;
    assert_eq!(signing.len(), 1, "contents that are no certificate are passed over");
    assert!(!signing[0].active);
    assert_eq!(signing[0].member, Some(MemberId::new("LAB", "GOV", "100").unwrap()));
    assert_eq!(signing[0].status, Some(CertificateStatus::Registered));
    assert!(keys[1].certificates[0].active, "active is true by default");
    assert_eq!(keys[1].purpose, Some(KeyPurpose::Authentication));
}

#[test]
fn keyconf_cannot_name_a_file_elsewhere() {
    let xml = r#"<n:keyConf xmlns:n="http://x-road.eu/xsd/xroad.xsd"><device><deviceType>softToken</deviceType>
        <key usage="SIGNING"><keyId>../../key</keyId></key></device></n:keyConf>"#;
    assert!(parse_keyconf(xml.as_bytes()).is_err());
}
