use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::message::{ErrorCode, XRoadError};

/// Events with the data of a part joined, so that runs over differently cut input can be compared.
fn joined(events: impl IntoIterator<Item = MimeEvent>) -> Vec<MimeEvent> {
    let mut all: Vec<MimeEvent> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(MimeEvent::Data(known)), MimeEvent::Data(more)) => {
                *known = [&known[..], &more[..]].concat().into();
            }
            (_, event) => all.push(event),
        }
    }
    all
}

fn mime(mut multipart: Multipart, pieces: &[&[u8]]) -> Result<Vec<MimeEvent>, XRoadError> {
    let mut events = Vec::new();
    for piece in pieces {
        multipart.feed(Bytes::copy_from_slice(piece));
        while let Some(event) = multipart.next()? {
            events.push(event);
        }
    }
    multipart.finish();
    while let Some(event) = multipart.next()? {
        events.push(event);
    }
    Ok(joined(events))
}

fn bodies(events: &[MimeEvent]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for event in events {
        match event {
            MimeEvent::PartStart(_) => bodies.push(Vec::new()),
            MimeEvent::Data(data) => bodies.last_mut().unwrap().extend_from_slice(data),
            _ => {}
        }
    }
    bodies
}

fn parts(text: &str) -> Result<Vec<String>, XRoadError> {
    let events = mime(Multipart::new("b").unwrap(), &[text.as_bytes()])?;
    Ok(bodies(&events).into_iter().map(|body| String::from_utf8(body).unwrap()).collect())
}

#[test]
fn bodies_end_before_the_line_end_of_a_boundary_line() {
    assert_eq!(
        parts("--b\r\na: 1\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue").unwrap(),
        ["one", "two\r\n"]
    );
    assert_eq!(parts("preamble\n--b \t\n\none\n--b--").unwrap(), ["one"]);
    assert_eq!(parts("--b\r\n\r\n\r\n--b--").unwrap(), [""]);
    assert_eq!(parts("--b\r\n\r\n--b--").unwrap(), [""]);
}

#[test]
fn only_a_whole_boundary_line_is_a_boundary() {
    for body in [
        "--b",
        "x--b\r\n",
        "\r\n--bc\r\n",
        "\r\n--b-\r\n",
        "\r\n--b x\r\n",
        "\r\r\r",
        "\n\r\n--",
        "\r\n--b\rx",
        "\r\n-\r\n--",
    ] {
        // At the very start of a body no line end is needed before a boundary.
        let body = format!("x{body}x");
        assert_eq!(parts(&format!("--b\r\n\r\n{body}\r\n--b--\r\n")).unwrap(), [body]);
    }
}

#[test]
fn a_single_slice_passes_without_a_copy() {
    let input = Bytes::from_static(b"--b\r\n\r\nthe body\r\n--b--");
    let mut multipart = Multipart::new("b").unwrap();
    multipart.feed(input.clone());
    let data = std::iter::from_fn(|| multipart.next().unwrap()).find_map(|event| match event {
        MimeEvent::Data(data) => Some(data),
        _ => None,
    });
    assert_eq!(data.unwrap().as_ptr(), input[7..].as_ptr());
}

#[test]
fn headers_are_unfolded_and_equal_names_collapse() {
    let text = "--b\r\ncontent-TYPE: a/b;\r\n c=d\r\nX: 1\r\nx: 2\r\nX: 3\r\nEmpty:\r\n\r\n\r\n--b--";
    let events = mime(Multipart::new("b").unwrap(), &[text.as_bytes()]).unwrap();
    let Some(MimeEvent::PartStart(headers)) = events.first() else { panic!("no part") };
    assert_eq!(headers.content_type.as_deref(), Some("a/b; c=d"));
    let fields: Vec<(&[u8], &[u8])> =
        headers.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(fields, [(&b"X"[..], &b"3"[..]), (b"x", b"2"), (b"Empty", b"")]);
}

#[test]
fn trap_transport_31_long_header_lines_kill_the_message() {
    let with = |headers: String| parts(&format!("--b\r\n{headers}\r\n\r\n\r\n--b--"));
    // Official servers take lines of less than 1000 bytes with their line end; a blank is added after the colon.
    assert!(with(format!("X: {}", "y".repeat(994))).is_ok());
    assert!(with(format!("X:{}", "y".repeat(994))).is_ok());
    assert!(with(format!("X: y{}", format!("\r\n {}", "z".repeat(90)).repeat(10))).is_ok());
    let refused = [
        format!("X: {}", "y".repeat(995)),
        format!("X:{}", "y".repeat(995)),
        // Short lines that make a long one when they are unfolded.
        format!("X: y{}", "\r\n z".repeat(4000)),
        format!("X: y{}", "\r\n z".repeat(500)),
        format!("Content-Type: a/b;{}", "\r\n c=d;".repeat(200)),
        format!("X:{}", format!("\r\n {}", "y".repeat(990)).repeat(11)),
        (0..1001).map(|n| format!("X{n}: y\r\n")).collect::<String>() + "Z: z",
        "X: y\0".to_owned(),
        "no colon".to_owned(),
        " folded: first".to_owned(),
        ": no name".to_owned(),
        "Content-Type: a/b\r\ncontent-type: c/d".to_owned(),
    ];
    for headers in refused {
        assert!(with(headers).unwrap_err().is(ErrorCode::MimeParsingFailed));
    }
    let mut endless = Multipart::new("b").unwrap();
    endless.feed(Bytes::from_static(b"--b\r\n"));
    let mut fed = 0;
    while endless.next().is_ok() {
        endless.feed(Bytes::from_static(&[b'x'; 100]));
        fed += 100;
    }
    assert!(fed < 2000);
}

#[test]
fn refuses_boundaries_that_could_break_a_line() {
    for boundary in ["", "a\r\nb", "a ", "\u{e4}", &"x".repeat(201)] {
        assert!(Multipart::new(boundary).is_err());
    }
    assert!(Decoder::new("multipart/mixed").unwrap_err().is(ErrorCode::InvalidContentType));
    assert!(Decoder::new("multipart/related; boundary=b").unwrap_err().is(ErrorCode::InvalidContentType));
    assert!(Decoder::new("Multipart/Mixed; boundary=\"b\"").is_ok());
}

fn decode(body: &[u8]) -> Result<Vec<Event>, XRoadError> {
    let mut decoder = Decoder::new("multipart/mixed; boundary=b")?;
    decoder.feed(Bytes::copy_from_slice(body));
    decoder.finish();
    let mut events = Vec::new();
    while let Some(event) = decoder.next()? {
        events.push(event);
    }
    Ok(events)
}

// A message of parts: content type and body each.
fn message(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts = parts.iter().map(|(kind, body)| format!("--b\r\ncontent-type: {kind}\r\n\r\n{body}\r\n"));
    (parts.collect::<String>() + "--b--\r\n").into_bytes()
}

const OCSP: (&str, &str) = ("application/ocsp-response", "der");
const REQUEST: (&str, &str) = ("application/x-road-rest-request", "GET");
const BODY: (&str, &str) = ("application/x-road-rest-body", "{}");
const SOAP: (&str, &str) = ("text/xml", "<e/>");
const RESULT: (&str, &str) = ("application/hash-chain-result", "<r/>");
const CHAIN: (&str, &str) = ("application/hash-chain", "<c/>");
const SIGNATURE: (&str, &str) = ("signature/bdoc-1.0/ts", "<s/>");
const ATTACHMENTS: (&str, &str) =
    ("multipart/mixed; boundary=n", "\r\n--n\r\ncontent-type: a/b\r\n\r\none\r\n--n\r\n\r\ntwo\r\n--n--\r\n");

#[test]
fn parts_come_in_the_order_of_the_protocol_only() {
    let code = |parts: &[(&str, &str)]| match decode(&message(parts)) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_owned(),
    };
    for good in [
        &[OCSP, OCSP, REQUEST, BODY, RESULT, CHAIN, SIGNATURE][..],
        &[REQUEST, SIGNATURE],
        &[SOAP, ATTACHMENTS, RESULT, CHAIN, SIGNATURE],
        &[SOAP],
        &[REQUEST, BODY, SOAP],
        &[SOAP, RESULT, SIGNATURE],
    ] {
        assert_eq!(code(good), "ok", "{good:?}");
    }
    for bad in [
        &[REQUEST, OCSP][..],
        &[SIGNATURE],
        &[OCSP, SIGNATURE],
        &[BODY],
        &[REQUEST, BODY, BODY],
        &[REQUEST, REQUEST],
        &[SOAP, BODY],
        &[REQUEST, ATTACHMENTS],
        &[REQUEST, CHAIN, RESULT],
        &[REQUEST, RESULT, RESULT],
        &[REQUEST, RESULT, CHAIN, CHAIN],
        &[SOAP, ATTACHMENTS, ATTACHMENTS],
        &[("x/y", "")],
    ] {
        assert_eq!(code(bad), "invalid_content_type", "{bad:?}");
    }
    assert_eq!(code(&[REQUEST, SIGNATURE, SIGNATURE]), "invalid_message");
    assert_eq!(code(&[OCSP; 11]), "invalid_message");
}

#[test]
fn trap_transport_42_unknown_parts_are_never_skipped() {
    for place in 0..3 {
        let mut parts = vec![OCSP, REQUEST, SIGNATURE];
        parts.insert(place, ("application/x-own", ""));
        assert!(decode(&message(&parts)).unwrap_err().is(ErrorCode::InvalidContentType), "{place}");
    }
}

#[test]
fn trap_transport_13_the_nested_multipart_has_an_empty_preamble_and_its_own_end() {
    let events = decode(&message(&[SOAP, ATTACHMENTS, SIGNATURE])).unwrap();
    let data: Vec<&[u8]> =
        events.iter().filter_map(|e| if let Event::Data(d) = e { Some(&d[..]) } else { None }).collect();
    assert_eq!(data, [b"one", b"two"]);
    let starts: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::Start { kind, .. } = e { Some(*kind) } else { None })
        .collect();
    assert_eq!(starts, [StreamedKind::Attachment(1), StreamedKind::Attachment(2)]);
    let open = (ATTACHMENTS.0, "\r\n--n\r\n\r\none");
    let none = (ATTACHMENTS.0, "\r\n--n--\r\n");
    for nested in [open, none] {
        assert!(decode(&message(&[SOAP, nested, SIGNATURE])).unwrap_err().is(ErrorCode::MimeParsingFailed));
    }
}

#[test]
fn every_truncation_is_noticed() {
    let whole = message(&[OCSP, SOAP, ATTACHMENTS, RESULT, CHAIN, SIGNATURE]);
    let end = whole.len() - 2;
    assert!(decode(&whole[..end]).is_ok());
    for length in 0..end {
        assert!(decode(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn parts_beyond_their_bound_are_refused() {
    let big = "x".repeat(crate::limits::REST_PART_BYTES_MAX + 1);
    assert!(decode(&message(&[(REQUEST.0, &big), SIGNATURE])).unwrap_err().is(ErrorCode::InvalidMessage));
    assert!(decode(&message(&[REQUEST, (BODY.0, &big), SIGNATURE])).is_ok());
    let many = format!("{}--n--", "--n\r\n\r\n\r\n".repeat(1001));
    assert!(decode(&message(&[SOAP, (ATTACHMENTS.0, &many)])).unwrap_err().is(ErrorCode::InvalidMessage));
}

#[test]
fn trap_transport_34_odd_answers_of_a_peer_have_an_error_each() {
    let code = |status, content_type| match Answer::of(status, content_type) {
        Ok(Answer::PlainFault) => "fault".to_owned(),
        Ok(Answer::Multipart(_)) => "multipart".to_owned(),
        Err(error) => error.code().to_owned(),
    };
    assert_eq!(code(200, None), "invalid_content_type");
    assert_eq!(code(200, Some("")), "invalid_content_type");
    assert_eq!(code(200, Some("text/html")), "invalid_content_type");
    assert_eq!(code(404, Some("text/xml")), "http_error");
    assert_eq!(code(500, Some("text/xml;charset=utf-8")), "fault");
    assert_eq!(code(200, Some("multipart/mixed; charset=UTF-8; boundary=b")), "multipart");
    assert!(check_hash_algorithm(Some("sha-512")).is_ok());
    assert!(check_hash_algorithm(Some("MD5")).is_err() && check_hash_algorithm(None).is_err());
}

fn related(body: &str) -> Result<Vec<RelatedEvent>, XRoadError> {
    let mut reader = RelatedReader::new("b")?;
    reader.feed(Bytes::copy_from_slice(body.as_bytes()));
    reader.finish();
    let mut events = Vec::new();
    while let Some(event) = reader.next()? {
        events.push(event);
    }
    Ok(events)
}

#[test]
fn nested_multiparts_of_clients_are_flattened_and_the_first_leaf_is_the_envelope() {
    let body = "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: text/xml\r\n\r\n<e/>\
        \r\n--c\r\nContent-Type: a/1\r\n\r\n1\r\n--c--\r\n--b\r\nContent-Type: a/2\r\n\r\n2";
    let events = related(body).unwrap();
    let kinds: Vec<String> = events
        .iter()
        .map(|event| match event {
            RelatedEvent::Soap { body, .. } => format!("soap {}", body.len()),
            RelatedEvent::AttachmentStart(headers) => headers.content_type.clone().unwrap(),
            RelatedEvent::Data(data) => String::from_utf8(data.to_vec()).unwrap(),
            RelatedEvent::AttachmentEnd => "end".into(),
            RelatedEvent::Finished => "finished".into(),
        })
        .collect();
    assert_eq!(kinds, ["soap 4", "a/1", "1", "end", "a/2", "2", "end", "finished"]);
}

#[test]
fn multipart_bodies_of_clients_have_the_errors_of_official_servers() {
    let code = |body: &str| related(body).unwrap_err().code().to_owned();
    assert_eq!(code("--b--"), "missing_soap");
    assert_eq!(code(""), "missing_soap");
    assert_eq!(code("--b\r\nContent-Type: a/b\r\n\r\n--b--"), "invalid_content_type");
    assert_eq!(code("--b\r\n\r\n<e/>\r\n--b--"), "invalid_content_type");
    let deep: String = (0..9)
        .map(|n| format!("--b{n}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", n + 1))
        .collect();
    assert_eq!(code(&deep.replacen("--b0", "--b", 1)), "mime_parsing_failed");
}

#[test]
fn own_boundaries_are_thirty_letters() {
    let random = std::array::from_fn(|index| u8::try_from(index * 8).unwrap());
    let boundary = Boundary::from_random(&random);
    assert_eq!(boundary.letters().len(), BOUNDARY_LETTERS);
    assert!(boundary.letters().bytes().all(|byte| byte.is_ascii_alphabetic()));
    let encoder = Encoder::new(&boundary);
    assert_eq!(
        encoder.content_type(),
        format!("multipart/mixed; charset=UTF-8; boundary=xtop{}", boundary.letters())
    );
    let headers = PartHeaders { content_type: Some("text/xml".into()), fields: vec![] };
    let mut out = BytesMut::new();
    let mut writer = RelatedWriter::new("r".into(), true);
    writer.part_start(&mut out, &headers);
    writer.close(&mut out);
    assert_eq!(out.len(), RelatedWriter::framing_len("r", true, &[&headers]));
}

// Bytes in which boundaries nearly occur.
fn nearly_boundaries() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "\r\n--b",
        "--b",
        "\r",
        "\n",
        "-",
        "b",
        " ",
        "x",
        "\r\n--b--",
        "\r\n--bb\r\n",
        ":",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_input_is_cut(
        noise in nearly_boundaries(),
        cuts in prop::collection::vec(0usize..400, 0..12),
        tolerant in any::<bool>(),
    ) {
        let body = [b"--b\r\nA: 1\r\n\r\nfirst\r\n--b\r\n\r\n", &noise[..], b"\r\n--b--\r\n"].concat();
        let reader = || {
            let multipart = Multipart::new("b").unwrap();
            if tolerant { multipart.end_may_be_missing() } else { multipart }
        };
        let whole = mime(reader(), &[&body]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            pieces.push(&body[from..cut]);
            from = cut;
        }
        prop_assert_eq!(&whole, &mime(reader(), &pieces));
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(&whole, &mime(reader(), &bytes));
    }

    #[test]
    fn what_is_encoded_is_decoded_whatever_the_bodies_hold(
        soap in prop::collection::vec(any::<u8>(), 0..200),
        attachments in prop::collection::vec(nearly_boundaries(), 0..4),
        piece in 1usize..300,
    ) {
        let boundary = Boundary::from_random(&[7; BOUNDARY_LETTERS]);
        let mut encoder = Encoder::new(&boundary);
        let mut out = BytesMut::new();
        encoder.ocsp_response(&mut out, b"der");
        encoder.soap_start(&mut out, "text/xml", &[]);
        out.extend_from_slice(&soap);
        for attachment in &attachments {
            encoder.attachment_start(&mut out, "a/b", &[("X".into(), "y".into())]);
            out.extend_from_slice(attachment);
        }
        encoder.signature(&mut out, b"<s/>");
        encoder.close(&mut out);
        let mut decoder = Decoder::new(&encoder.content_type()).unwrap();
        let (mut parts, mut bodies) = (Vec::new(), Vec::<Vec<u8>>::new());
        let mut finished = false;
        let mut rest = out.freeze();
        while !rest.is_empty() {
            decoder.feed(rest.split_to(piece.min(rest.len())));
            while let Some(event) = decoder.next().unwrap() {
                match event {
                    Event::Part(part) => parts.push(part.body),
                    Event::Start { .. } => bodies.push(Vec::new()),
                    Event::Data(data) => bodies.last_mut().unwrap().extend_from_slice(&data),
                    Event::End => {}
                    Event::Finished => finished = true,
                }
            }
        }
        prop_assert!(finished);
        prop_assert_eq!(parts, vec![Bytes::from_static(b"der"), soap.into(), Bytes::from_static(b"<s/>")]);
        prop_assert_eq!(bodies, attachments);
    }
}

#[test]
fn trap_transport_04_soap_has_its_original_content_type_and_rest_its_request_id() {
    let value = |headers: &[(&str, std::borrow::Cow<'_, str>)], name: &str| {
        headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.to_string())
    };
    let soap = super::request_headers(Some("\"\""), "text/xml", "id-1", "7.8.0", "multipart/mixed", "h");
    assert_eq!(value(&soap, "x-original-content-type").as_deref(), Some("text/xml"));
    let response = super::response_headers("multipart/mixed", Some("text/xml"), true);
    assert_eq!(value(&response, "x-original-content-type").as_deref(), Some("text/xml"));
    let rest = super::request_headers(None, "", "id-1", "7.8.0", "multipart/mixed", "h");
    assert_eq!(value(&rest, "x-road-request-id").as_deref(), Some("id-1"));
}
