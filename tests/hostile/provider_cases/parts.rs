//! Answers whose parts were changed, and answers to something else.

use super::{Answer, refused};
use crate::draft::{self, Draft};
use crate::provider::{Hostile, SECRET, Seen, response_part};

pub fn changed<'h>(hostile: &'h Hostile, cases: &mut Vec<Answer<'h>>) {
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
pub fn inconsistent<'h>(hostile: &'h Hostile, cases: &mut Vec<Answer<'h>>) {
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
