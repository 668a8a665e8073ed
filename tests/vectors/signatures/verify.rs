//! Verdicts on official signatures, good and bad.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hermod::crypto::{Certificate, Digest, DigestAlgorithm, Name};
use hermod::evidence::{
    PartName, SignatureData, SignedPart, VerificationCache, VerifiedSignature, VerifyMode, VerifyRequest,
    verify, verify_by,
};
use hermod::message::{ClientId, MemberId, XRoadError};
use hermod::time::UnixTime;
use hermod::trust::{GlobalConf, Policy};

use super::exchange::{Recorded, recorded};
use crate::common::vectors;

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

pub fn sha512(bytes: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(bytes)
}

fn client(text: &str) -> ClientId {
    let fields: Vec<&str> = text.split('/').collect();
    ClientId::new(fields[0], fields[1], fields[2], fields.get(3).copied()).unwrap()
}

pub fn data_of(message: &Recorded) -> SignatureData {
    let bytes = |kind: &str| message.part(kind).map(Bytes::copy_from_slice);
    let chain = message.parts.iter().find(|(kind, _)| kind == "application/hash-chain");
    SignatureData {
        signature: bytes("signature/").unwrap(),
        hash_chain_result: bytes("application/hash-chain-result"),
        hash_chain: chain.map(|(_, content)| Bytes::copy_from_slice(content)),
        chain_path: None,
    }
}

pub fn parts_of(contents: &[Vec<u8>]) -> Vec<SignedPart<'_>> {
    let part = |(at, bytes): (usize, &'_ Vec<u8>)| (PartName::at(at), sha512(bytes));
    let named = contents.iter().enumerate().map(part);
    named
        .zip(contents)
        .map(|((name, digest), bytes)| SignedPart { name, digest, bytes: Some(bytes) })
        .collect()
}

pub struct Captured {
    pub global_conf: Arc<GlobalConf>,
    pub messages: Vec<(String, Recorded)>,
}

impl Captured {
    pub fn load(root: &Path) -> Self {
        let folder = root.join("captures/trust/globalconf-as-seen-by-ss0");
        Self { global_conf: Arc::new(GlobalConf::load_dir(&folder).unwrap()), messages: recorded(root) }
    }

    pub fn request<'a>(
        &'a self,
        name: &str,
        data: &'a SignatureData,
        parts: &'a [SignedPart<'a>],
        signers: &'a [ClientId; 2],
    ) -> VerifyRequest<'a> {
        VerifyRequest {
            data,
            parts,
            signer: &signers[usize::from(name.ends_with("response.http"))],
            at: time("2026-11-23T22:55:00Z"),
            global_conf: &self.global_conf,
            policy: &Policy::STRICT,
            mode: VerifyMode::Exchange,
        }
    }
}

pub fn signers() -> [ClientId; 2] {
    [client("LAB/GOV/100/consumer"), client("LAB/GOV/200/provider")]
}

#[test]
fn every_captured_signature_verifies_strictly() {
    let Some(root) = vectors() else { return };
    let (captured, signers) = (Captured::load(&root), signers());
    for (name, message) in &captured.messages {
        let (data, contents) = (data_of(message), message.signed_parts());
        let parts = parts_of(&contents);
        let request = captured.request(name, &data, &parts, &signers);
        let verified = verify(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(verified.warnings().is_empty() && verified.absent().is_empty());
        assert!(verified.valid_until() > request.at && verified.valid_until() < time("2026-11-24T00:00:00Z"));
        let late = VerifyRequest { at: verified.valid_until().plus_secs(1), ..request };
        assert!(verify(&late).unwrap_err().code().starts_with("invalid_cert_path."));
    }
}

#[test]
fn every_captured_message_is_refused_when_changed_added_to_or_signed_by_another() {
    let Some(root) = vectors() else { return };
    let (captured, signers) = (Captured::load(&root), signers());
    for (name, message) in &captured.messages {
        let (data, contents) = (data_of(message), message.signed_parts());
        let parts = parts_of(&contents);
        let request = captured.request(name, &data, &parts, &signers);
        let chained = data.hash_chain_result.is_some();
        let refusal = |request: &VerifyRequest<'_>| verify(request).unwrap_err().code().to_owned();

        let other = if name.ends_with("response.http") { &signers[0] } else { &signers[1] };
        assert_eq!(refusal(&VerifyRequest { signer: other, ..request }), "incorrect_certificate");
        let mut more = parts.clone();
        more.push(SignedPart { name: PartName::Attachment(99), digest: sha512(b""), bytes: Some(b"") });
        let code = refusal(&VerifyRequest { parts: &more, ..request });
        assert_eq!(code, "malformed_signature.hashchain_unused_inputs", "{name}");
        if parts.len() > 1 {
            let code = refusal(&VerifyRequest { parts: &parts[..1], ..request });
            assert_eq!(code, "malformed_signature.invalid_reference");
        }
        let mut changed = data.signature.to_vec();
        let at =
            memchr::memmem::find(&changed, b"<ds:SignatureValue Id=\"signature-value\">\n").unwrap() + 50;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let damaged = SignatureData { signature: changed.into(), ..data.clone() };
        assert_eq!(refusal(&VerifyRequest { data: &damaged, ..request }), "invalid_signature_value");

        let mut altered = contents.clone();
        altered[0].push(b' ');
        let code = refusal(&VerifyRequest { parts: &parts_of(&altered), ..request });
        let expected =
            if chained { "malformed_signature.invalid_hash_chain" } else { "invalid_signature_value" };
        assert_eq!(code, expected, "{name}");
    }
}

#[test]
fn a_batch_is_verified_once_and_its_messages_still_one_by_one() {
    let Some(root) = vectors() else { return };
    let (captured, signers) = (Captured::load(&root), signers());
    let mut cache = VerificationCache::new();
    let conf = &captured.global_conf;
    let mut documents = std::collections::HashSet::new();
    let mut repeated = 0;
    for (name, message) in captured.messages.iter().filter(|(name, _)| name.contains("/batch/")) {
        let (data, contents) = (data_of(message), message.signed_parts());
        let parts = parts_of(&contents);
        let request = captured.request(name, &data, &parts, &signers);
        cache.verify(&request, conf).unwrap();
        if !documents.insert(data.signature.clone()) {
            repeated += 1;
        }
        assert_eq!(cache.hits(), repeated, "{name}");

        let mut altered = contents.clone();
        altered[0].push(b' ');
        let changed = parts_of(&altered);
        assert!(cache.verify(&VerifyRequest { parts: &changed, ..request }, conf).is_err());
        repeated += 1;
        assert_eq!(cache.hits(), repeated);

        // Another signer, a later time or one byte more is another question, answered in full.
        let other = if name.ends_with("response.http") { &signers[0] } else { &signers[1] };
        let error = cache.verify(&VerifyRequest { signer: other, ..request }, conf).unwrap_err();
        assert_eq!(error.code(), "incorrect_certificate");
        let late = VerifyRequest { at: time("2026-11-24T12:00:00Z"), ..request };
        assert!(cache.verify(&late, conf).is_err());
        let longer = Bytes::from([&data.signature[..], b" "].concat());
        let longer = SignatureData { signature: longer, ..data.clone() };
        cache.verify(&VerifyRequest { data: &longer, ..request }, conf).unwrap();
        if !documents.insert(longer.signature) {
            repeated += 1;
        }
        assert_eq!(cache.hits(), repeated);
    }
    assert!(cache.hits() > 15);
    let elsewhere = Arc::new(GlobalConf::load_dir(&root.join("captures/trust/verificationconf")).unwrap());
    let (name, message) = &captured.messages[0];
    let (data, contents) = (data_of(message), message.signed_parts());
    let parts = parts_of(&contents);
    let request = captured.request(name, &data, &parts, &signers);
    let hits = cache.hits();
    cache.verify(&VerifyRequest { global_conf: &elsewhere, ..request }, &elsewhere).unwrap();
    cache.verify(&request, conf).unwrap();
    assert_eq!(cache.hits(), hits);
}

struct Old {
    root: PathBuf,
    global_conf: GlobalConf,
}

/// The profile of the official verifier's own tests: member code is the common name.
fn by_common_name(_: &GlobalConf, certificate: &Certificate, instance: &str) -> Result<MemberId, XRoadError> {
    let name = certificate.subject().attribute(Name::COMMON_NAME).unwrap();
    Ok(MemberId::new(instance, "BUSINESS", &name).unwrap())
}

impl Old {
    fn load(root: PathBuf) -> Self {
        let folder = root.join("globalconf-for-verification/globalconf_good_v4");
        let global_conf = GlobalConf::load_dir(&folder).unwrap();
        Self { root: root.join("signatures"), global_conf }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.root.join(name)).unwrap()
    }

    fn verify(
        &self,
        signature: Vec<u8>,
        message: &[u8],
        signer: &str,
        policy: Policy,
    ) -> Result<VerifiedSignature, XRoadError> {
        let data = SignatureData::single(signature.into());
        let parts = [SignedPart { name: PartName::Message, digest: sha512(message), bytes: Some(message) }];
        self.verify_parts(&data, &parts, signer, policy)
    }

    fn verify_parts(
        &self,
        data: &SignatureData,
        parts: &[SignedPart<'_>],
        signer: &str,
        policy: Policy,
    ) -> Result<VerifiedSignature, XRoadError> {
        let signer = client(signer);
        let request = VerifyRequest {
            data,
            parts,
            signer: &signer,
            at: time("2014-10-30T00:00:00Z"),
            global_conf: &self.global_conf,
            policy: &policy,
            mode: VerifyMode::Exchange,
        };
        verify_by(&request, by_common_name)
    }
}

const CONSUMER: &str = "EE/BUSINESS/consumer";

#[test]
fn old_signatures_verify_with_the_switches_for_evidence_of_the_past_only() {
    let Some(root) = vectors() else { return };
    let old = Old::load(root);
    let message = old.read("common-test/message-0.xml");
    for name in ["common-test/sign-0.xml", "common-test/sign-0-old-format.xml"] {
        let verified = old.verify(old.read(name), &message, CONSUMER, Policy::LEGACY).unwrap();
        assert!(verified.warnings().contains(&"sha1") && verified.warnings().contains(&"future_ocsp"));
        for policy in [
            Policy::STRICT,
            Policy { allow_sha1: false, ..Policy::LEGACY },
            Policy { allow_future_ocsp: false, ..Policy::LEGACY },
        ] {
            assert!(old.verify(old.read(name), &message, CONSUMER, policy).is_err(), "{name}");
        }
    }
    let read = |name: &str| Bytes::from(old.read(&format!("verifier/{name}")));
    let data = SignatureData {
        signature: read("batch-sig.xml"),
        hash_chain_result: Some(read("hash-chain-result.xml")),
        hash_chain: Some(read("hash-chain-1.xml")),
        chain_path: None,
    };
    let contents = [read("message-1.xml").to_vec(), b"blaah".to_vec()];
    old.verify_parts(&data, &parts_of(&contents), CONSUMER, Policy::LEGACY).unwrap();
    let missing = SignatureData { hash_chain: None, ..data.clone() };
    let error = old.verify_parts(&missing, &parts_of(&contents), CONSUMER, Policy::LEGACY).unwrap_err();
    assert_eq!(error.code(), "malformed_signature.invalid_reference");
    let missing = SignatureData { hash_chain_result: None, ..data };
    let error = old.verify_parts(&missing, &parts_of(&contents), CONSUMER, Policy::LEGACY).unwrap_err();
    assert_eq!(error.code(), "malformed_signature");
}

#[test]
fn bad_signatures_have_the_codes_of_the_official_verifier() {
    let Some(root) = vectors() else { return };
    let old = Old::load(root);
    let message = old.read("common-test/message-0.xml");
    let code = |name: &str, message: &[u8], signer: &str| {
        let verdict = old.verify(old.read(name), message, signer, Policy::LEGACY);
        verdict.err().unwrap_or_else(|| panic!("{name}")).code().to_owned()
    };
    assert_eq!(code("common-test/sign-0.xml", b"foo", CONSUMER), "invalid_signature_value");
    assert_eq!(code("common-test/sign-0.xml", &message, "EE/BUSINESS/FOORBAR"), "incorrect_certificate");
    for (name, expected) in [
        ("sign-0-invalid-signature-value", "invalid_signature_value"),
        ("empty", "invalid_xml"),
        ("sign-0-malformed-xml", "invalid_xml"),
        ("sign-0-no-signature", "malformed_signature"),
        ("sign-0-no-objectcontainer", "malformed_signature"),
        ("sign-0-schema-fail", "malformed_signature"),
        ("sign-0-no-signing-cert", "malformed_signature"),
        ("sign-0-ocsp-no-responses", "malformed_signature"),
    ] {
        assert_eq!(code(&format!("verifier/{name}.xml"), &message, CONSUMER), expected, "{name}");
    }
    for name in ["missing-id", "missing-cert", "digest-invalid"] {
        let name = format!("verifier/extra-certs-{name}.xml");
        assert_eq!(code(&name, &message, "EE/BUSINESS/Test Org"), "malformed_signature", "{name}");
    }
}

#[test]
fn trap_signature_07_the_x_road_8_form_is_accepted() {
    let Some(root) = vectors() else { return };
    let conf = GlobalConf::load_dir(&root.join("globalconf-for-verification/globalconf_good2_v3")).unwrap();
    let read = |name: &str| std::fs::read(root.join("signatures/verifier/non-batch-sig").join(name)).unwrap();
    let data = SignatureData::single(read("signatures.xml").into());
    let (message, attachment, signer) = (read("message.xml"), read("attachment1"), client("DEV/COM/4321"));
    let verify_with = |attachment: Digest, at: &str| {
        let parts = [
            SignedPart { name: PartName::Message, digest: sha512(&message), bytes: Some(&message) },
            SignedPart { name: PartName::Attachment(1), digest: attachment, bytes: None },
        ];
        let policy = Policy { allow_future_ocsp: true, ..Policy::STRICT };
        verify(&VerifyRequest {
            data: &data,
            parts: &parts,
            signer: &signer,
            at: time(at),
            global_conf: &conf,
            policy: &policy,
            mode: VerifyMode::Exchange,
        })
    };
    verify_with(sha512(&attachment), "2024-07-09T00:00:00Z").unwrap();
    let error = verify_with(sha512(b"other"), "2024-07-09T00:00:00Z").unwrap_err();
    assert_eq!(error.code(), "invalid_signature_value");
}
