use super::*;
use crate::crypto::{DigestAlgorithm, oid};
use crate::message::ErrorCode;
use crate::time::UnixTime;
use crate::trust::pki_for_tests::{
    Answer, Issued, Template, answer, answers, global_conf, good, issue, revoked, unknown,
};
use crate::trust::{GlobalConf, Policy};

const NOW: &str = "2026-01-10T12:00:00Z";

fn now() -> UnixTime {
    UnixTime::parse_rfc3339(NOW).unwrap()
}

struct World {
    ca: Issued,
    responder: Issued,
    subject: Issued,
    conf: GlobalConf,
}

fn world() -> World {
    let ca = issue(&Template::ca("CA"), None);
    let responder = issue(&Template { name: "responder", serial: 7, ..Template::default() }, None);
    let subject = issue(&Template::default(), Some(&ca));
    let conf = global_conf(&[(&ca.certificate, Some(&responder.certificate))], &[]);
    World { ca, responder, subject, conf }
}

impl World {
    fn statement<'a>(
        &'a self,
        status: Vec<u8>,
        this_update: &'a str,
        next_update: Option<&'a str>,
    ) -> Answer<'a> {
        Answer {
            subject: &self.subject.certificate,
            issuer: &self.ca.certificate,
            status,
            this_update,
            next_update,
        }
    }

    fn good(&self) -> Answer<'_> {
        self.statement(good(), "20260110115900Z", None)
    }

    fn verdict(&self, response: &OcspResponse) -> Result<(), ErrorCode> {
        let (ca, subject) = (&self.ca.certificate, &self.subject.certificate);
        let verdict = response.verify(ca, subject, now(), &self.conf, &Policy::STRICT);
        verdict.map_err(|error| {
            let codes = [ErrorCode::IncorrectValidationInfo, ErrorCode::CertValidation];
            codes.into_iter().find(|code| error.is(*code)).unwrap()
        })
    }
}

#[test]
fn listed_responders_the_ca_and_its_delegates_may_answer() {
    let w = world();
    for by_key in [false, true] {
        assert_eq!(w.verdict(&answer(&w.good(), &w.responder, by_key, &[])), Ok(()));
        assert_eq!(w.verdict(&answer(&w.good(), &w.ca, by_key, &[])), Ok(()));
    }
    let delegate =
        |purpose, issuer| issue(&Template { name: "delegate", purpose, ..Template::default() }, issuer);
    let with_delegate =
        |delegate: &Issued| w.verdict(&answer(&w.good(), delegate, false, &[&delegate.certificate]));
    let wrong = Err(ErrorCode::IncorrectValidationInfo);
    assert_eq!(with_delegate(&delegate(Some(oid::OCSP_SIGNING), Some(&w.ca))), Ok(()));
    assert_eq!(with_delegate(&delegate(None, Some(&w.ca))), wrong);
    assert_eq!(with_delegate(&delegate(Some(oid::CLIENT_AUTH), Some(&w.ca))), wrong);
    assert_eq!(with_delegate(&delegate(Some(oid::OCSP_SIGNING), None)), wrong);
    // The same without its certificate in the answer: nobody knows it.
    let unlisted = delegate(Some(oid::OCSP_SIGNING), Some(&w.ca));
    assert_eq!(w.verdict(&answer(&w.good(), &unlisted, false, &[])), wrong);
}

#[test]
fn an_expired_or_odd_responder_certificate_does_not_count() {
    let mut w = world();
    for template in [
        Template { name: "responder", to: "20260101000000Z", ..Template::default() },
        Template { name: "responder", unknown_critical: true, ..Template::default() },
    ] {
        w.responder = issue(&template, None);
        w.conf = global_conf(&[(&w.ca.certificate, Some(&w.responder.certificate))], &[]);
        let response = answer(&w.good(), &w.responder, false, &[]);
        // Twice: what the cache remembers must not hide it.
        assert_eq!(w.verdict(&response), Err(ErrorCode::IncorrectValidationInfo));
        assert_eq!(w.verdict(&response), Err(ErrorCode::IncorrectValidationInfo));
    }
}

#[test]
fn a_damaged_certificate_inside_spoils_an_answer() {
    let w = world();
    let genuine = answer(&w.good(), &w.responder, false, &[&w.responder.certificate]);
    assert_eq!(w.verdict(&genuine), Ok(()));
    let carried = w.responder.certificate.der();
    let der = genuine.der();
    let start = der.windows(carried.len()).position(|window| window == carried).unwrap();
    // The tags of the certificate and of what is signed of it; what is signed of the answer stays as it was.
    for at in [start, start + 4] {
        let mut damaged = der.to_vec();
        damaged[at] ^= 0x08;
        assert!(OcspResponse::from_der(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn trap_signature_24_the_first_responder_of_a_name_is_tried() {
    let w = world();
    let twin = issue(&Template { name: "responder", serial: 7, ..Template::default() }, Some(&w.ca));
    let response = answer(&w.good(), &twin, false, &[&twin.certificate]);
    assert_eq!(w.verdict(&response), Err(ErrorCode::IncorrectValidationInfo));
}

#[test]
fn trap_signature_21_freshness_counts_from_this_update_and_next_update_is_enforced() {
    let w = world();
    let wrong = Err(ErrorCode::IncorrectValidationInfo);
    for (this_update, next_update, expected) in [
        ("20260110110000Z", None, Ok(())),
        ("20260110105959Z", None, wrong),
        ("20260110105959Z", Some("20260111000000Z"), wrong),
        ("20260110115900Z", Some("20260110120000Z"), Ok(())),
        ("20260110115900Z", Some("20260110115959Z"), wrong),
        // trap_signature_20: the future counts up to 60 s of skew.
        ("20260110120100Z", None, Ok(())),
        ("20260110120101Z", None, wrong),
    ] {
        let response = answer(&w.statement(good(), this_update, next_update), &w.responder, false, &[]);
        assert_eq!(w.verdict(&response), expected, "{this_update} {next_update:?}");
    }
}

#[test]
fn only_good_is_good() {
    let w = world();
    for status in [revoked("20260101000000Z"), unknown()] {
        let response = answer(&w.statement(status, "20260110115900Z", None), &w.responder, false, &[]);
        assert_eq!(w.verdict(&response), Err(ErrorCode::CertValidation));
    }
}

#[test]
fn of_several_answers_any_revocation_wins() {
    let w = world();
    let (ca, subject) = (&w.ca.certificate, &w.subject.certificate);
    let fine = answer(&w.good(), &w.responder, false, &[]);
    let old = w.statement(revoked("20250601000000Z"), "20250601000000Z", None);
    let later = w.statement(revoked("20260701000000Z"), "20260110115900Z", None);
    let forger = issue(&Template { name: "forger", ..Template::default() }, None);
    let check =
        |answers: &[OcspResponse]| check_all("LAB", answers, ca, subject, now(), &w.conf, &Policy::STRICT);
    check(std::slice::from_ref(&fine)).unwrap();
    let stale = answer(&old, &w.responder, false, &[]);
    for answers in [[fine.clone(), stale.clone()], [stale, fine.clone()]] {
        assert!(check(&answers).unwrap_err().is(ErrorCode::CertValidation));
    }
    // Neither a forged one nor one that takes effect later.
    check(&[answer(&old, &forger, false, &[&forger.certificate]), fine.clone()]).unwrap();
    check(&[answer(&later, &w.responder, false, &[]), fine]).unwrap();
    assert!(check(&[answer(&later, &w.responder, false, &[])]).is_err());
    assert!(check(&[]).unwrap_err().is(ErrorCode::CertValidation));
}

#[test]
fn a_revocation_counts_wherever_and_under_whatever_id_it_is_said() {
    let w = world();
    let fine = answer(&w.good(), &w.responder, false, &[]);
    let bad = w.statement(revoked("20260101000000Z"), "20260110115900Z", None);
    let (sha1, sha256) = (DigestAlgorithm::Sha1, DigestAlgorithm::Sha256);
    let check = |answers: &[OcspResponse]| {
        let (ca, subject) = (&w.ca.certificate, &w.subject.certificate);
        check_all("LAB", answers, ca, subject, now(), &w.conf, &Policy::STRICT)
    };
    let both = answers(&[(&w.good(), sha1), (&bad, sha1)], &w.responder, false, &[]);
    assert!(check(&[both]).unwrap_err().is(ErrorCode::CertValidation));
    let other_id = answers(&[(&bad, sha256)], &w.responder, false, &[]);
    assert!(check(&[fine.clone(), other_id]).unwrap_err().is(ErrorCode::CertValidation));
    // Under such an id a good answer still does not count.
    assert!(check(&[answers(&[(&w.good(), sha256)], &w.responder, false, &[])]).is_err());
    let other = issue(&Template { serial: 2, ..Template::default() }, Some(&w.ca));
    let elsewhere = Answer { subject: &other.certificate, ..bad };
    check(&[answers(&[(&w.good(), sha1), (&elsewhere, sha1)], &w.responder, false, &[])]).unwrap();
}

#[test]
fn an_answer_about_another_certificate_never_matches() {
    let w = world();
    let other = issue(&Template { serial: 2, ..Template::default() }, Some(&w.ca));
    let statement = Answer { subject: &other.certificate, ..w.good() };
    let response = answer(&statement, &w.responder, false, &[]);
    assert_eq!(w.verdict(&response), Err(ErrorCode::IncorrectValidationInfo));
    // A CA of the same name with another key is another issuer.
    let twin = issue(&Template::ca("CA"), None);
    let statement = Answer { issuer: &twin.certificate, ..w.good() };
    assert_eq!(
        w.verdict(&answer(&statement, &w.responder, false, &[])),
        Err(ErrorCode::IncorrectValidationInfo)
    );
}

#[test]
fn trap_signature_20_an_answer_from_the_future_counts_up_to_the_skew_only() {
    let w = world();
    for this_update in ["20260110120059Z", "20260110120100Z"] {
        let statement = w.statement(good(), this_update, None);
        assert_eq!(w.verdict(&answer(&statement, &w.responder, false, &[])), Ok(()), "{this_update}");
    }
    let statement = w.statement(good(), "20260110120101Z", None);
    let response = answer(&statement, &w.responder, false, &[]);
    assert!(w.verdict(&response).is_err());
    let allowed = Policy { allow_future_ocsp: true, ..Policy::STRICT };
    let (ca, subject) = (&w.ca.certificate, &w.subject.certificate);
    response.verify(ca, subject, now(), &w.conf, &allowed).unwrap();
}

#[test]
fn trap_signature_09_answers_are_identified_by_sha1_with_null_parameters() {
    let w = world();
    let id = CertId::new(&w.subject.certificate, &w.ca.certificate).to_der();
    let sha1_with_null = [0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];
    assert_eq!(id[2..13], sha1_with_null);
    let request = ocsp_request(&w.subject.certificate, &w.ca.certificate);
    assert!(request.windows(id.len()).any(|window| window == id), "responders repeat what they are asked");
    // What responders leave out is the same to us.
    let response = answer(&w.good(), &w.responder, false, &[]);
    assert!(!response.der().windows(sha1_with_null.len()).any(|window| window == sha1_with_null));
    assert_eq!(w.verdict(&response), Ok(()));
}

#[test]
fn another_instance_names_no_responders_for_our_authorities() {
    use crate::trust::pki_for_tests::shared_params;
    use crate::trust::{Part, PartKind};
    let w = world();
    let theirs = issue(&Template { name: "their responder", serial: 8, ..Template::default() }, None);
    let part = |instance: &str, responder: &Issued| {
        let text =
            String::from_utf8(shared_params(&[(&w.ca.certificate, Some(&responder.certificate))], &[]));
        Part {
            kind: PartKind::Shared,
            instance: instance.to_owned(),
            bytes: text.unwrap().replace(">LAB<", &format!(">{instance}<")).into_bytes(),
            version: 6,
            expires: UnixTime::parse_rfc3339("2030-01-01T00:00:00Z"),
        }
    };
    let parts = [part("LAB", &w.responder), part("FOO", &theirs)];
    let conf = GlobalConf::from_parts("LAB", &parts, None).unwrap();
    let (ours, foreign) =
        (answer(&w.good(), &w.responder, false, &[]), answer(&w.good(), &theirs, false, &[]));
    let revoking = w.statement(revoked("20260101000000Z"), "20260110115900Z", None);
    let slander = answer(&revoking, &theirs, false, &[]);
    let check = |instance: &str, answers: &[OcspResponse]| {
        let (ca, subject) = (&w.ca.certificate, &w.subject.certificate);
        check_all(instance, answers, ca, subject, now(), &conf, &Policy::STRICT)
    };
    for (instance, good, bad) in [("LAB", &ours, &foreign), ("FOO", &foreign, &ours)] {
        check(instance, std::slice::from_ref(good)).unwrap();
        let error = check(instance, std::slice::from_ref(bad)).unwrap_err();
        assert!(error.is(ErrorCode::IncorrectValidationInfo), "{instance}: {error}");
    }
    check("LAB", &[slander.clone(), ours]).unwrap();
    assert!(check("FOO", &[slander, foreign]).unwrap_err().is(ErrorCode::CertValidation));
}
