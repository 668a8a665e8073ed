//! A hostile consumer's server, systematically: every header, part, element and place of good messages is damaged in every
//! way of a list. Each damage must be refused; after each group a good message must arrive.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::draft::{self, Draft, Part};
use crate::lab::{Lab, assert_bounded, good_rest_part};
use crate::markup;
use crate::wire::{self, End};

struct Group {
    name: &'static str,
    cases: Vec<(String, Vec<u8>)>,
}

impl Group {
    fn new(name: &'static str) -> Self {
        Self { name, cases: Vec::new() }
    }

    fn add(&mut self, name: impl Into<String>, draft: &Draft) {
        self.cases.push((name.into(), draft.bytes()));
    }
}

const KINDS: [&str; 10] = [
    draft::OCSP,
    draft::XML,
    draft::REST_REQUEST,
    draft::REST_RESPONSE,
    draft::REST_BODY,
    draft::CHAIN_RESULT,
    draft::CHAIN,
    draft::SIGNATURE,
    "text/plain",
    "multipart/mixed; boundary=x",
];

#[tokio::test]
async fn every_small_damage_of_a_good_message_is_refused_and_good_ones_still_pass() {
    let lab = Lab::start(&[1]).await;
    let envelope = draft::envelope(("100", "consumer"), "q-1", "");
    let messages = [
        ("REST", lab.rest()),
        ("REST without body", lab.rest_of(&good_rest_part("GET", "/echo"), None)),
        ("SOAP", lab.soap_of(&envelope)),
    ];
    let mut groups = Vec::new();
    for (name, message) in &messages {
        groups.extend([heads(name, message), places(name, message), parts(name, message)]);
        groups.extend([bits(name, message), evidence(name, message)]);
    }
    groups.push(rest_lines(&lab));
    groups.push(soap_headers(&lab, std::str::from_utf8(&envelope).unwrap()));
    run(&lab, groups).await;
}

// Four at a time: what one case costs is mostly a handshake.
async fn run(lab: &Lab, groups: Vec<Group>) {
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::new());
    lab.good().await;
    for group in groups {
        let before = lab.delivered();
        for four in group.cases.chunks(4) {
            let ask = async |index: usize| match four.get(index) {
                Some((name, bytes)) => {
                    let answer = wire::tls(lab.provider(), &lab.tls, bytes, End::Wait).await;
                    (answer.verdict() == "status 200").then(|| format!("{}: {name}", group.name))
                }
                None => None,
            };
            let passed = tokio::join!(ask(0), ask(1), ask(2), ask(3));
            wrong.extend([passed.0, passed.1, passed.2, passed.3].into_iter().flatten());
        }
        if lab.delivered() != before {
            wrong.push(format!("{}: something was delivered or logged", group.name));
        }
        *counts.entry(group.name).or_insert(0) += group.cases.len();
        lab.good().await;
    }
    assert_bounded(lab.ecosystem.server(1).id());
    let total: usize = counts.values().sum();
    assert!(wrong.is_empty(), "{} of {total} passed:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total > 900, "{total}");
    println!("{total} cases refused as they should: {counts:?}");
}

// Header lines that no HTTP reader may take, at each place; and each needed header gone or empty.
fn heads(message: &str, good: &Draft) -> Group {
    let mut group = Group::new("HTTP head");
    for (index, (name, value)) in good.headers.iter().enumerate() {
        for (what, line) in [
            ("blank before the colon", format!("{name} : {value}")),
            ("folded", format!("{name}: {value}\r\n more")),
            ("NUL", format!("{name}: {value}\0")),
            ("control", format!("{name}: {value}\u{1}")),
            ("bare CR", format!("{name}: {value}\rX: y")),
            ("no name", format!(": {value}")),
            ("no colon", name.clone()),
            ("NUL in the name", format!("{name}\0: {value}")),
            ("blank in the name", format!("{name} x: {value}")),
        ] {
            let head = String::from_utf8(good.head("Transfer-Encoding: chunked")).unwrap();
            let head = head.replacen(&format!("{name}: {value}\r\n"), &format!("{line}\r\n"), 1);
            let bytes = [head.into_bytes(), draft::chunked(&good.body(), true)].concat();
            group.cases.push((format!("{message}: line {index} {what}"), bytes));
        }
    }
    for name in ["x-hash-algorithm", "Content-Type", "x-road-request-id", "Host"] {
        if name == "x-road-request-id" && message == "SOAP" {
            continue;
        }
        let mut draft = good.clone();
        draft.set(name, None);
        group.add(format!("{message}: without {name}"), &draft);
        // An empty Host is a valid one.
        if name != "Host" {
            draft.header(name, "");
            group.add(format!("{message}: {name} empty"), &draft);
        }
    }
    group
}

// A message that ends early, under a proper end of HTTP: 24 places of the whole, six of each part.
fn places(message: &str, good: &Draft) -> Group {
    let mut group = Group::new("cut");
    let body = good.body();
    let head = good.head("Transfer-Encoding: chunked");
    for n in 0..24 {
        let bytes = [head.clone(), draft::chunked(&body[..body.len() * n / 24], true)].concat();
        group.cases.push((format!("{message}: after {n}/24"), bytes));
    }
    for (index, part) in good.parts.iter().enumerate() {
        for n in 0..6 {
            let mut draft = good.clone();
            draft.parts[index].body.truncate(part.body.len() * n / 6);
            group.add(format!("{message}: part {index} after {n}/6"), &draft);
        }
    }
    group
}

fn parts(message: &str, good: &Draft) -> Group {
    let mut group = Group::new("parts");
    for index in 0..good.parts.len() {
        let name = |what: &str| format!("{message}: part {index} {what}");
        let mut add = |what: &str, change: &dyn Fn(&mut Vec<Part>)| {
            let mut draft = good.clone();
            change(&mut draft.parts);
            group.add(name(what), &draft);
        };
        let part = good.parts[index].clone();
        add("removed", &|parts| drop(parts.remove(index)));
        // An OCSP response may be there twice.
        if index > 0 {
            add("twice", &|parts| parts.insert(index, part.clone()));
            add("first", &|parts| parts[..=index].rotate_right(1));
        }
        if index + 1 < good.parts.len() {
            add("last", &|parts| parts[index..].rotate_left(1));
        }
        for kind in KINDS {
            if !kind.eq_ignore_ascii_case(&part.content_type) {
                add(&format!("called {kind}"), &|parts| parts[index].content_type = kind.into());
            }
            let smuggled = Part { content_type: kind.into(), body: b"smuggled".to_vec() };
            add(&format!("with {kind} before it"), &|parts| parts.insert(index, smuggled.clone()));
        }
        for header in ["x", "x: \u{1}", "content-type: text/plain", ": x"] {
            add(&format!("with the header {header:?}"), &|parts| {
                parts[index].content_type.push_str(&format!("\r\n{header}"));
            });
        }
    }
    group
}

// One bit of what is signed, at places spread over each part.
fn bits(message: &str, good: &Draft) -> Group {
    let mut group = Group::new("bits");
    for (index, part) in good.parts.iter().enumerate() {
        let proven = proven(part);
        for n in 0..12 {
            let (at, bit) = (proven.start + proven.len() * n / 12, 1 << (n % 7));
            if !is_harmless(part, at) {
                let mut draft = good.clone();
                draft.parts[index].body[at] ^= bit;
                group.add(format!("{message}: part {index} byte {at} bit {bit}"), &draft);
            }
        }
    }
    group
}

// What of a part anything vouches for. An OCSP response carries its responder's certificate besides, which is known
// anyway; a document begins with its declaration, a signature ends with what is not signed.
fn proven(part: &Part) -> Range<usize> {
    let find = |text: &str| part.body.windows(text.len()).position(|window| window == text.as_bytes());
    match part.content_type.as_str() {
        draft::OCSP => 0..200,
        draft::SIGNATURE => find("<asic:").unwrap()..find("</xades:SignedProperties>").unwrap(),
        draft::CHAIN | draft::CHAIN_RESULT => find("<ns2:").unwrap()..part.body.len(),
        _ => 0..part.body.len(),
    }
}

// Inside of the start tag of the signature value: its name is nobody's business.
fn is_harmless(part: &Part, at: usize) -> bool {
    let before = &part.body[..at];
    let tag = before.iter().rposition(|byte| *byte == b'<').map_or(before, |start| &before[start..]);
    tag.starts_with(b"<ds:SignatureValue") && !tag.contains(&b'>')
}

// Signature, chain result and chain, element by element.
fn evidence(message: &str, good: &Draft) -> Group {
    const HARMLESS: [&str; 2] = ["ds:SignatureValue@Id", "xades:EncapsulatedOCSPValue@Id"];
    let mut group = Group::new("evidence");
    for kind in [draft::SIGNATURE, draft::CHAIN_RESULT, draft::CHAIN] {
        let Some(index) = good.parts.iter().position(|part| part.content_type == kind) else { continue };
        let text = String::from_utf8(good.parts[index].body.clone()).unwrap();
        let variants = markup::damaged(&text, &HARMLESS).into_iter().chain(markup::dangerous(&text));
        for (name, text) in variants {
            let mut draft = good.clone();
            draft.parts[index].body = text.into_bytes();
            group.add(format!("{message}: {kind}: {name}"), &draft);
        }
    }
    group
}

// Correctly signed, so that nothing but the line itself is wrong.
fn rest_lines(lab: &Lab) -> Group {
    let mut group = Group::new("REST lines");
    let good = good_rest_part("POST", "/echo");
    let count = good.split(|byte| *byte == b'\n').count() - 1;
    let damages: [(&str, &[u8]); 5] = [
        ("NUL", b"\0"),
        ("bad UTF-8", b"\xff"),
        ("bare CR", b"\rX:y"),
        ("bare LF", b"\nX:y"),
        ("delete", b"\x7f"),
    ];
    for index in 0..count {
        for (what, damage) in damages {
            let mut part = Vec::new();
            for (at, line) in good.split_inclusive(|byte| *byte == b'\n').enumerate() {
                let line = line.strip_suffix(b"\r\n").unwrap();
                part.extend_from_slice(line);
                part.extend_from_slice(if at == index { damage } else { b"" });
                part.extend_from_slice(b"\r\n");
            }
            group.add(format!("line {index}: {what}"), &lab.rest_of(&part, Some(b"{}")));
        }
    }
    group
}

// Correctly signed, too. Nothing optional is there, so that nothing may be missing.
fn soap_headers(lab: &Lab, envelope: &str) -> Group {
    let mut group = Group::new("SOAP header");
    for (name, text) in markup::damaged(envelope, &[]).into_iter().chain(markup::dangerous(envelope)) {
        // The body's inside is the service's.
        if !name.starts_with("p:") {
            group.add(name, &lab.soap_of(text.as_bytes()));
        }
    }
    group
}
