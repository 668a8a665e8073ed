//! REST and SOAP messages.

use bytes::{Bytes, BytesMut};
use hermod::crypto::sha512;
use hermod::message::{
    ClientId, ContentType, ErrorFormat, Fault, RestRefusal, RestRequest, RestRequestIds, RestResponse,
    RestResponseIds, Soap, SoapBodyKind, SoapMessage, XRoadError, answer_content_type, check_soap_action,
    rest_request_hash, soap_body_kind, soap_request_hash,
};
use hermod::transport::{PartHeaders, PartKind, RelatedEvent, RelatedReader, RelatedWriter, StreamedKind};

use crate::captures::{Case, Decoded, Http, case, cases, decode};

fn decoded(http: Option<Http>) -> Option<Decoded> {
    let http = http?;
    let content_type = http.header("Content-Type")?;
    http.is_multipart().then(|| decode(&content_type, &http.body, usize::MAX).expect("a message"))
}

fn from_client(case: &Case, ids: &RestRequestIds<'_>) -> Result<RestRequest, RestRefusal> {
    let http = case.http("client-request").expect("a client request");
    let mut words = http.first_line.split(' ');
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    RestRequest::from_client(method, target.as_bytes(), http.raw_headers(), ids)
}

// Where we differ from official servers on purpose.
const QUERY_IS_ENCODED: &str = "rest-get-pipe-query";
const CONTRADICTION_IS_REFUSED: &str = "rest-two-client-headers";

#[test]
fn client_requests_become_the_captured_rest_parts() {
    let mut count = 0;
    for case in cases() {
        let Some(message) = decoded(case.http("request")) else { continue };
        let Some(part) = message.part(PartKind::RestRequest) else { continue };
        if case.name == QUERY_IS_ENCODED {
            assert!(RestRequest::parse(part.body.clone()).is_err());
            continue;
        }
        let captured = RestRequest::parse(part.body.clone()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(captured.part(), &part.body);
        let id = captured.request_id().expect("a request id");
        let ids = RestRequestIds { request_id: id, generated_message_id: captured.message_id() };
        if case.name == CONTRADICTION_IS_REFUSED {
            assert!(matches!(from_client(&case, &ids), Err(RestRefusal::Error(_))));
            continue;
        }
        let ours = from_client(&case, &ids).unwrap_or_else(|e| panic!("{}: {e:?}", case.name));
        assert_eq!(ours.part(), &part.body, "{}", case.name);
        if case.meta["client"].is_string() {
            assert_eq!(ours.client_id().to_rest(), case.text("client"), "{}", case.name);
            assert_eq!(ours.service_id().to_rest(), case.text("service"), "{}", case.name);
            assert_eq!(ours.message_id(), case.text("message_id"), "{}", case.name);
        }
        count += 1;
    }
    assert!(count > 60 || cases().is_empty(), "{count}");
}

fn request_hash(message: &Decoded) -> String {
    let part = message.message().expect("a message part");
    if part.kind == PartKind::Soap {
        return soap_request_hash(&part.body);
    }
    let body = message.streamed.first().map(|(.., body)| sha512(body));
    rest_request_hash(&sha512(&part.body), body.as_ref().map(|digest| digest.as_slice()))
}

#[test]
fn service_responses_become_the_captured_rest_parts_and_answer_their_requests() {
    for case in cases() {
        let Some(message) = decoded(case.http("request")) else { continue };
        let Some(response) = decoded(case.http("response")) else { continue };
        let Some(part) = response.part(PartKind::RestResponse) else { continue };
        let request =
            RestRequest::parse(message.message().expect("a message part").body.clone()).expect("a request");
        let captured =
            RestResponse::parse(part.body.clone()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let hash = request_hash(&message);
        captured.check_answers(&request, &hash).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let ids = RestResponseIds {
            message_id: request.message_id(),
            client_id: request.client_id(),
            service_id: request.service_id(),
            request_id: request.request_id().expect("a request id"),
            request_hash: &hash,
        };
        let metaservices = ["listMethods", "allowedMethods", "getOpenAPI"];
        let is_metaservice = metaservices.contains(&request.service_id().service_code());
        let Some(service) = case.http("service-response").filter(|_| !is_metaservice) else {
            if let Some(content_type) = captured.headers().last().filter(|(name, _)| *name == "content-type")
            {
                let ours = RestResponse::from_metaservice(&request, content_type.1, &ids);
                assert_eq!(ours.part(), &part.body, "{}", case.name);
            }
            continue;
        };
        let reason = service.first_line.splitn(3, ' ').nth(2).unwrap_or_default();
        let headers = service.raw_headers();
        let ours = RestResponse::from_service(service.status(), reason.as_bytes(), headers, &ids)
            .expect("a response");
        // The official server unpacks the body and drops its encoding; it lets one line of the service stand.
        let captured_part = String::from_utf8(part.body.to_vec()).expect("UTF-8");
        let expected = match case.name.as_str() {
            "rest-get-gzip" => continue,
            "rest-get-response-headers" => {
                captured_part.replace("x-road-service:FROM/THE/SERVICE/y/z\r\n", "")
            }
            _ => captured_part,
        };
        assert_eq!(std::str::from_utf8(ours.part()).expect("UTF-8"), expected, "{}", case.name);
    }
}

#[test]
fn clients_get_the_captured_headers() {
    for case in cases() {
        let Some(message) = decoded(case.http("response")) else { continue };
        let Some(part) = message.part(PartKind::RestResponse) else { continue };
        let response = RestResponse::parse(part.body.clone()).expect("a response");
        let client = case.http("client-response").expect("a client response");
        assert_eq!(client.status(), response.status(), "{}", case.name);
        let framing = ["Transfer-Encoding", "Content-Length"].map(str::as_bytes);
        let captured: Vec<_> = client
            .headers
            .iter()
            .filter(|(name, _)| !framing.contains(&name.as_slice()) && name != b"Date")
            .collect();
        let ours: Vec<_> = response
            .client_headers()
            .filter(|(name, _)| *name != "Date")
            .map(|(name, value)| (name.as_bytes().to_vec(), value.into_owned()))
            .collect();
        assert_eq!(ours.iter().collect::<Vec<_>>(), captured, "{}", case.name);
    }
}

fn soap(bytes: &Bytes) -> SoapMessage {
    match Soap::parse(bytes.clone()).expect("an envelope") {
        Soap::Message(message) => *message,
        Soap::Fault(fault) => panic!("a fault {}", fault.fault.code),
    }
}

struct Related {
    soap: (PartHeaders, Bytes),
    attachments: Vec<(PartHeaders, Vec<u8>)>,
}

fn related(body: &Bytes, boundary: &str, piece: usize) -> Result<Related, XRoadError> {
    let mut reader = RelatedReader::new(boundary)?;
    let mut rest = body.clone();
    let mut envelope = None;
    let mut attachments = Vec::new();
    loop {
        while let Some(event) = reader.next()? {
            match event {
                RelatedEvent::Soap { headers, body } => envelope = Some((headers, body)),
                RelatedEvent::AttachmentStart(headers) => attachments.push((headers, Vec::new())),
                RelatedEvent::Data(data) => {
                    attachments.last_mut().expect("a part").1.extend_from_slice(&data)
                }
                RelatedEvent::AttachmentEnd => {}
                RelatedEvent::Finished => {
                    return Ok(Related { soap: envelope.expect("an envelope"), attachments });
                }
            }
        }
        if rest.is_empty() {
            reader.finish();
        } else {
            reader.feed(rest.split_to(piece.min(rest.len())));
        }
    }
}

#[test]
fn client_requests_become_the_captured_soap_parts_and_attachments() {
    for case in cases() {
        let Some(message) = decoded(case.http("request")) else { continue };
        let Some(part) = message.part(PartKind::Soap) else { continue };
        let client = case.http("client-request").expect("a client request");
        let content_type = client.header("Content-Type");
        match soap_body_kind(content_type.as_deref()).expect("a kind") {
            SoapBodyKind::Envelope => assert_eq!(client.body, part.body, "{}", case.name),
            SoapBodyKind::Related { boundary } if case.name == "soap-attachment-no-type" => {
                let error = related(&client.body, &boundary, usize::MAX).err().expect("no type");
                assert_eq!(error.code(), "invalid_content_type");
                continue;
            }
            SoapBodyKind::Related { boundary } => {
                for piece in [1, 7, usize::MAX] {
                    assert_related(
                        &case.name,
                        &message,
                        related(&client.body, &boundary, piece).expect("MIME"),
                    );
                }
            }
        }
        let message = soap(&part.body);
        assert_eq!(message.bytes(), &part.body);
        if case.meta["client"].is_string() {
            assert_eq!(message.header().client, ClientId::from_rest(case.text("client")).expect("a client"));
            assert_eq!(message.header().message_id, case.text("message_id"), "{}", case.name);
        }
        let action = client.header("SOAPAction");
        let action = check_soap_action(action.as_deref().map(str::as_bytes)).expect("an action");
        let sent = case.http("request").and_then(|http| http.header("x-original-soapaction"));
        assert_eq!(sent.as_deref(), Some(action), "{}", case.name);
    }
}

fn sorted(headers: &PartHeaders) -> Vec<&(Bytes, Bytes)> {
    let mut fields: Vec<_> = headers.fields.iter().collect();
    fields.sort();
    fields
}

fn assert_related(name: &str, message: &Decoded, related: Related) {
    let part = message.part(PartKind::Soap).expect("a SOAP part");
    assert_eq!(related.soap.1, part.body, "{name}");
    assert_eq!(sorted(&related.soap.0), sorted(&part.headers), "{name}");
    assert_eq!(related.attachments.len(), message.streamed.len(), "{name}");
    for ((headers, body), (kind, sent_headers, sent_body)) in
        related.attachments.iter().zip(&message.streamed)
    {
        assert!(matches!(kind, StreamedKind::Attachment(_)), "{name}");
        assert_eq!((&headers.content_type, body), (&sent_headers.content_type, sent_body), "{name}");
        assert_eq!(sorted(headers), sorted(sent_headers), "{name}");
    }
}

#[test]
fn trap_transport_11_attachments_keep_their_transfer_encoding() {
    let Some(case) = case("soap-two-attachments") else { return };
    let message = decoded(case.http("request")).expect("a multipart");
    let (_, headers, body) = &message.streamed[1];
    assert!(headers.fields.iter().any(|(_, value)| value == "base64"));
    assert!(body.starts_with(b"dGVrc3Qgw7XDpMO2w7wKdGVrc3Q"));
}

#[test]
fn services_get_the_captured_multipart_body() {
    for case in cases().iter().filter(|case| case.name != "soap-get-wsdl") {
        let (Some(message), Some(service)) = (decoded(case.http("request")), case.http("service-request"))
        else {
            continue;
        };
        let Some(part) = message.part(PartKind::Soap) else { continue };
        let original =
            case.http("request").and_then(|http| http.header("x-original-content-type")).expect("a header");
        let has_attachments = message.has_attachments();
        let kind = ContentType::parse(&original).unwrap_or_else(|| panic!("{}: {original}", case.name));
        let boundary = kind.parameter("boundary").unwrap_or_default();
        let ours = answer_content_type(&original, has_attachments, &boundary);
        let captured = service.header("Content-Type").expect("a type");
        // A charset is only appended towards the client.
        let without_charset =
            ours.strip_suffix(";charset=utf-8").unwrap_or(&ours).replace("boundary=lab", "boundary=\"lab");
        assert!(
            captured == ours || captured.trim_end_matches('"') == without_charset,
            "{}: {ours}",
            case.name
        );
        if !kind.is_related() {
            assert_eq!(service.body, part.body, "{}", case.name);
            continue;
        }
        let mut writer = RelatedWriter::new(boundary.clone().into_owned(), has_attachments);
        let mut out = BytesMut::new();
        writer.part_start(&mut out, &part.headers);
        out.extend_from_slice(&part.body);
        for (_, headers, body) in &message.streamed {
            writer.part_start(&mut out, headers);
            out.extend_from_slice(body);
        }
        writer.close(&mut out);
        assert!(out == service.body, "{}", case.name);
    }
}

#[test]
fn soap_responses_answer_their_requests_and_are_made_from_the_services_answer() {
    let mut equal = 0;
    for case in cases() {
        let (Some(message), Some(response)) = (decoded(case.http("request")), decoded(case.http("response")))
        else {
            continue;
        };
        let Some(part) = response.part(PartKind::Soap) else { continue };
        let Ok(Soap::Message(captured)) = Soap::parse(part.body.clone()) else {
            assert!(case.name.contains("fault") || response.parts.len() == 1, "{}", case.name);
            continue;
        };
        let request = soap(&message.part(PartKind::Soap).expect("a SOAP part").body);
        let hash = request_hash(&message);
        request.header().check_consistent(captured.header()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        captured.header().check_request_hash(&hash).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let Some(service) = case.http("service-response").filter(|_| case.name != "soap-get-wsdl") else {
            continue;
        };
        let content_type = service.header("Content-Type");
        let envelope = match soap_body_kind(content_type.as_deref()).expect("a kind") {
            SoapBodyKind::Envelope => service.body,
            SoapBodyKind::Related { boundary } => {
                related(&service.body, &boundary, usize::MAX).expect("MIME").soap.1
            }
        };
        let ours = soap(&envelope).with_request_hash(&hash);
        assert_eq!(soap(&ours).header(), captured.header(), "{}", case.name);
        // The official server ends the document with a line feed and writes empty tags in two.
        equal += usize::from([&ours[..], b"\n"].concat() == part.body);
    }
    assert!(equal > 10 || cases().is_empty(), "{equal}");
}

#[test]
fn refusals_have_the_captured_codes() {
    for (name, code) in [
        ("rest-bad-client", "internal_error"),
        ("rest-missing-client", "invalid_client_identifier"),
        ("rest-short-url", "internal_error"),
    ] {
        let Some(case) = case(name) else { return };
        let ids = RestRequestIds { request_id: "1", generated_message_id: "2" };
        let Err(RestRefusal::Error(error)) = from_client(&case, &ids) else { panic!("{name} is accepted") };
        assert_eq!(error.code(), code, "{name}");
    }
    for name in ["rest-get-percent25", "rest-get-raw-utf8"] {
        let Some(case) = case(name) else { return };
        let ids = RestRequestIds { request_id: "1", generated_message_id: "2" };
        assert!(matches!(from_client(&case, &ids), Err(RestRefusal::BadTarget(_))), "{name}");
    }
    for name in [
        "soap-bad-action",
        "soap-bad-content-type",
        "soap-bad-version",
        "soap-body-mismatch",
        "soap-doctype",
        "soap-malformed",
        "soap-missing-id",
        "soap-no-content-type",
        "soap-fault-as-request",
    ] {
        let Some(case) = case(name) else { return };
        let http = case.http("client-request").expect("a client request");
        let action = http.header("SOAPAction");
        let content_type = http.header("Content-Type");
        let result = check_soap_action(action.as_deref().map(str::as_bytes))
            .and_then(|_| soap_body_kind(content_type.as_deref()))
            .and_then(|_| Soap::parse(http.body.clone()))
            .and_then(|soap| match soap {
                Soap::Message(_) => Ok(()),
                Soap::Fault(fault) => Err(fault.fault.error()),
            });
        let error = result.expect_err(name);
        let prefix = if error.code() == "internal_error" { "server.clientproxy" } else { "client" };
        let expected = case.meta["client_answer"]["fault_code"].as_str().expect("a code");
        assert_eq!(error.prefixed(prefix).code(), expected, "{name}");
    }
}

fn parse_fault(xml: &Bytes) -> Fault {
    match Soap::parse(xml.clone()).expect("an envelope") {
        Soap::Fault(fault) => fault.fault,
        Soap::Message(_) => panic!("not a fault"),
    }
}

#[test]
fn faults_are_read_and_written_to_the_captured_bytes() {
    let mut count = 0;
    for case in cases() {
        let Some(client) = case.http("client-response") else { continue };
        let plain =
            case.http("response").filter(|response| !response.is_multipart()).map(|response| response.body);
        let plain = plain.or_else(|| {
            let own = client.header("SOAPAction").is_some() && case.http("response").is_none();
            own.then(|| client.body.clone())
        });
        if let Some(body) = plain {
            assert_eq!(parse_fault(&body).to_xml(), body, "{}", case.name);
            count += 1;
        }
        let fault = decoded(case.http("response"))
            .filter(|message| message.parts.len() == 1)
            .map(|message| message.parts[0].body.clone())
            .or_else(|| case.http("response").filter(|r| !r.is_multipart()).map(|r| r.body));
        let (Some(fault), Some(code)) = (fault, client.header("X-Road-Error")) else { continue };
        let request = case.http("client-request").expect("a client request");
        let accept = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"accept"));
        let format = ErrorFormat::from_accept(accept.map(|(_, value)| value.as_slice()));
        let answer = parse_fault(&fault).rest_answer(format);
        assert_eq!(answer.status, client.status(), "{}", case.name);
        assert_eq!(answer.body, client.body, "{}", case.name);
        assert_eq!(answer.headers[0].1, code, "{}", case.name);
        assert_eq!(Some(&answer.headers[1].1), client.header("Content-Type").as_ref(), "{}", case.name);
    }
    assert!(count > 20 || cases().is_empty(), "{count}");
}
