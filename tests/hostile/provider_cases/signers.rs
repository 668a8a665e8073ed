//! Answers that somebody else has signed, or nobody in good standing.

use hermod::sandbox::ocsp::Responder;

use super::{Answer, refused};
use crate::draft::{self, Draft};
use crate::lab::{Forger, now, other_pki, push_signature};
use crate::provider::{Hostile, SECRET, Seen, response_part};

/// Signs the parts of a message in a way of its own.
type Signing<'a> = Box<dyn Fn(&[&[u8]]) -> hermod::evidence::SignatureData + 'a>;

pub fn wrong<'h>(hostile: &'h Hostile, cases: &mut Vec<Answer<'h>>) {
    let lab = &hostile.lab;
    let mut add = |name: &str, code: &str, sign: Signing<'h>| {
        let make = move |seen: &Seen| {
            let (part, body) = (response_part(seen, &[]), SECRET.as_bytes());
            let mut draft = Draft::answer();
            draft.push(draft::REST_RESPONSE, part.clone());
            draft.push(draft::REST_BODY, body);
            push_signature(&mut draft, &sign(&[&part, body]));
            draft.into()
        };
        cases.push((name.into(), refused(&format!("signature_verification.{code}")), Box::new(make)));
    };
    add("the consumer's own key", "incorrect_certificate", Box::new(|parts| lab.forger(0).sign(parts)));
    for (name, offset) in [("an old OCSP response", -7200), ("an OCSP response from the future", 3600)] {
        add(
            name,
            "invalid_cert_path.incorrect_validation_info",
            Box::new(move |parts| {
                let forger = lab.forger(1);
                let ocsp = forger.ocsp(forger.identities.signing.certificate(), offset);
                forger.sign_with(&forger.template(vec![ocsp]), parts)
            }),
        );
    }
    add(
        "no OCSP response",
        "malformed_signature",
        Box::new(|parts| lab.forger(1).sign_with(&lab.forger(1).template(Vec::new()), parts)),
    );
    let directory = tempfile::tempdir().unwrap();
    let foreign = other_pki(lab, directory.path(), &[], now());
    add(
        "a foreign authority",
        "cannot_create_cert_path.internal_error",
        Box::new(move |parts| {
            let responder = Responder::new(foreign.clone()).unwrap();
            let forger = Forger {
                identities: &foreign.servers[1],
                ca: foreign.ca.certificate(),
                responder: &responder,
            };
            forger.sign(parts)
        }),
    );
    let other: Signing<'_> = Box::new(|_| lab.forger(1).sign(&[b"x", b"y"]));
    add("a signature of something else", "malformed_signature.invalid_hash_chain", other);
}
