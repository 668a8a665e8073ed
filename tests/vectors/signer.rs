//! Tokens of official signers.

use hermod::crypto::{PublicKey, SigningKey, SoftwareKey};
use hermod::signer::{CertificateStatus, KeyPurpose, OfficialToken, Token, parse_keyconf};

use super::common::vectors;

const PIN: &str = "Secret1234";

#[test]
fn keys_of_an_official_signer_sign_for_their_certificates() {
    let Some(root) = vectors() else { return };
    let keyconf = root.join("globalconf/keyconf/dev-signer/keyconf.xml");
    let keys = OfficialToken::new(&keyconf, PIN).keys().unwrap();
    let purposes: Vec<_> = keys.iter().filter_map(|key| key.purpose).collect();
    assert!(purposes.contains(&KeyPurpose::Authentication) && purposes.contains(&KeyPurpose::Signing));
    let mut certificates = 0;
    for key in &keys {
        for listed in &key.certificates {
            let public: &PublicKey = listed.certificate.public_key();
            assert_eq!(public.spki(), key.key.public_key_spki(), "{}", key.id);
            assert_eq!(listed.status, Some(CertificateStatus::Registered));
            certificates += 1;
        }
        assert_eq!(listed_member(key.purpose), key.certificates.iter().any(|c| c.member.is_some()));
    }
    assert!(certificates >= 2);
    assert!(OfficialToken::new(&keyconf, "wrong").keys().is_err());
}

fn listed_member(purpose: Option<KeyPurpose>) -> bool {
    purpose == Some(KeyPurpose::Signing)
}

#[test]
fn every_keyconf_of_the_vectors_is_read() {
    let Some(root) = vectors() else { return };
    let read = |name: &str| {
        let bytes = std::fs::read(root.join("globalconf/keyconf").join(name)).unwrap();
        parse_keyconf(&bytes).unwrap()
    };
    assert!(read("keyconf-empty.xml").is_empty());
    for name in ["keyconf_added_cert.xml", "keyconf_added_key.xml", "keyconf_base_no_duplicate_keyIds.xml"] {
        assert!(!read(&format!("mergetesting/{name}")).is_empty(), "{name}");
    }
    // The old attribute style: keys are there, members and contents are not.
    let legacy = read("keyconftest-legacy-invalid.xml");
    assert!(legacy.iter().flat_map(|key| &key.certificates).all(|certificate| certificate.member.is_none()));
}

#[test]
fn old_pkcs12_encryption_is_read() {
    let Some(root) = vectors() else { return };
    for name in ["consumer", "producer"] {
        let directory = tempfile::tempdir().unwrap();
        let keyconf = directory.path().join("keyconf.xml");
        std::fs::create_dir(directory.path().join("softtoken")).unwrap();
        std::fs::copy(root.join(format!("certs/{name}.p12")), directory.path().join("softtoken/AA.p12"))
            .unwrap();
        let xml = r#"<k:keyConf xmlns:k="http://x-road.eu/xsd/xroad.xsd"><device><deviceType>softToken</deviceType>
            <key usage="SIGNING"><keyId>AA</keyId></key></device></k:keyConf>"#;
        std::fs::write(&keyconf, xml).unwrap();
        let keys = OfficialToken::new(&keyconf, "test").keys().unwrap();
        let pkcs8 = keys[0].pkcs8.as_deref().unwrap();
        assert!(!SoftwareKey::from_pkcs8_der(pkcs8).unwrap().public_key_spki().is_empty());
    }
}
