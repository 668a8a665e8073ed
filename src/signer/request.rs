//! Certificate requests (PKCS#10) for keys of a software token (`trust.md` 6.6).

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SanType,
};

use super::token::KeyPurpose;
use crate::crypto::{Curve, KeyKind, Name, PublicKey, SigningKey as _, SoftwareKey};
use crate::trust::Attribute;

/// The DER of a request for a certificate of `key`, signed with SHA-256. `host` becomes an alternative name. Signing keys
/// ask for nonRepudiation, authentication keys for digitalSignature, keyEncipherment and dataEncipherment. The error is a
/// line of text.
pub fn certificate_request(
    key: &SoftwareKey,
    purpose: KeyPurpose,
    subject: &[Attribute],
    host: Option<&str>,
) -> Result<Vec<u8>, String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(subject)?;
    params.key_usages = match purpose {
        KeyPurpose::Signing => vec![KeyUsagePurpose::ContentCommitment],
        KeyPurpose::Authentication => vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::DataEncipherment,
        ],
    };
    if let Some(host) = host {
        let name = match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into().map_err(text)?),
        };
        params.subject_alt_names = vec![name];
    }
    let algorithm = match PublicKey::from_spki(key.public_key_spki()).map(|key| key.kind()) {
        Ok(KeyKind::Rsa { .. }) => &PKCS_RSA_SHA256,
        Ok(KeyKind::Ec { curve: Curve::P256 }) => &PKCS_ECDSA_P256_SHA256,
        Ok(KeyKind::Ec { curve: Curve::P384 }) => &PKCS_ECDSA_P384_SHA384,
        _ => return Err("requests are made for RSA keys and those on P-256 and P-384".into()),
    };
    let pkcs8 = rustls_pki_types::PrivatePkcs8KeyDer::from(key.pkcs8_der());
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, algorithm).map_err(text)?;
    Ok(params.serialize_request(&pair).map_err(text)?.der().to_vec())
}

fn distinguished_name(subject: &[Attribute]) -> Result<DistinguishedName, String> {
    let mut name = DistinguishedName::new();
    for (oid, value) in subject {
        // X.520 wants these two as printable strings; what is not printable goes as UTF-8 all the same.
        let printable = *oid == Name::COUNTRY || *oid == Name::SERIAL_NUMBER;
        let value = match value.as_str().try_into() {
            Ok(text) if printable => DnValue::PrintableString(text),
            _ => DnValue::from(value.as_str()),
        };
        // All of them are attribute types of X.520 (2.5.4.n), except for one-byte arcs beyond 127, which are not used.
        let arc = oid.last().copied().map(u64::from).ok_or("an attribute without a type")?;
        name.push(DnType::from_oid(&[2, 5, 4, arc]), value);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Certificate;
    use crate::message::SecurityServerId;
    use crate::trust::{Applicant, Profile};

    const WORDS: [&str; 7] = ["basic", "basic-acme", "ejbca", "fivrk", "fo", "is", "sk-klass3"];

    fn issued(request: Vec<u8>) -> Certificate {
        let request = rcgen::CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let ca = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::new(CertificateParams::default(), ca);
        Certificate::from_der(request.signed_by(&issuer).unwrap().der()).unwrap()
    }

    #[test]
    fn a_certificate_of_what_was_requested_is_one_of_the_owner() {
        let server = SecurityServerId::new("LAB", "GOV", "70000001", "ss1").unwrap();
        let of =
            Applicant { server: &server, member_name: "Ministry", host: "ss1.example.org", country: "EE" };
        let key = SoftwareKey::generate_ec_p256().unwrap();
        for word in WORDS {
            let profile = Profile::from_word(word).unwrap();
            assert_eq!(profile.word(), word);
            let subject = profile.signing_subject(&of).unwrap();
            let certificate = issued(certificate_request(&key, KeyPurpose::Signing, &subject, None).unwrap());
            assert_eq!(profile.member(certificate.subject(), "LAB").unwrap(), server.owner(), "{word}");
            assert!(crate::trust::is_sign_certificate(&certificate), "{word}");
            assert_eq!(certificate.public_key().spki(), key.public_key_spki());
            let subject = profile.authentication_subject(&of).unwrap();
            let request =
                certificate_request(&key, KeyPurpose::Authentication, &subject, Some(of.host)).unwrap();
            assert!(crate::trust::is_auth_certificate(&issued(request)), "{word}");
        }
        assert!(Profile::SkEsteId.signing_subject(&of).is_none());
    }

    #[test]
    fn rsa_keys_and_addresses_are_fine_too() {
        let key = SoftwareKey::generate_rsa(2048).unwrap();
        let subject = [(Name::COMMON_NAME, "ss1".to_owned())];
        let request = certificate_request(&key, KeyPurpose::Authentication, &subject, Some("127.0.0.1"));
        assert_eq!(issued(request.unwrap()).public_key().spki(), key.public_key_spki());
    }
}
