//! The captured exchanges of official servers, sent again: the same client bytes and the same service bytes must give
//! the service and the client what they got then.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::crypto::sha512;
use hermod::sandbox::RuntimeChoice;

use super::backend::Script;
use super::http::Message;
use super::world::{Cases, World, on_each_runtime};

/// Cases with another outcome here than at the official servers, on purpose: status, code and reason.
const OTHERWISE: [(&str, u16, &str, &str); 5] = [
    (
        "rest-get-response-headers",
        200,
        "from.service",
        "only the x-road-service line of the server goes to the client",
    ),
    ("rest-get-space", 200, "", "a space in a path is no reason to refuse it"),
    ("rest-get-pipe-query", 200, "", "a query goes to the service as it was sent"),
    ("rest-get-gzip", 200, "", "what the service encoded stays encoded"),
    (
        "rest-two-client-headers",
        500,
        "server.clientproxy.invalid_client_identifier",
        "two different clients are none",
    ),
];

/// Cases whose answer is made of the service's own bytes here, where official servers write them anew.
const NOT_REWRITTEN: [&str; 5] =
    ["rest-get-openapi", "soap-empty-issue", "soap-mtom", "soap-odd-response", "soap-odd-xml"];

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine";

fn captures() -> Option<PathBuf> {
    let root = std::env::var_os("HERMOD_VECTORS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    let captures = root.join("captures/transport");
    if !captures.is_dir() {
        eprintln!("skipped: no captures at {} (HERMOD_VECTORS names another place)", captures.display());
        return None;
    }
    Some(captures)
}

#[test]
fn captured_exchanges_come_out_as_at_official_servers() {
    let Some(captures) = captures() else { return };
    let mut names: Vec<String> = std::fs::read_dir(&captures)
        .expect("captures")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    on_each_runtime(|runtime| replay_all(runtime, &captures, &names));
}

fn replay_all(runtime: RuntimeChoice, captures: &Path, names: &[String]) {
    let world = World::start(runtime, |_| ());
    let mut cases = Cases::default();
    for name in names {
        cases.case(&format!("{name} on {}", runtime.as_str()), || replay(&world, &captures.join(name), name));
    }
    cases.finish();
}

fn replay(world: &World, folder: &Path, name: &str) {
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let request = message_here(&read("client-request.http").expect("a client request"));
    world.backend.script(match read("service-response.http") {
        Some(answer) => Script::Says(message_here(&answer)),
        None => Script::Says(FINE.to_vec()),
    });
    let captured = read("client-response.http").expect("a client response");
    let captured = Message::parse(&captured, request.starts_with(b"HEAD "));
    let answer = world.send(&request);
    if let Some((_, status, code, reason)) = OTHERWISE.iter().find(|(other, ..)| *other == name) {
        assert_eq!((answer.status(), error_code(&answer).as_str()), (*status, *code), "{reason}");
        return;
    }
    same_answer(&answer, &captured, name);
    if let Some(call) = read("service-request.http") {
        let asked = world.backend.asked();
        assert_eq!(asked.len(), 1, "calls of the service");
        same_call(&asked[0], &Message::parse(&call, false));
        if name.starts_with("rest-") && answer.status() < 400 && !name.contains("openapi") {
            assert_eq!(answer.header("x-road-request-hash"), request_hash(&request, &asked[0]));
        }
    } else {
        assert_eq!(world.backend.asked().len(), 0, "the service is not called");
    }
}

/// The code of an error, empty for an answer that is none.
pub fn error_code(answer: &Message) -> String {
    let code = answer.header("x-road-error");
    if !code.is_empty() {
        return code;
    }
    let text = answer.text();
    let code = text.split_once("<faultcode>").and_then(|(_, rest)| rest.split_once("</faultcode>"));
    code.map(|(code, _)| code.to_owned()).unwrap_or_default()
}

fn same_answer(answer: &Message, captured: &Message, name: &str) {
    let shown = || format!("{} {}", answer.first, answer.text());
    assert_eq!(answer.status(), captured.status(), "status of {}", shown());
    assert_eq!(error_code(answer), error_code(captured), "code of {}", shown());
    if captured.status() == 400 {
        return;
    }
    assert_eq!(answer.names(), captured.names(), "header names");
    for (name, value) in &captured.headers {
        let varies =
            ["date", "x-road-request-id", "x-road-request-hash", "transfer-encoding", "content-length"];
        if varies.contains(&name.to_ascii_lowercase().as_str()) || value.starts_with(b"multipart/") {
            continue;
        }
        let found = answer.headers.iter().any(|(other, found)| other == name && *found == here(value));
        let of_captured = String::from_utf8_lossy(value);
        let generated = name.eq_ignore_ascii_case("x-road-id") && of_captured.starts_with("LAB-");
        assert!(found || generated, "{name}: {of_captured} is missing in {:?}", answer.headers);
    }
    if error_code(captured).ends_with("unknown_service") {
        let of_captured = here(captured.text().as_bytes());
        let text = String::from_utf8_lossy(&of_captured).into_owned();
        let start = ["Unknown service", "Could not find"].iter().find_map(|words| text.find(words));
        let text = start.and_then(|at| text[at..].split(['"', '<']).next()).expect("a text").to_owned();
        assert!(answer.text().contains(&text), "{text} is missing in {}", answer.text());
    }
    if error_code(captured).is_empty() && !GENERATED.contains(&name) && !NOT_REWRITTEN.contains(&name) {
        same_bytes("body", &comparable(answer), &here(&comparable(captured)));
    }
}

/// Answers that the servers make themselves: only their form is the same.
const GENERATED: [&str; 8] = [
    "list-clients",
    "list-clients-json",
    "rest-allowed-methods",
    "rest-list-methods",
    "soap-allowed-methods",
    "soap-list-methods",
    "soap-get-wsdl",
    "verificationconf",
];

// Boundaries and request hashes are made anew in every exchange, the order of a part's headers is free, and so is the
// line end that the official servers put behind an answer's envelope.
fn comparable(message: &Message) -> Vec<u8> {
    let content_type = message.header("content-type");
    let mut body = match hermod::sandbox::mime::boundary(&content_type) {
        Some(boundary) => {
            let parts = hermod::sandbox::mime::parts(boundary, &message.body).expect("a whole multipart");
            let mut body = Vec::new();
            for part in parts {
                let head = String::from_utf8_lossy(&message.body[part.head]).into_owned();
                let mut lines: Vec<&str> = head.trim_end().split("\r\n").skip(1).collect();
                lines.sort_unstable();
                body.extend_from_slice(format!("[{}]", lines.join("|")).as_bytes());
                body.extend_from_slice(message.body[part.content].trim_ascii_end());
            }
            body
        }
        None => message.body.clone(),
    };
    if content_type.starts_with("text/xml") {
        body.truncate(body.trim_ascii_end().len());
    }
    if let Some(at) = body.windows(12).position(|window| window == b"requestHash ") {
        let start = at + body[at..].iter().position(|byte| *byte == b'>').expect("an end") + 1;
        let end = start + body[start..].iter().position(|byte| *byte == b'<').expect("an end");
        body.drain(start..end);
    }
    body
}

fn same_bytes(what: &str, got: &[u8], wanted: &[u8]) {
    if got == wanted {
        return;
    }
    let at = got.iter().zip(wanted).take_while(|(one, other)| one == other).count();
    let shown = |bytes: &[u8]| {
        let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + 60)];
        format!("{:?} ({} bytes)", String::from_utf8_lossy(around), bytes.len())
    };
    panic!("{what} differs at byte {at}:\n  got    {}\n  wanted {}", shown(got), shown(wanted));
}

fn same_call(call: &Message, captured: &Message) {
    assert_eq!(call.first.as_bytes(), here(captured.first.as_bytes()), "request line to the service");
    // What the message says, without what the HTTP clients of the two servers say for themselves.
    let own = [
        "host",
        "connection",
        "user-agent",
        "cookie",
        "accept-encoding",
        "transfer-encoding",
        "content-length",
    ];
    let lines = |message: &Message| -> Vec<(String, String)> {
        let kept =
            message.headers.iter().filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()));
        let line = |(name, value): &(String, Vec<u8>)| {
            let varies = name == "x-road-request-id" || value.starts_with(b"multipart/");
            (
                name.clone(),
                if varies { String::new() } else { String::from_utf8_lossy(&here(value)).into_owned() },
            )
        };
        kept.map(line).collect()
    };
    let (got, mut wanted) = (lines(call), lines(captured));
    for (name, value) in &mut wanted {
        if name == "x-road-id" && value.starts_with("SANDBOX-") {
            *value = got.iter().find(|(name, _)| name == "x-road-id").expect("an id").1.clone();
        }
    }
    assert_eq!(got, wanted, "headers to the service");
    same_bytes("body to the service", &comparable(call), &here(&comparable(captured)));
}

// The hash over the REST part, built again from what the service was told.
fn request_hash(request: &[u8], call: &Message) -> String {
    let client = super::http::read(&mut &*request, false).expect("a request");
    let mut words = client.first.split(' ');
    let mut part = format!("{}\r\n{}\r\n", words.next().unwrap(), words.next().unwrap()).into_bytes();
    let own = ["host", "connection", "user-agent", "content-length", "transfer-encoding"];
    for (name, value) in &call.headers {
        let lower = name.to_ascii_lowercase();
        let added = lower == "accept-encoding" && client.header("accept-encoding").is_empty();
        if own.contains(&lower.as_str()) || added {
            continue;
        }
        // Latin-1 on the wire, UTF-8 in the part.
        let value: String = value.iter().map(|byte| char::from(*byte)).collect();
        part.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
    }
    let message = sha512(&part);
    BASE64.encode(match client.body.is_empty() {
        true => message,
        false => sha512(&[message, sha512(&client.body)].concat()),
    })
}

/// Bytes of the captures' laboratory as they are in the sandbox: its instance is longer, its servers are numbered from
/// one.
pub fn here(bytes: &[u8]) -> Vec<u8> {
    let renamed = [
        ("200/ss1", "200/ss2"),
        ("100/ss0", "100/ss1"),
        ("LAB/GOV", "SANDBOX/GOV"),
        ("=LAB", "=SANDBOX"),
        (">LAB<", ">SANDBOX<"),
        ("LAB-", "SANDBOX-"),
        ("\"LAB\"", "\"SANDBOX\""),
    ];
    renamed.iter().fold(bytes.to_vec(), |bytes, (from, to)| replace(&bytes, from.as_bytes(), to.as_bytes()))
}

// A whole message with its body framed anew, for the identifiers change its length.
fn message_here(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let (head, body) = bytes.split_at(end);
    let lower = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut out = here(head);
    if lower.contains("\r\ntransfer-encoding: chunked") {
        let body = here(&Message::parse(bytes, false).body);
        let (first, second) = body.split_at(body.len() / 2);
        for chunk in [first, second] {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        return out;
    }
    let body = here(body);
    let length = format!("content-length: {}", bytes.len() - end);
    let at = out.windows(length.len()).position(|window| window.eq_ignore_ascii_case(length.as_bytes()));
    if let Some(at) = at {
        let digits = at + "content-length: ".len();
        out.splice(digits..at + length.len(), body.len().to_string().into_bytes());
    }
    out.extend_from_slice(&body);
    out
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
