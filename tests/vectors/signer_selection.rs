//! Which certificates of a token are used, with the certificates and OCSP answers of official servers.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hermod::crypto::{Certificate, DigestAlgorithm, SoftwareKey};
use hermod::message::{MemberId, SecurityServerId};
use hermod::signer::{
    BatchConfig, CertificateStatus, KeyPurpose, SignerHandle, Token, TokenCertificate, TokenError, TokenKey,
};
use hermod::time::{ManualClock, UnixTime};
use hermod::trust::{GlobalConf, OcspResponse, TrustSnapshot};

use super::common::vectors;

struct OneKey(TokenKey);

impl Token for OneKey {
    fn name(&self) -> String {
        "one key".into()
    }

    fn keys(&self) -> Result<Vec<TokenKey>, TokenError> {
        Ok(vec![self.0.clone()])
    }
}

fn member() -> MemberId {
    MemberId::new("LAB", "GOV", "100").unwrap()
}

fn server(code: &str) -> SecurityServerId {
    SecurityServerId::new("LAB", "GOV", "100", code).unwrap()
}

fn certificate(root: &Path, name: &str) -> Certificate {
    let der = std::fs::read(root.join(format!("captures/trust/certificates/{name}.der"))).unwrap();
    Certificate::from_der(&der).unwrap()
}

fn token(root: &Path, purpose: KeyPurpose) -> TokenKey {
    let (name, member) = match purpose {
        KeyPurpose::Signing => ("ss0-sign", Some(member())),
        KeyPurpose::Authentication => ("ss0-auth", None),
    };
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let status = Some(CertificateStatus::Registered);
    let listed = TokenCertificate { certificate: certificate(root, name), member, active: true, status };
    TokenKey {
        id: "AA".into(),
        purpose: Some(purpose),
        pkcs8: Some(key.pkcs8_der().into()),
        key: Arc::new(key),
        certificates: vec![listed],
        batch_signing: true,
    }
}

fn snapshot(root: &Path, with_ocsp: bool) -> TrustSnapshot {
    let global_conf = GlobalConf::load_dir(&root.join("captures/trust/verificationconf")).unwrap();
    let mut trust = TrustSnapshot { global_conf: Arc::new(global_conf), ..TrustSnapshot::default() };
    let answers = [("ss0-sign", "signature-ss0-sign"), ("ss0-auth", "transport-part-ss0-auth")];
    for (name, file) in answers.into_iter().filter(|_| with_ocsp) {
        let der = std::fs::read(root.join(format!("captures/ocsp/{file}.ocsp.der"))).unwrap();
        trust.ocsp.insert(&certificate(root, name), OcspResponse::from_der(&der).unwrap());
    }
    trust
}

struct Scene {
    trust: Arc<ArcSwap<TrustSnapshot>>,
    clock: Arc<ManualClock>,
    signer: SignerHandle,
}

/// The answers are of 22:37:30 and fresh for an hour.
fn scene(root: &Path, key: TokenKey, with_ocsp: bool) -> Scene {
    let now = UnixTime::parse_rfc3339("2026-11-23T22:45:00Z").unwrap();
    let trust = Arc::new(ArcSwap::from_pointee(snapshot(root, with_ocsp)));
    let clock = Arc::new(ManualClock::new(now));
    let config = BatchConfig::default();
    let signer = SignerHandle::start(&[&OneKey(key)], Arc::clone(&trust), clock.clone(), config).unwrap();
    Scene { trust, clock, signer }
}

fn refusal(scene: &Scene) -> String {
    let error = scene.signer.sign_info(&member()).unwrap_err();
    assert_eq!(error.code(), "cannot_create_signature");
    error.text().to_owned()
}

#[test]
fn a_member_signs_while_its_ocsp_answer_is_fresh() {
    let Some(root) = vectors() else { return };
    let scene = scene(&root, token(&root, KeyPurpose::Signing), true);
    let info = scene.signer.sign_info(&member()).unwrap();
    assert_eq!((info.chain.len(), info.ocsp_responses.len()), (1, 1), "the top authority is left out");

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let sign = |parts| runtime.block_on(scene.signer.sign(&member(), parts));
    let single = sign(vec![digest]).unwrap();
    assert!(single.hash_chain.is_none());
    let with_body = sign(vec![digest, digest]).unwrap();
    assert!(with_body.hash_chain.is_some() && with_body.hash_chain_result.is_some());
    let other_digest = vec![DigestAlgorithm::Sha256.digest(b"message")];
    for parts in [vec![], other_digest] {
        assert_eq!(sign(parts).unwrap_err().code(), "cannot_create_signature");
    }
    assert_eq!(scene.signer.statistics().messages, 2);

    scene.clock.set(UnixTime::parse_rfc3339("2026-11-23T23:37:31Z").unwrap());
    refusal(&scene);
}

#[test]
fn a_missing_ocsp_answer_is_named_by_its_certificate_and_taken_when_it_comes() {
    let Some(root) = vectors() else { return };
    let scene = scene(&root, token(&root, KeyPurpose::Signing), false);
    let hash = hermod::crypto::to_hex(certificate(&root, "ss0-sign").sha256());
    assert!(refusal(&scene).contains(&hash));
    scene.trust.store(Arc::new(snapshot(&root, true)));
    assert!(scene.signer.sign_info(&member()).is_ok());
}

#[test]
fn certificates_that_are_inactive_unregistered_or_out_of_date_are_not_used() {
    let Some(root) = vectors() else { return };
    let refuse = |change: &dyn Fn(&mut TokenCertificate), reason: &str| {
        let mut key = token(&root, KeyPurpose::Signing);
        change(&mut key.certificates[0]);
        let text = refusal(&scene(&root, key, true));
        assert!(text.contains(reason), "{text}");
    };
    refuse(&|certificate| certificate.active = false, "not active");
    refuse(&|certificate| certificate.status = Some(CertificateStatus::Saved), "not registered");
    refuse(&|certificate| certificate.member = None, "no suitable certificates");
    let scene = scene(&root, token(&root, KeyPurpose::Signing), true);
    scene.clock.set(UnixTime::parse_rfc3339("2040-01-01T00:00:00Z").unwrap());
    assert!(refusal(&scene).contains("not valid at this time"));
}

#[test]
fn the_first_usable_certificate_signs() {
    let Some(root) = vectors() else { return };
    let mut key = token(&root, KeyPurpose::Signing);
    let mut inactive = key.certificates[0].clone();
    inactive.active = false;
    key.certificates.insert(0, inactive);
    assert!(scene(&root, key, true).signer.sign_info(&member()).is_ok());
}

#[test]
fn the_identity_for_tls_must_be_registered_for_this_server_and_good() {
    let Some(root) = vectors() else { return };
    let good = scene(&root, token(&root, KeyPurpose::Authentication), true);
    let identity = good.signer.auth_identity(&server("ss0")).unwrap();
    assert_eq!(identity.chain, [certificate(&root, "ss0-auth")]);
    assert!(identity.ocsp_responses.iter().all(Option::is_some));
    let refused =
        |scene: &Scene, code| scene.signer.auth_identity(&server(code)).unwrap_err().text().to_owned();
    assert!(refused(&good, "ss9").contains("does not list it for this server"));
    let without = scene(&root, token(&root, KeyPurpose::Authentication), false);
    assert!(refused(&without, "ss0").contains("OCSP response is missing"));
    let other = scene(&root, token(&root, KeyPurpose::Signing), true);
    assert!(refused(&other, "ss0").contains("there is no authentication certificate"));
}

#[test]
fn reloading_takes_in_new_keys() {
    let Some(root) = vectors() else { return };
    let scene = scene(&root, token(&root, KeyPurpose::Authentication), true);
    refusal(&scene);
    scene.signer.reload(&[&OneKey(token(&root, KeyPurpose::Signing))]).unwrap();
    assert!(scene.signer.sign_info(&member()).is_ok());
    assert_eq!(scene.signer.keys().len(), 1);
}
