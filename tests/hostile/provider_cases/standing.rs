//! Servers whose certificates or OCSP responses are not in good standing.

use super::{refused, request};
use crate::lab::{Case, judge, now, other_pki};
use crate::provider::{Hostile, Reply, Seen, ocsp_answer};

#[tokio::test]
async fn servers_without_good_standing_are_sent_nothing() {
    let mut hostile = Hostile::start().await;
    let lab = &hostile.lab;
    let forger = lab.forger(1);
    let certificate = forger.identities.authentication.certificate();
    let good = forger.ocsp(certificate, 0);
    let own = lab.forger(0).ocsp(lab.forger(0).identities.authentication.certificate(), 0);
    let internal = refused("ssl_authentication_failed.internal_error");
    let path = |code: &str| refused(&format!("ssl_authentication_failed.invalid_cert_path.{code}"));
    let text = |text: &str| text.as_bytes().to_vec();
    let mut cases = vec![
        ("no answer", Vec::new(), internal.clone()),
        ("no part", ocsp_answer(&[]), internal.clone()),
        ("two parts", ocsp_answer(&[good.clone(), good.clone()]), internal.clone()),
        ("forty parts", ocsp_answer(&vec![good.clone(); 40]), internal.clone()),
        ("garbage", ocsp_answer(&[b"garbage".to_vec()]), internal.clone()),
        ("a megabyte", ocsp_answer(&[vec![0x30; 1 << 20]]), internal.clone()),
        ("an error", text("HTTP/1.1 500 x\r\nContent-Length: 1\r\n\r\nx"), internal.clone()),
        (
            "a page",
            text("HTTP/1.1 200 x\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx"),
            internal.clone(),
        ),
        ("cut off", ocsp_answer(std::slice::from_ref(&good))[..200].to_vec(), internal),
        ("an old one", ocsp_answer(&[forger.ocsp(certificate, -7200)]), path("incorrect_validation_info")),
        (
            "one from the future",
            ocsp_answer(&[forger.ocsp(certificate, 3600)]),
            path("incorrect_validation_info"),
        ),
        ("one about another certificate", ocsp_answer(&[own]), path("cert_validation")),
    ];
    forger.responder.set_revoked(certificate.serial().to_vec(), true);
    let revoked = ocsp_answer(&[forger.ocsp(certificate, 0)]);
    forger.responder.set_revoked(certificate.serial().to_vec(), false);
    let mut forged = good;
    let at = forged.windows(4).position(|w| w == b"\x18\x0f20").unwrap() + 6;
    forged[at] ^= 1;
    cases.push(("a forged one", ocsp_answer(&[forged]), path("incorrect_validation_info")));
    // Authentic, so it is remembered: the last case.
    cases.push(("a revoked certificate", revoked, path("cert_validation")));
    let mut wrong = Vec::new();
    let script = |_: &Seen| -> Reply { panic!("a request was sent") };
    for (name, ocsp, expect) in cases {
        let answer = hostile.exchange(&request(), &script, &ocsp).await;
        judge(&Case::raw(name, Vec::new(), expect), &answer, &mut wrong);
    }
    assert_eq!(hostile.records(), 0);
    // Certificates of others, of nobody, and of ours for something else.
    let directory = tempfile::tempdir().unwrap();
    let foreign = other_pki(&hostile.lab, directory.path(), &[], now());
    let pki = other_pki(&hostile.lab, &hostile.lab.ecosystem.directory().join("pki"), &[], now());
    for (name, identity, code) in [
        (
            "a foreign certificate",
            &foreign.servers[1].authentication,
            "ssl_authentication_failed.cannot_create_cert_path.internal_error",
        ),
        ("the consumer's own", &pki.servers[0].authentication, "ssl_authentication_failed"),
        ("a signing certificate", &pki.servers[1].signing, "ssl_authentication_failed"),
        ("the responder's certificate", &pki.ocsp, "ssl_authentication_failed"),
    ] {
        hostile.show(identity);
        let forger = hostile.lab.forger(1);
        let ocsp = ocsp_answer(&[forger.ocsp(identity.certificate(), 0)]);
        let answer = hostile.exchange(&request(), &script, &ocsp).await;
        judge(&Case::raw(name, Vec::new(), refused(code)), &answer, &mut wrong);
    }
    assert_eq!(hostile.records(), 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
