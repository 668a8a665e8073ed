use super::*;
use crate::message::ClientId;
use crate::trust::pki_for_tests::{Answer, Issued, Template, answer, global_conf, good, issue};
use crate::trust::{verify_client_authentication, verify_server_authentication};

fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-01-10T12:00:00Z").unwrap()
}

fn fine(subject: &Issued, issuer: &Issued) -> OcspResponse {
    let statement = Answer {
        subject: &subject.certificate,
        issuer: &issuer.certificate,
        status: good(),
        this_update: "20260110115900Z",
        next_update: None,
    };
    answer(&statement, issuer, true, &[&issuer.certificate])
}

struct World {
    root: Issued,
    middle: Issued,
    leaf: Issued,
    ocsp: Vec<OcspResponse>,
}

fn world(middle: &Template, leaf: &Template) -> World {
    let root = issue(&Template::ca("root"), None);
    let middle = issue(middle, Some(&root));
    let leaf = issue(leaf, Some(&middle));
    let ocsp = vec![fine(&leaf, &middle), fine(&middle, &root)];
    World { root, middle, leaf, ocsp }
}

impl World {
    // With only the root in the configuration, the path goes through the certificate that was sent.
    fn verdict(&self) -> Result<usize, String> {
        let conf = global_conf(&[(&self.root.certificate, None)], &[]);
        let context = ChainContext {
            global_conf: &conf,
            instance: "LAB",
            ocsp: &self.ocsp,
            at: now(),
            policy: &Policy::STRICT,
        };
        let additional = [self.middle.certificate.clone()];
        let path = verify_chain_to(context, &self.root.certificate, &self.leaf.certificate, &additional);
        path.map(|path| path.len()).map_err(|error| error.code().to_owned())
    }
}

#[test]
fn intermediates_must_be_cas_in_every_respect() {
    let cannot = Err("cannot_create_cert_path.internal_error".to_owned());
    let leaf = Template::default();
    let ca = || Template::ca("middle");
    assert_eq!(world(&ca(), &leaf).verdict(), Ok(2));
    assert_eq!(world(&Template { path_length: Some(0), ..ca() }, &leaf).verdict(), Ok(2));
    assert_eq!(world(&Template { ca: false, ..ca() }, &leaf).verdict(), cannot);
    assert_eq!(world(&Template { key_usage: 0x80, ..ca() }, &leaf).verdict(), cannot);
    assert_eq!(world(&Template { to: "20260101000000Z", ..ca() }, &leaf).verdict(), cannot);
    assert_eq!(world(&Template { unknown_critical: true, ..ca() }, &leaf).verdict(), cannot);
    let bad = Template { unknown_critical: true, ..Template::default() };
    assert_eq!(world(&ca(), &bad).verdict(), cannot);
    let early = Template { from: "20260111000000Z", ..Template::default() };
    assert_eq!(world(&ca(), &early).verdict(), cannot);
}

#[test]
fn path_lengths_are_kept() {
    let root = issue(&Template::ca("root"), None);
    let upper = issue(&Template { path_length: Some(0), ..Template::ca("upper") }, Some(&root));
    let lower = issue(&Template::ca("lower"), Some(&upper));
    let leaf = issue(&Template::default(), Some(&lower));
    let conf = global_conf(&[(&root.certificate, None)], &[]);
    let context =
        ChainContext { global_conf: &conf, instance: "LAB", ocsp: &[], at: now(), policy: &Policy::STRICT };
    let additional = [lower.certificate.clone(), upper.certificate.clone()];
    let error = verify_chain_to(context, &root.certificate, &leaf.certificate, &additional).unwrap_err();
    assert_eq!(error.code(), "cannot_create_cert_path.internal_error");
}

#[test]
fn a_maze_of_same_names_is_given_up() {
    let root = issue(&Template::ca("root"), None);
    let maze: Vec<Certificate> =
        (0..10).map(|serial| issue(&Template { serial, ..Template::ca("root") }, None).certificate).collect();
    let leaf = issue(&Template::default(), Some(&issue(&Template::ca("root"), None)));
    let conf = global_conf(&[(&root.certificate, None)], &[]);
    let context =
        ChainContext { global_conf: &conf, instance: "LAB", ocsp: &[], at: now(), policy: &Policy::STRICT };
    assert!(verify_chain(context, &leaf.certificate, &maze).is_err());
    assert!(verify_chain(context, &leaf.certificate, &[&maze[..], &maze[..]].concat()).is_err());
}

#[test]
fn trap_trust_07_intermediates_that_are_sent_need_an_answer_at_the_provider() {
    let w = world(&Template::ca("middle"), &Template::default());
    let conf =
        global_conf(&[(&w.root.certificate, None), (&w.middle.certificate, None)], &[&w.leaf.certificate]);
    let client = ClientId::new("LAB", "ORG", "1", Some("sub")).unwrap();
    let (leaf, middle) = (w.leaf.certificate.clone(), w.middle.certificate.clone());
    let provider = |presented: &[Certificate], ocsp: &[OcspResponse]| {
        verify_client_authentication(&conf, &client, presented, ocsp, now(), &Policy::STRICT).is_ok()
    };
    // Both sent: the anchor is the root. Only the end entity: its direct issuer.
    assert!(provider(&[leaf.clone(), middle.clone()], &w.ocsp));
    assert!(!provider(&[leaf.clone(), middle.clone()], &w.ocsp[..1]));
    assert!(provider(std::slice::from_ref(&leaf), &w.ocsp[..1]));
    // The consumer takes the direct issuer in both cases.
    let consumer = |presented: &[Certificate]| {
        verify_server_authentication(&conf, &client, presented, &w.ocsp[..1], now(), &Policy::STRICT).is_ok()
    };
    assert!(consumer(&[leaf.clone(), middle]) && consumer(&[leaf]));
}

#[test]
fn trap_trust_19_the_anchor_is_a_name_and_a_key() {
    // Expired, no CA, wrong usage: still an anchor when the configuration lists it.
    let odd = Template { name: "odd", to: "20250601000000Z", ..Template::default() };
    let anchor = issue(&odd, None);
    let leaf = issue(&Template::default(), Some(&anchor));
    let conf = global_conf(&[(&anchor.certificate, None)], &[]);
    let ocsp = [fine(&leaf, &anchor)];
    let context =
        ChainContext { global_conf: &conf, instance: "LAB", ocsp: &ocsp, at: now(), policy: &Policy::STRICT };
    assert_eq!(verify_chain(context, &leaf.certificate, &[]).unwrap().len(), 1);
}

#[test]
fn trap_trust_15_of_two_cas_with_one_name_the_last_counts() {
    let first = issue(&Template::ca("CA"), None);
    let last = issue(&Template::ca("CA"), None);
    let conf = global_conf(&[(&first.certificate, None), (&last.certificate, None)], &[]);
    assert_eq!(conf.ca_by_subject("LAB", first.certificate.subject()), Some(&last.certificate));
    let leaf = issue(&Template::default(), Some(&first));
    let ocsp = [fine(&leaf, &first)];
    let context =
        ChainContext { global_conf: &conf, instance: "LAB", ocsp: &ocsp, at: now(), policy: &Policy::STRICT };
    assert!(verify_chain(context, &leaf.certificate, &[]).is_err());
}

#[test]
fn trap_trust_06_without_an_answer_there_is_no_authentication() {
    let w = world(&Template::ca("middle"), &Template::default());
    let listed = [(&w.root.certificate, None), (&w.middle.certificate, None)];
    let conf = global_conf(&listed, &[&w.leaf.certificate]);
    let client = ClientId::new("LAB", "ORG", "1", Some("sub")).unwrap();
    let presented = std::slice::from_ref(&w.leaf.certificate);
    for (ocsp, accepted) in [(&w.ocsp[..1], true), (&[][..], false), (&w.ocsp[1..], false)] {
        let policy = &Policy::STRICT;
        let provider = verify_client_authentication(&conf, &client, presented, ocsp, now(), policy);
        let consumer = verify_server_authentication(&conf, &client, presented, ocsp, now(), policy);
        assert_eq!((provider.is_ok(), consumer.is_ok()), (accepted, accepted));
    }
}
