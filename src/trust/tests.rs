//! Rules that concern several files of this room.

use super::pki_for_tests::{Answer, Issued, Template, answer, global_conf, good, issue, shared_params};
use super::*;
use crate::crypto::Certificate;
use crate::message::{ClientId, ErrorCode};
use crate::time::UnixTime;

fn now() -> UnixTime {
    time("2026-01-10T12:00:00Z")
}

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn part(instance: &str, text: &str, expires: &str) -> Part {
    Part {
        kind: PartKind::Shared,
        instance: instance.into(),
        bytes: text.replace("<instanceIdentifier>LAB", &format!("<instanceIdentifier>{instance}")).into(),
        version: 6,
        expires: UnixTime::parse_rfc3339(expires),
    }
}

fn text(cas: &[(&Certificate, Option<&Certificate>)]) -> String {
    String::from_utf8(shared_params(cas, &[])).unwrap()
}

fn ca_and_subject() -> (Issued, Issued) {
    let ca = issue(&Template::ca("CA"), None);
    let subject = issue(&Template::default(), Some(&ca));
    (ca, subject)
}

fn good_at(ca: &Issued, subject: &Issued, this_update: &str) -> OcspResponse {
    let statement = Answer {
        subject: &subject.certificate,
        issuer: &ca.certificate,
        status: good(),
        this_update,
        next_update: None,
    };
    answer(&statement, ca, true, &[])
}

#[test]
fn trap_trust_11_listed_certificates_are_pem_or_der_and_hashes_are_over_der() {
    let (ca, auth) = ca_and_subject();
    let responder = issue(&Template::default(), None);
    // The CA is listed as PEM text, the responder in DER.
    let conf = global_conf(&[(&ca.certificate, Some(&responder.certificate))], &[&auth.certificate]);
    assert_eq!(conf.ca_certificates(), std::slice::from_ref(&ca.certificate));
    assert_eq!(conf.ocsp_responders_for(&ca.certificate), std::slice::from_ref(&responder.certificate));
    assert_eq!(conf.auth_cert_server(&auth.certificate).unwrap().to_string(), "LAB/ORG/1/ss");
}

#[test]
fn trap_signature_23_certificates_in_parameters_are_der_or_pem() {
    trap_trust_11_listed_certificates_are_pem_or_der_and_hashes_are_over_der();
}

#[test]
fn trap_trust_13_registrations_are_exact_and_only_the_owner_is_implied() {
    let (ca, auth) = ca_and_subject();
    let conf = global_conf(&[(&ca.certificate, None)], &[&auth.certificate]);
    let registered = |client: &str| {
        let id: Vec<&str> = client.split('/').collect();
        let id = ClientId::new(id[0], id[1], id[2], id.get(3).copied()).unwrap();
        conf.is_client_of_auth_cert(&id, &auth.certificate)
    };
    assert!(registered("LAB/ORG/1") && registered("LAB/ORG/1/sub"));
    for other in ["LAB/ORG/1/Sub", "LAB/ORG/1/other", "LAB/ORG/2", "LAB/ORG/2/sub", "FOR/ORG/1/sub"] {
        assert!(!registered(other), "{other}");
    }
}

#[test]
fn trap_trust_18_freshness_is_the_local_instances_also_for_foreign_certificates() {
    let (ca, subject) = ca_and_subject();
    let foreign = text(&[(&ca.certificate, None)]).replace("Seconds>3600<", "Seconds>60<");
    let parts =
        [part("LAB", &text(&[]), "2030-01-01T00:00:00Z"), part("FOR", &foreign, "2030-01-01T00:00:00Z")];
    let verdict = |local: &str, parts: &[Part]| {
        let conf = GlobalConf::from_parts(local, parts, None).unwrap();
        let response = good_at(&ca, &subject, "20260110113000Z");
        response.verify(&ca.certificate, &subject.certificate, now(), &conf, &Policy::STRICT).is_ok()
    };
    assert!(verdict("LAB", &parts), "half an hour is within LAB's hour");
    assert!(!verdict("FOR", &parts), "and beyond FOR's minute");
}

#[test]
fn trap_trust_30_a_ca_for_authentication_only_verifies_signatures_too() {
    let (ca, subject) = ca_and_subject();
    let only = "<authenticationOnly>true</authenticationOnly><topCA>";
    let text = text(&[(&ca.certificate, None)]).replace("<topCA>", only);
    let conf = GlobalConf::from_parts("LAB", &[part("LAB", &text, "2030-01-01T00:00:00Z")], None).unwrap();
    assert!(conf.shared_params("LAB").unwrap().approved_cas[0].authentication_only);
    let ocsp = [good_at(&ca, &subject, "20260110115900Z")];
    let context =
        ChainContext { global_conf: &conf, instance: "LAB", ocsp: &ocsp, at: now(), policy: &Policy::STRICT };
    assert_eq!(verify_chain(context, &subject.certificate, &[]).unwrap().len(), 1);
}

#[test]
fn trap_trust_31_an_expired_configuration_is_outdated_and_an_expired_foreign_instance_unknown() {
    let parts =
        [part("LAB", &text(&[]), "2026-01-10T11:59:59Z"), part("FOR", &text(&[]), "2026-01-10T11:59:59Z")];
    let conf = GlobalConf::from_parts("LAB", &parts, None).unwrap();
    assert!(conf.check_valid(now()).unwrap_err().is(ErrorCode::GlobalConfOutdated));
    assert!(conf.check_instance("FOR", now()).unwrap_err().is(ErrorCode::InternalError));
    assert!(conf.check_instance("FOR", now().plus_secs(-1)).is_ok());
    assert!(conf.shared_params("LAB").is_some(), "what is not a message goes on with it");
}

#[test]
fn trap_trust_36_children_have_no_namespace() {
    let qualified = text(&[]).replace("member>", "c:member>").replace("<member ", "<c:member ");
    for (text, malformed) in [(text(&[]), false), (qualified, true)] {
        assert_eq!(SharedParams::parse(text.as_bytes(), 6).is_err(), malformed);
    }
}
