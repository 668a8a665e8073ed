//! The same of SOAP.

use super::{Answer, run, soap_request};
use crate::draft::{self, Draft};
use crate::provider::{Hostile, Reply, SECRET, Seen, response_envelope};
use crate::wire::End;

#[tokio::test]
async fn soap_answers_that_are_not_proven_reach_no_client() {
    let hostile = Hostile::start().await;
    let good = |seen: &Seen| hostile.soap_of(response_envelope(seen).as_bytes()).into();
    let answer = hostile.exchange(&soap_request(), &good, &hostile.good_ocsp()).await;
    assert!(answer.text().contains(SECRET), "no good answer: {}", answer.text());
    let mut cases: Vec<Answer<'_>> = Vec::new();
    let hostile = &hostile;
    let mut add = |name: &str, code: &str, alter: Box<dyn Fn(String) -> String>| {
        let make = move |seen: &Seen| hostile.soap_of(alter(response_envelope(seen)).as_bytes()).into();
        cases.push((name.into(), format!("fault server.clientproxy.{code}"), Box::new(make)));
    };
    let replace = |from: &'static str, to: &'static str| -> Box<dyn Fn(String) -> String> {
        Box::new(move |envelope| envelope.replacen(from, to, 1))
    };
    let inconsistent = "service_failed.inconsistent_response";
    add("another message id", inconsistent, replace(">q-1<", ">q-2<"));
    add("another client", inconsistent, replace(">consumer<", ">other<"));
    add("another service version", inconsistent, replace(">v1<", ">v2<"));
    add(
        "a user id",
        inconsistent,
        replace("<x:protocolVersion>", "<x:userId>u</x:userId><x:protocolVersion>"),
    );
    add("another hash", "inconsistent_response", replace("#sha512\">", "#sha512\">AAAA"));
    add(
        "no hash",
        "inconsistent_response",
        Box::new(|envelope| {
            let (start, rest) = envelope.split_once("<x:requestHash").unwrap();
            format!("{start}{}", rest.split_once("</x:requestHash>").unwrap().1)
        }),
    );
    add("DOCTYPE", "service_failed.invalid_soap", replace("<e:Envelope", "<!DOCTYPE e><e:Envelope"));
    add("no XML", "service_failed.invalid_soap", Box::new(|_| SECRET.to_owned()));
    add(
        "a signed fault",
        "service_failed.invalid_message",
        Box::new(|envelope| {
            let head = envelope.split("<e:Body>").next().unwrap().to_owned();
            format!(
                "{head}<e:Body><e:Fault><faultcode>x</faultcode><faultstring>{SECRET}</faultstring></e:Fault></e:Body></e:Envelope>"
            )
        }),
    );
    let unsigned = |seen: &Seen| {
        let mut draft = hostile.soap_of(response_envelope(seen).as_bytes());
        draft.remove(draft::SIGNATURE);
        draft.into()
    };
    cases.push(("unsigned".into(), "fault server.clientproxy.missing_signature".into(), Box::new(unsigned)));
    let plain = |seen: &Seen| {
        let mut draft = Draft::answer();
        draft.set("Content-Type", Some("text/xml"));
        let body = response_envelope(seen);
        let framing = format!("Content-Length: {}", body.len());
        Reply { bytes: [draft.head(&framing), body.into_bytes()].concat(), end: End::Close }
    };
    let expect = "fault server.clientproxy.service_failed.invalid_message";
    cases.push(("a plain message in place of a fault".into(), expect.into(), Box::new(plain)));
    run(hostile, &soap_request(), cases).await;
}
