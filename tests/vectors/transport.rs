//! Transport messages.

use std::fs;

use bytes::{Bytes, BytesMut};
use hermod::message::{ContentType, ErrorCode, Soap};
use hermod::transport::{
    Encoder, PartKind, StreamedKind, fault_response_headers, request_headers, response_headers,
};
use serde_json::Value;

use crate::captures::{Decoded, Http, case, cases, decode};
use crate::common;

fn decoded(http: &Http) -> Option<Decoded> {
    let content_type = http.header("Content-Type")?;
    http.is_multipart().then(|| decode(&content_type, &http.body, usize::MAX).expect("a message"))
}

fn hops(check: impl Fn(&str, &Http, &Decoded, &Value)) {
    for case in cases() {
        for (file, meta) in [("request", "transport_request"), ("response", "transport_response")] {
            let Some(http) = case.http(file) else { continue };
            if let Some(decoded) = decoded(&http) {
                check(&format!("{} {file}", case.name), &http, &decoded, &case.meta[meta]);
            }
        }
    }
}

#[test]
fn every_capture_decodes_into_the_parts_that_were_measured() {
    hops(|name, _, decoded, meta| {
        assert!(decoded.finished, "{name}");
        if meta.is_null() {
            return;
        }
        let expected = |list: &str| -> Vec<u64> {
            let parts = meta[list].as_array().cloned().unwrap_or_default();
            parts
                .iter()
                .filter(|part| part["type"] != "multipart/mixed")
                .map(|part| part["bytes"].as_u64().expect("a size"))
                .collect()
        };
        let bodies = |wanted: fn(&StreamedKind) -> bool| -> Vec<u64> {
            decoded
                .streamed
                .iter()
                .filter(|(kind, ..)| wanted(kind))
                .map(|(.., body)| body.len() as u64)
                .collect()
        };
        let mut sizes: Vec<u64> = decoded.parts.iter().map(|part| part.body.len() as u64).collect();
        let rest_body = bodies(|kind| *kind == StreamedKind::RestBody);
        let after_message =
            decoded.parts.iter().filter(|part| part.kind == PartKind::OcspResponse).count() + 1;
        rest_body.iter().for_each(|size| sizes.insert(after_message, *size));
        assert_eq!(sizes, expected("parts"), "{name}");
        assert_eq!(bodies(|kind| *kind != StreamedKind::RestBody), expected("nested_parts"), "{name}");
    });
}

#[test]
fn every_capture_is_written_again_to_the_same_bytes() {
    hops(|name, http, decoded, _| {
        let content_type = http.header("Content-Type").expect("a content type");
        let top = ContentType::parse(&content_type)
            .and_then(|kind| kind.parameter("boundary"))
            .expect("a boundary");
        let nested = memchr::memmem::find(&http.body, b"boundary=xatt").map(|at| at + b"boundary=".len());
        let nested = nested
            .map_or_else(String::new, |at| String::from_utf8_lossy(&http.body[at..at + 34]).into_owned());
        let mut encoder = Encoder::with_boundaries(top.into_owned(), nested);
        assert_eq!(encoder.content_type(), content_type);
        let written = write(&mut encoder, decoded);
        assert!(written == http.body, "{name} differs");
    });
}

fn write(encoder: &mut Encoder, decoded: &Decoded) -> BytesMut {
    let mut out = BytesMut::new();
    for part in &decoded.parts {
        let content_type = part.headers.content_type.as_deref().expect("a content type");
        match part.kind {
            PartKind::OcspResponse => encoder.ocsp_response(&mut out, &part.body),
            PartKind::Soap => {
                encoder.soap_start(&mut out, content_type, &part.headers.fields);
                out.extend_from_slice(&part.body);
            }
            PartKind::RestRequest => encoder.rest_request(&mut out, &part.body),
            PartKind::RestResponse => encoder.rest_response(&mut out, &part.body),
            PartKind::HashChainResult => encoder.hash_chain_result(&mut out, &part.body),
            PartKind::HashChain => encoder.hash_chain(&mut out, &part.body),
            PartKind::Signature => encoder.signature(&mut out, &part.body),
            PartKind::Fault => encoder.fault(&mut out, &part.body),
        }
        if matches!(part.kind, PartKind::Soap | PartKind::RestRequest | PartKind::RestResponse) {
            for (kind, headers, body) in &decoded.streamed {
                match (kind, headers.content_type.as_deref()) {
                    (StreamedKind::Attachment(_), Some(content_type)) => {
                        encoder.attachment_start(&mut out, content_type, &headers.fields);
                    }
                    _ => encoder.rest_body_start(&mut out),
                }
                out.extend_from_slice(body);
            }
        }
    }
    encoder.close(&mut out);
    out
}

#[test]
fn decoding_does_not_depend_on_the_pieces() {
    for name in ["soap-two-attachments", "rest-post-binary", "rest-get-openapi-missing"] {
        let Some(case) = case(name) else { return };
        for file in ["request", "response"] {
            let http = case.http(file).expect("a file");
            let content_type = http.header("Content-Type").expect("a content type");
            let whole = decode(&content_type, &http.body, usize::MAX).expect("a message");
            for piece in [1, 2, 3, 37, 2048] {
                assert!(
                    whole == decode(&content_type, &http.body, piece).expect("a message"),
                    "{name} by {piece}"
                );
            }
        }
    }
}

#[test]
fn trap_transport_32_a_message_that_is_cut_anywhere_is_not_a_message() {
    let Some(case) = case("soap-two-attachments") else { return };
    let http = case.http("response").expect("a response");
    let content_type = http.header("Content-Type").expect("a content type");
    let end = http.body.len() - 2;
    for length in (0..end).step_by(7).chain(end - 60..end) {
        let error = decode(&content_type, &http.body.slice(..length), usize::MAX).expect_err("a cut message");
        assert!(error.is(ErrorCode::IoError) || error.is(ErrorCode::MimeParsingFailed), "{length}: {error}");
    }
}

#[test]
fn trap_transport_12_a_single_message_may_come_with_a_hash_chain() {
    for case in cases().iter().filter(|case| case.name == "batch-0036") {
        let decoded = decoded(&case.http("request").expect("a request")).expect("a multipart");
        assert!(decoded.streamed.is_empty());
        assert!(
            decoded.part(PartKind::HashChain).is_some() && decoded.part(PartKind::HashChainResult).is_some()
        );
    }
}

#[test]
fn trap_transport_10_an_empty_response_body_is_a_part_and_an_empty_request_body_is_none() {
    let Some(case) = case("rest-post-empty-body") else { return };
    assert!(decoded(&case.http("request").expect("a request")).expect("a multipart").streamed.is_empty());
    let response = decoded(&case.http("response").expect("a response")).expect("a multipart");
    assert_eq!(response.streamed.len(), 1);
    assert!(response.streamed[0].2.is_empty());
}

#[test]
fn vectors_of_proxy_messages_have_the_known_results() {
    let Some(vectors) = common::vectors() else { return };
    let result = |file: &str| {
        let boundary = match file {
            "attachment.request" => "xtop569125687hcu8vfma",
            "normal.response" => "xtop1143483536hcn1yj5i",
            _ => "xtop1357783211hcn1yiro",
        };
        let body = Bytes::from(fs::read(vectors.join("messages/proxymessages").join(file)).expect(file));
        decode(&format!("multipart/mixed; charset=UTF-8; boundary={boundary}"), &body, usize::MAX)
    };
    let kinds = |file: &str| -> Vec<PartKind> {
        result(file).unwrap_or_else(|e| panic!("{file}: {e}")).parts.iter().map(|part| part.kind).collect()
    };
    for file in ["normal.request", "normal.response"] {
        assert_eq!(kinds(file), [PartKind::Soap, PartKind::Signature], "{file}");
    }
    assert_eq!(kinds("ocsp.request"), [PartKind::OcspResponse, PartKind::Soap, PartKind::Signature]);
    assert_eq!(kinds("fault-signature.request"), [PartKind::Soap, PartKind::Fault]);
    assert!(result("attachment.request").expect("a message").has_attachments());
    let error = |file: &str| result(file).expect_err(file).code().to_owned();
    assert_eq!(error("extracontent.request"), "invalid_message");
    assert_eq!(error("invalid-soap-contenttype.request"), "invalid_content_type");
    assert_eq!(error("invalid-contenttype-signature.request"), "invalid_content_type");
    let fault = result("normal-soapfault.request").expect("a message");
    let soap = fault.part(PartKind::Soap).expect("a fault");
    assert!(matches!(Soap::parse(soap.body.clone()), Ok(Soap::Fault(_))));
}

#[test]
fn trap_transport_03_http_headers_have_captured_order_case_and_values() {
    for case in cases() {
        let (Some(request), Some(response)) = (case.http("request"), case.http("response")) else { continue };
        let value = |name: &str| request.header(name).unwrap_or_default();
        let (original, id, version) =
            (value("x-original-content-type"), value("x-road-request-id"), value("x-proxy-version"));
        let (content_type, host) = (value("Content-Type"), value("Host"));
        let action = request.header("x-original-soapaction");
        let ours = request_headers(action.as_deref(), &original, &id, &version, &content_type, &host);
        let optional = ["User-Agent", "Accept-Encoding"];
        assert_headers(&case.name, &request, &ours, &optional);
        let content_type = response.header("Content-Type").expect("a content type");
        let original = response.header("x-original-content-type");
        let reuse = response.header("Connection").is_none();
        let ours = match response.is_multipart() {
            true => response_headers(&content_type, original.as_deref(), reuse),
            false => fault_response_headers(response.body.len(), reuse),
        };
        assert_headers(&case.name, &response, &ours, &["Date"]);
    }
}

fn assert_headers(
    name: &str,
    captured: &Http,
    ours: &[(&str, std::borrow::Cow<'_, str>)],
    left_out: &[&str],
) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let captured = captured.headers.iter().map(|(name, value)| (text(name), text(value)));
    let captured: Vec<_> = captured.filter(|(name, _)| !left_out.contains(&name.as_str())).collect();
    let ours: Vec<_> = ours.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    assert_eq!(ours, captured, "{name}");
}
