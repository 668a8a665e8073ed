#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::crypto::{EcdsaFormat, PublicKey, SignatureAlgorithm, SigningKey as _, SoftwareKey};
use crate::message::{ClientId, SecurityServerId};

fn client(subsystem: Option<&str>) -> ClientId {
    ClientId::new("LAB", "GOV", "100", subsystem).unwrap()
}

fn addressed(request: ManagementRequest) -> Addressed {
    Addressed {
        server: SecurityServerId::new("LAB", "GOV", "100", "ss1").unwrap(),
        provider: ClientId::new("LAB", "GOV", "1", Some("management")).unwrap(),
        message_id: "5f1c".into(),
        request,
    }
}

fn all() -> Vec<ManagementRequest> {
    let (member, subsystem) = (client(None), client(Some("a<b")));
    vec![
        ManagementRequest::AuthCertReg {
            address: "ss1.lab".into(),
            certificate: vec![1, 2, 3],
            dry_run: true,
        },
        ManagementRequest::AuthCertDeletion(vec![9; 40]),
        ManagementRequest::ClientReg(subsystem.clone(), Some("Name & more".into())),
        ManagementRequest::ClientReg(subsystem.clone(), None),
        ManagementRequest::ClientDeletion(subsystem.clone()),
        ManagementRequest::ClientDisable(subsystem.clone()),
        ManagementRequest::ClientEnable(subsystem.clone()),
        ManagementRequest::ClientRename(subsystem, "Other".into()),
        ManagementRequest::OwnerChange(member),
        ManagementRequest::AddressChange("10.0.0.1".into()),
        ManagementRequest::MaintenanceModeEnable(Some("until noon".into())),
        ManagementRequest::MaintenanceModeEnable(None),
        ManagementRequest::MaintenanceModeDisable,
    ]
}

#[test]
fn every_request_is_read_back_as_it_was_written_and_its_answer_names_its_number() {
    for request in all() {
        let sent = addressed(request);
        let envelope = sent.envelope();
        let (message, read) = read_envelope(&envelope).unwrap();
        assert_eq!(read, sent);
        assert_eq!(message.header().client, sent.server.owner().client());
        assert_eq!(request_id(&envelope, &sent, response(&message, &read, 17)).unwrap(), 17);
        let other = Addressed { message_id: "x".into(), ..sent.clone() };
        assert!(request_id(&other.envelope(), &sent, response(&message, &read, 17)).is_err());
    }
}

#[test]
fn a_fault_is_a_refusal_with_its_code() {
    let sent = addressed(ManagementRequest::MaintenanceModeDisable);
    let fault = crate::message::Fault {
        code: "invalid_request".into(),
        string: "no".into(),
        actor: String::new(),
        detail: "t".into(),
    };
    let answer = request_id(&sent.envelope(), &sent, Bytes::from(fault.to_xml()));
    let Err(ManagementError::Refused { code, text }) = answer else { panic!("{answer:?}") };
    assert_eq!((code.as_str(), text.as_str()), ("invalid_request", "no"));
}

#[test]
fn parts_travel_as_raw_bytes_behind_the_envelope() {
    let soap = addressed(ManagementRequest::MaintenanceModeDisable).envelope();
    let signature =
        BinaryPart { algorithm: Some("SHA512withRSA".into()), bytes: Bytes::from_static(b"\r\n--\0x") };
    let parts = Parts { soap, proofs: vec![signature, BinaryPart::of(vec![0, 255, 13, 10])] };
    let (content_type, body) = parts.encode("xtopABC");
    assert!(content_type.starts_with("multipart/related; type=\"application/octet-stream\""));
    assert_eq!(Parts::decode(&content_type, body).unwrap(), parts);
    let alone = Parts { proofs: Vec::new(), ..parts };
    let (content_type, body) = alone.encode("b");
    assert_eq!(Parts::decode(&content_type, body).unwrap(), alone);
    assert!(Parts::decode("multipart/related", Bytes::new()).is_err());
}

#[test]
fn trap_trust_34_management_requests_name_their_algorithm_as_java_does() {
    let key = SoftwareKey::generate_rsa(2048).unwrap();
    let key = key.with_algorithm(SignatureAlgorithm::RsaSha512).unwrap();
    let signature = detached_signature(&key, b"message").unwrap();
    assert_eq!(signature.algorithm.as_deref(), Some("SHA512withRSA"));
}

#[test]
fn trap_trust_35_management_signatures_are_asn1() {
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let signature = detached_signature(&key, b"message").unwrap();
    let algorithm = SignatureAlgorithm::from_name(signature.algorithm.as_deref().unwrap()).unwrap();
    let public = PublicKey::from_spki(key.public_key_spki()).unwrap();
    public.verify(algorithm, b"message", &signature.bytes, EcdsaFormat::Der).unwrap();
    assert!(public.verify(algorithm, b"message", &signature.bytes, EcdsaFormat::Raw).is_err());
}
