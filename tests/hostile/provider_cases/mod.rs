//! What a hostile provider's server answers, and that no byte of it reaches a client.

use hermod::sandbox::ocsp::Responder;

use crate::draft::{self, Draft};
use crate::lab::{Case, Forger, assert_bounded, judge, now, other_pki, push_signature};
use crate::provider::{Hostile, Reply, SECRET, Seen, ocsp_answer, response_envelope, response_part};
use crate::wire::End;

/// Signs the parts of a message in a way of its own.
type Signing<'a> = Box<dyn Fn(&[&[u8]]) -> hermod::evidence::SignatureData + 'a>;

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

type Make<'m> = Box<dyn Fn(&Seen) -> Reply + 'm>;

/// Answers with every script in turn; the request is logged, the response is not.
async fn run(hostile: &Hostile, request: &[u8], cases: Vec<(String, String, Make<'_>)>) {
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
    let mut cases: Vec<(String, String, Make<'_>)> = Vec::new();
    parts(&hostile, &mut cases);
    inconsistent(&hostile, &mut cases);
    framing(&hostile, &mut cases);
    signers(&hostile, &mut cases);
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

fn parts<'h>(hostile: &'h Hostile, cases: &mut Vec<(String, String, Make<'h>)>) {
    let mut add = |name: &str, code: &str, alter: fn(&mut Draft)| {
        let make = move |seen: &Seen| {
            let mut draft = hostile.rest(seen);
            alter(&mut draft);
            draft.into()
        };
        cases.push((name.into(), refused(code), Box::new(make)));
    };
    let kind = "service_failed.invalid_content_type";
    add("no part", "missing_rest", |d| d.parts.clear());
    add("no message", kind, |d| d.remove(draft::REST_RESPONSE));
    add("unsigned", "missing_signature", |d| d.remove(draft::SIGNATURE));
    add("message twice", kind, |d| d.parts.insert(0, d.parts[0].clone()));
    add("body twice", kind, |d| d.parts.insert(1, d.parts[1].clone()));
    add("a part behind the signature", "service_failed.invalid_message", |d| d.push("text/plain", SECRET));
    add("a part in front", kind, |d| {
        d.push("text/plain", SECRET);
        d.parts.rotate_right(1);
    });
    add("an OCSP response in front", kind, |d| {
        d.push(draft::OCSP, "x");
        d.parts.rotate_right(1);
    });
    add("a request", "missing_rest", |d| d.parts[0].content_type = draft::REST_REQUEST.into());
    add("signature before the body", "service_failed.invalid_message", |d| d.parts.swap(1, 4));
    let chain_ref = "signature_verification.malformed_signature.invalid_hash_chain";
    let reference = "signature_verification.malformed_signature.invalid_reference";
    add("another body", chain_ref, |d| d.parts[1].body.push(b' '));
    add("no body", reference, |d| d.remove(draft::REST_BODY));
    add("another message", chain_ref, |d| d.parts[0].body.extend_from_slice(b"X-More:1\r\n"));
    add("another status", chain_ref, |d| d.parts[0].body[0] = b'5');
    add("no chain", reference, |d| d.remove(draft::CHAIN));
    add(
        "chain replaced by the result",
        "signature_verification.malformed_signature.malformed_hash_chain",
        |d| {
            *d.part(draft::CHAIN) = d.part(draft::CHAIN_RESULT).clone();
        },
    );
    add("DOCTYPE in the signature", "signature_verification.invalid_xml", |d| {
        let text = String::from_utf8(d.part(draft::SIGNATURE).clone()).unwrap();
        *d.part(draft::SIGNATURE) = text.replace("?><asic", "?><!DOCTYPE a><asic").into_bytes();
    });
    add("another content type", "invalid_content_type", |d| d.set("Content-Type", Some("application/json")));
    add("no content type", "invalid_content_type", |d| d.set("Content-Type", None));
    for status in ["404 Not Found", "302 Found\r\nLocation: http://127.0.0.1:1/", "201 Created", "503 x"] {
        let make = move |seen: &Seen| {
            let mut draft = hostile.rest(seen);
            draft.start = format!("HTTP/1.1 {status}");
            draft.into()
        };
        cases.push((format!("status {status:?}"), refused("http_error"), Box::new(make)));
    }
}

// Correctly signed, but the answer to something else.
fn inconsistent<'h>(hostile: &'h Hostile, cases: &mut Vec<(String, String, Make<'h>)>) {
    let body = SECRET.as_bytes();
    for (name, value, code) in [
        ("x-road-id", "other", "inconsistent_response"),
        ("x-road-client", "SANDBOX/GOV/200/provider", "inconsistent_response"),
        ("x-road-client", "SANDBOX/GOV/100", "inconsistent_response"),
        ("x-road-service", "SANDBOX/GOV/200/provider/other", "inconsistent_response"),
        ("x-road-request-id", "other", "inconsistent_response"),
        ("x-road-request-hash", "b3RoZXI=", "inconsistent_response"),
        ("x-road-id", "", "service_failed.internal_error"),
        ("x-road-request-hash", "", "service_failed.internal_error"),
        ("x-road-client", "", "service_failed.internal_error"),
        ("x-road-service", "", "service_failed.internal_error"),
        ("x-road-request-id", "", "inconsistent_response"),
    ] {
        let make = move |seen: &Seen| {
            let mut changed = response_part(seen, &[(name, value)]);
            if value.is_empty() {
                changed = response_part(seen, &[(name, "")]);
            }
            hostile.rest_of(&changed, Some(body)).into()
        };
        cases.push((format!("{name} {value:?}"), refused(code), Box::new(make)));
    }
    for (name, alter) in [
        ("status of two digits", (|p| p.replacen("200", "20", 1)) as fn(String) -> String),
        ("interim status", |p| p.replacen("200", "101", 1)),
        ("status that is none", |p| p.replacen("200", "abc", 1)),
        ("line without colon", |p| p + "nothing\r\n"),
        ("bare line feeds", |p| p.replace("\r\n", "\n")),
        ("smuggled line", |p| p + "X-A:b\rSet-Cookie:c\r\n"),
    ] {
        let make = move |seen: &Seen| {
            let part = alter(String::from_utf8(response_part(seen, &[])).unwrap());
            hostile.rest_of(part.as_bytes(), Some(body)).into()
        };
        cases.push((name.into(), refused("service_failed.internal_error"), Box::new(make)));
    }
}

fn framing<'h>(hostile: &'h Hostile, cases: &mut Vec<(String, String, Make<'h>)>) {
    let cut = refused("service_failed.io_error");
    for part in 1..20 {
        for end in [End::Close, End::Fin] {
            let make = move |seen: &Seen| {
                let bytes = hostile.rest(seen).bytes();
                // Behind the head, before the last chunk.
                let head = hostile.rest(seen).head("Transfer-Encoding: chunked").len();
                let at = head + part * (bytes.len() - head - 2) / 19;
                Reply { bytes: bytes[..at].to_vec(), end }
            };
            cases.push((format!("cut at {part}/19"), cut.clone(), Box::new(make)));
        }
    }
    let until_close = move |seen: &Seen, end| {
        let draft = hostile.rest(seen);
        Reply { bytes: [draft.head("X-Framing: none"), draft.body()].concat(), end }
    };
    let make = move |seen: &Seen| until_close(seen, End::Fin);
    cases.push(("until close without close_notify".into(), cut.clone(), Box::new(make)));
    let make = move |seen: &Seen| {
        let mut draft = hostile.rest(seen);
        draft.closed = false;
        Reply { bytes: [draft.head("X-Framing: none"), draft.body()].concat(), end: End::Close }
    };
    cases.push(("until close without closing boundary".into(), cut, Box::new(make)));
    for (name, framing) in [
        ("length and chunks", "Content-Length: 10\r\nTransfer-Encoding: chunked"),
        ("unknown coding", "Transfer-Encoding: gzip, chunked"),
        ("bad length", "Content-Length: x"),
        ("folded line", "X-A: b\r\n c"),
        ("no colon", "nothing"),
        ("head of 70 KB", "long"),
    ] {
        let make = move |seen: &Seen| {
            let draft = hostile.rest(seen);
            let framing =
                if framing == "long" { format!("X: {}", "x".repeat(70_000)) } else { framing.into() };
            Reply { bytes: [draft.head(&framing), draft.body()].concat(), end: End::Close }
        };
        cases.push((name.into(), refused("io_error"), Box::new(make)));
    }
    for (name, bytes) in [
        ("nothing", b"".as_slice()),
        ("no HTTP", b"SSH-2.0-x\r\n\r\n"),
        ("interim answers without end", &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20)),
        ("another protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ] {
        let bytes = bytes.to_vec();
        let make = move |_: &Seen| Reply { bytes: bytes.clone(), end: End::Close };
        cases.push((name.into(), refused("io_error"), Box::new(make)));
    }
}

fn signers<'h>(hostile: &'h Hostile, cases: &mut Vec<(String, String, Make<'h>)>) {
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

#[tokio::test]
async fn soap_answers_that_are_not_proven_reach_no_client() {
    let hostile = Hostile::start().await;
    let good = |seen: &Seen| hostile.soap_of(response_envelope(seen).as_bytes()).into();
    let answer = hostile.exchange(&soap_request(), &good, &hostile.good_ocsp()).await;
    assert!(answer.text().contains(SECRET), "no good answer: {}", answer.text());
    let mut cases: Vec<(String, String, Make<'_>)> = Vec::new();
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

#[tokio::test]
async fn faults_reach_the_client_and_nothing_else_of_their_answer_does() {
    let hostile = Hostile::start().await;
    let fault = "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
        <e:Fault><faultcode>server.serverproxy.test</faultcode><faultstring>t</faultstring></e:Fault></e:Body></e:Envelope>";
    let in_place = |seen: &Seen| {
        let mut draft = hostile.rest(seen);
        draft.remove(draft::SIGNATURE);
        draft.push(draft::XML, fault);
        draft.into()
    };
    let only = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.push(draft::XML, fault);
        draft.into()
    };
    let plain = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.set("Content-Type", Some("text/xml;charset=utf-8"));
        Reply {
            bytes: [draft.head(&format!("Content-Length: {}", fault.len())), fault.into()].concat(),
            end: End::Close,
        }
    };
    const OLD: &str = "Server.ServerProxy.AccessDenied";
    let old = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.push(draft::XML, fault.replace("server.serverproxy.test", OLD));
        draft.into()
    };
    let expect = "error server.serverproxy.test";
    let cases: Vec<(String, String, Make<'_>)> = vec![
        ("a fault in place of the signature".into(), expect.into(), Box::new(in_place)),
        ("a fault as the only part".into(), expect.into(), Box::new(only)),
        ("a plain fault".into(), expect.into(), Box::new(plain)),
        // As servers before 7.8 spell them: untouched.
        ("a fault in the old spelling".into(), format!("error {OLD}"), Box::new(old)),
    ];
    run(&hostile, &request(), cases).await;
}

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
