//! What a hostile provider's server answers, and that no byte of it reaches a client.

mod faults;
mod framing;
mod parts;
mod signers;
mod soap;
mod standing;

use crate::draft;
use crate::lab::{Case, assert_bounded, judge};
use crate::provider::{Hostile, Reply, SECRET, Seen};

fn request() -> Vec<u8> {
    let target = format!("/r1/{}/echo", draft::subsystem("200", "provider"));
    let client = draft::subsystem("100", "consumer");
    format!(
        "POST {target} HTTP/1.1\r\nHost: ss1\r\nX-Road-Client: {client}\r\nX-Road-Id: q-1\r\n\
         Content-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{{\"a\":1}}"
    )
    .into_bytes()
}

fn soap_request() -> Vec<u8> {
    let envelope = draft::envelope(("100", "consumer"), "q-1", "");
    let mut out = format!(
        "POST / HTTP/1.1\r\nHost: ss1\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        envelope.len()
    )
    .into_bytes();
    out.extend_from_slice(&envelope);
    out
}

/// A case: its name, what the client is told, and the answer.
type Answer<'m> = (String, String, Make<'m>);
type Make<'m> = Box<dyn Fn(&Seen) -> Reply + 'm>;

/// Answers with every script in turn; the request is logged, the response is not.
async fn run(hostile: &Hostile, request: &[u8], cases: Vec<Answer<'_>>) {
    let good = hostile.good_ocsp();
    let (count, mut wrong) = (cases.len(), Vec::new());
    for (name, expect, make) in cases {
        let before = hostile.records();
        let answer = hostile.exchange(request, &*make, &good).await;
        judge(&Case::raw(name.clone(), Vec::new(), expect), &answer, &mut wrong);
        if answer.text().contains(SECRET) {
            wrong.push(format!("{name}: was delivered"));
        }
        if hostile.records() != before + 1 {
            wrong.push(format!("{name}: {} records", hostile.records() - before));
        }
    }
    assert_bounded(hostile.lab.ecosystem.server(0).id());
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    println!("{count} answers refused as they should");
}

async fn good_rest(hostile: &Hostile) {
    let answer = hostile.exchange(&request(), &|seen| hostile.rest(seen).into(), &hostile.good_ocsp()).await;
    assert!(answer.text().contains(SECRET), "no good answer: {}", answer.text());
}

#[tokio::test]
async fn rest_answers_that_are_not_proven_reach_no_client() {
    let hostile = Hostile::start().await;
    good_rest(&hostile).await;
    let mut cases: Vec<Answer<'_>> = Vec::new();
    parts::changed(&hostile, &mut cases);
    parts::inconsistent(&hostile, &mut cases);
    framing::broken(&hostile, &mut cases);
    signers::wrong(&hostile, &mut cases);
    run(&hostile, &request(), cases).await;
    good_rest(&hostile).await;
}

#[tokio::test]
async fn requests_to_other_servers_have_their_header_lines_in_the_order_of_official_servers() {
    let hostile = Hostile::start().await;
    let names = std::cell::RefCell::new(Vec::new());
    let script = |seen: &Seen| {
        let lines = seen.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let told = |(name, value): (&str, &str)| match name {
            "Connection" | "Transfer-Encoding" => format!("{name}: {value}"),
            _ => name.to_owned(),
        };
        *names.borrow_mut() = lines.map(told).collect();
        hostile.rest(seen).into()
    };
    // As captured from a 7.8.0 server, which also names its HTTP client and offers to unpack.
    let last = ["Transfer-Encoding: chunked", "Content-Type", "Host", "Connection: Keep-Alive"];
    let first = ["x-hash-algorithm", "x-original-content-type", "x-road-request-id", "x-proxy-version"];
    hostile.exchange(&request(), &script, &hostile.good_ocsp()).await;
    let rest: Vec<&str> = [["x-road-message-type"].as_slice(), &first, &last].concat();
    assert_eq!(*names.borrow(), rest);
    hostile.exchange(&soap_request(), &script, &hostile.good_ocsp()).await;
    let soap: Vec<&str> = [first.as_slice(), &["x-original-soapaction"], &last].concat();
    assert_eq!(*names.borrow(), soap);
}

fn refused(code: &str) -> String {
    format!("error server.clientproxy.{code}")
}
