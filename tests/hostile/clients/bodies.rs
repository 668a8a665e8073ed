//! SOAP messages that are none, or not whole.

use super::{Clients, good_envelope, soap};
use crate::draft;
use crate::lab::Case;
use crate::wire::{self, End};

pub fn envelopes(cases: &mut Vec<Case>) {
    let mut add = |name: &str, body: &[u8], code: &str| {
        cases.push(Case::raw(name, soap("text/xml", body), format!("fault client.{code}")));
    };
    let good = good_envelope();
    let inner = |xml: &str| good.replace("<p:size>", &format!("{xml}<p:size>"));
    let doctype =
        |inside: &str| good.replacen("<e:Envelope", &format!("<!DOCTYPE e {inside}><e:Envelope"), 1);
    let lol: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    add("a billion laughs", doctype(&format!("[<!ENTITY l0 \"lol\">{lol}]")).as_bytes(), "invalid_soap");
    add("external entity", doctype("[<!ENTITY x SYSTEM \"file:///etc/passwd\">]").as_bytes(), "invalid_soap");
    add(
        "parameter entity",
        doctype("[<!ENTITY % x SYSTEM \"http://127.0.0.1:1/\">%x;]").as_bytes(),
        "invalid_soap",
    );
    add("depth of 100,000", inner(&"<a>".repeat(100_000)).as_bytes(), "invalid_soap");
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"x\"")).collect();
    add("20,000 attributes", inner(&format!("<a{attributes}/>")).as_bytes(), "invalid_soap");
    let namespaces: String = (0..20_000).map(|n| format!(" xmlns:n{n}=\"u\"")).collect();
    add("20,000 namespaces", inner(&format!("<a{namespaces}/>")).as_bytes(), "invalid_soap");
    add(
        "a long namespace",
        inner(&format!("<a xmlns=\"{}\"/>", "u".repeat(1 << 20))).as_bytes(),
        "invalid_soap",
    );
    add("bad UTF-8", &[inner("<a>").as_bytes(), b"\xff\xfe"].concat(), "invalid_soap");
    add(
        "half a character of UTF-16",
        &good.bytes().flat_map(|b| [b, 0]).chain([b'x']).collect::<Vec<_>>(),
        "invalid_soap",
    );
    let split = good.replacen("<i:memberCode>", "<i:memberCode><x/>", 1);
    add("element in a member code", split.as_bytes(), "invalid_xml");
    add("no XML", b"hello", "invalid_soap");
    add("nothing", b"", "invalid_soap");
    let large = inner(&format!("<a>{}</a>", "x".repeat(33 << 20)));
    add("33 MB", large.as_bytes(), "invalid_soap");
    let mut raw = |name: &str, bytes: Vec<u8>, expect: &str| cases.push(Case::raw(name, bytes, expect));
    raw(
        "another content type",
        soap("application/json", good.as_bytes()),
        "fault client.invalid_content_type",
    );
    raw("no content type", soap("", good.as_bytes()), "fault server.clientproxy.internal_error");
    let action = String::from_utf8(soap("text/xml", good.as_bytes())).unwrap();
    raw(
        "SOAP action that is none",
        action.replacen("Host", "SOAPAction: x y\r\nHost", 1).into_bytes(),
        "fault client.invalid_soap_action",
    );
    raw(
        "GET",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        "fault client.invalid_http_method",
    );
    let unknown = String::from_utf8(draft::envelope(("100", "other"), "q-1", "")).unwrap();
    raw("unknown client", soap("text/xml", unknown.as_bytes()), "fault server.clientproxy.unknown_member");
    let cut = soap("text/xml", good.as_bytes());
    let case = Case::raw("cut off", cut[..cut.len() - 50].to_vec(), "nothing|fault client.io_error");
    cases.push(Case { end: End::Close, ..case });
}

pub fn multiparts(cases: &mut Vec<Case>) {
    let related = "multipart/related; type=\"text/xml\"; boundary=b";
    let good = good_envelope();
    let first = format!("--b\r\nContent-Type: text/xml\r\n\r\n{good}\r\n");
    let mut add = |name: &str, body: String, code: &str| {
        cases.push(Case::raw(name, soap(related, body.as_bytes()), format!("fault client.{code}")));
    };
    add("no part", "--b--\r\n".into(), "missing_soap");
    add("no boundary in sight", "hello".into(), "missing_soap");
    add("first part without type", format!("--b\r\n\r\n{good}\r\n--b--"), "invalid_content_type");
    add(
        "first part is a picture",
        format!("--b\r\nContent-Type: image/png\r\n\r\n{good}\r\n--b--"),
        "invalid_content_type",
    );
    add("attachment without type", format!("{first}--b\r\n\r\nx\r\n--b--"), "invalid_content_type");
    let part = |header: &str| format!("{first}--b\r\nContent-Type: text/plain\r\n{header}\r\n\r\nx\r\n--b--");
    add("header line of 1000 bytes", part(&format!("X: {}", "x".repeat(995))), "mime_parsing_failed");
    let folded = format!("X: y{}", "\r\n z".repeat(4000));
    add("folded header of 8 KB", part(&folded), "mime_parsing_failed");
    add(
        "folded header of the SOAP part",
        format!("--b\r\nContent-Type: text/xml\r\n{folded}\r\n\r\n{good}\r\n--b--"),
        "mime_parsing_failed",
    );
    add(
        "2000 headers",
        part(&(0..2000).map(|n| format!("X{n}: y")).collect::<Vec<_>>().join("\r\n")),
        "mime_parsing_failed",
    );
    add("control in a header", part("X: \u{1}"), "mime_parsing_failed");
    add("bare CR in a header", part("X: a\rContent-Type: b"), "mime_parsing_failed");
    add("no colon", part("nothing"), "mime_parsing_failed");
    add("cut off in headers", format!("{first}--b\r\nContent-Type: te"), "io_error");
    let mut nested = String::new();
    for depth in 0..50 {
        nested.push_str(&format!(
            "--{}\r\nContent-Type: multipart/mixed; boundary={}\r\n\r\n",
            "b".repeat(depth + 1),
            "b".repeat(depth + 2)
        ));
    }
    add("50 levels", nested, "mime_parsing_failed");
    add(
        "boundary of 201 bytes inside",
        part(&format!("\r\n--b\r\nContent-Type: multipart/mixed; boundary={}", "x".repeat(201))),
        "invalid_content_type",
    );
    let thousand = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(1001);
    add("1001 attachments", format!("{first}{thousand}--b--"), "invalid_message");
    add(
        "SOAP part of 33 MB",
        format!("--b\r\nContent-Type: text/xml\r\n\r\n{}\r\n--b--", "x".repeat(33 << 20)),
        "invalid_soap",
    );
    let kind = "multipart/related; type=\"text/xml\"; boundary=";
    for (name, boundary) in [("empty", String::new()), ("of 201 bytes", "b".repeat(201))] {
        let bytes = soap(&format!("{kind}\"{boundary}\""), good.as_bytes());
        cases.push(Case::raw(format!("boundary {name}"), bytes, "fault client.invalid_content_type"));
    }
}

#[tokio::test]
async fn a_boundary_inside_of_content_ends_nothing() {
    let clients = Clients::start().await;
    let content = "x\r\n--bX\r\n--\r\n--b\u{e4}\r\n--xroad\r\n--b-\r\ny";
    let body = format!(
        "--b\r\nContent-Type: text/xml\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\n{content}\r\n--b--",
        good_envelope()
    );
    let bytes = soap("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary=b", body.as_bytes());
    let answer = wire::plain(clients.http, &bytes, End::Wait).await.text();
    assert!(answer.contains(content) && !answer.contains("faultcode"), "{answer}");
}
