use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::crypto::sha512;
use crate::message::{ErrorCode, XRoadError};

const IDS: RestRequestIds<'static> =
    RestRequestIds { request_id: "11111111-2222-3333-4444-555555555555", generated_message_id: "DEV-a" };

fn from_client(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<RestRequest, RestRefusal> {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    RestRequest::from_client(method, target.as_bytes(), headers, &IDS)
}

fn parse(part: &str) -> Result<RestRequest, XRoadError> {
    RestRequest::parse(Bytes::copy_from_slice(part.as_bytes()))
}

const PETS: &str = "/r1/DEV/COM/222/PROV/pets";
const CONSUMER: (&str, &str) = ("X-Road-Client", "DEV/COM/111/CONS");

#[test]
fn trap_transport_08_lines_have_no_space_and_no_empty_line_and_no_header_of_one_hop() {
    let headers = [CONSUMER, ("accept", " application/json "), ("HOST", "x"), ("te", "trailers")];
    let request = from_client("GET", "/r1/DEV/COM/222/PROV/pets/list?limit=2", &headers).unwrap();
    let expected = "GET\r\n/r1/DEV/COM/222/PROV/pets/list?limit=2\r\nX-Road-Client:DEV/COM/111/CONS\r\n\
        Accept:application/json\r\nx-road-request-id:11111111-2222-3333-4444-555555555555\r\nx-road-id:DEV-a\r\n";
    assert_eq!(request.part(), expected.as_bytes());
    assert_eq!((request.service_path(), request.query()), ("/list", Some("limit=2")));
    let again = RestRequest::parse(request.part().clone()).unwrap();
    assert_eq!(again.message_id(), "DEV-a");
    for name in ["Host", "transfer-encoding", "Server", "EXPECT"] {
        assert!(
            parse(&format!("{expected}{name}:x\r\n")).unwrap_err().is(ErrorCode::InternalError),
            "{name}"
        );
    }
    assert!(parse(&format!("{expected}\r\n")).is_err());
    assert!(parse(expected.trim_end()).is_err());
    assert!(parse(&expected.replace("X-Road-Client:", "X-Road-Client: ")).is_err());
}

#[test]
fn trap_transport_09_the_request_hash_is_over_two_raw_digests() {
    let part = "POST\r\n/r1/DEV/COM/222/PROV/pets\r\nX-Road-Client:DEV/COM/111/CONS\r\nX-Road-Id:q-1\r\n\
        Content-Type:application/json\r\nx-road-request-id:11111111-2222-3333-4444-555555555555\r\n";
    assert_eq!(part.len(), 167);
    let (message, body) = (sha512(part.as_bytes()), sha512(br#"{"a":1}"#));
    let without_body =
        "1RiFvRN+WgDC5QaEkI8Dh2VJdMwKAoDPjYQwcjBIfFfFMZkO+NhpfZwNnW0DP0Ms3kPI1nd8nTEATJauCgUGRA==";
    assert_eq!(rest_request_hash(&message, None), without_body);
    let with_body =
        "8IMtgjD1jCqw4eDxhqn37uUPsRTBg+ZXR0LA82j6nRJYH0DLjD+7OGFA0b0KDNo6P3mCrTAU8wkA9mkxzqKgKw==";
    assert_eq!(rest_request_hash(&message, Some(&body)), with_body);
}

#[test]
fn trap_transport_27_targets_that_official_servers_refuse_get_a_bare_400() {
    let bare = [
        "//x", "/%2e/x", "/%2E%2e", "/..;x", "/a%25b", "/%5C", "/%00", "/%zz", "/p\u{e4}", "/a|b", "/[1]",
        "/\\",
    ];
    for path in bare {
        let refusal = from_client("GET", &format!("{PETS}{path}"), &[CONSUMER]).unwrap_err();
        assert!(matches!(refusal, RestRefusal::BadTarget(_)), "{path}");
    }
    for path in ["/a%2Fb", "/%20", "/%22", "/%3B", "/x;d=1", "/../x", "/.", "/"] {
        assert!(from_client("GET", &format!("{PETS}{path}"), &[CONSUMER]).is_ok(), "{path}");
    }
}

#[test]
fn trap_transport_26_raw_characters_of_a_query_are_encoded_before_signing() {
    let request = from_client("GET", &format!("{PETS}?a=x|y&b={{z}}&c=\"#f"), &[CONSUMER]).unwrap();
    assert_eq!(request.query(), Some("a=x%7Cy&b=%7Bz%7D&c=%22"));
    let part = format!("GET\r\n{PETS}?a=x|y\r\nX-Road-Client:A/B/C\r\nX-Road-Id:1\r\n");
    assert!(parse(&part).unwrap_err().is(ErrorCode::InternalError));
    assert!(parse(&part.replace('|', "/?%7C")).is_ok());
}

#[test]
fn an_empty_query_is_not_an_absent_one() {
    assert_eq!(from_client("GET", &format!("{PETS}?"), &[CONSUMER]).unwrap().query(), Some(""));
    assert_eq!(from_client("GET", PETS, &[CONSUMER]).unwrap().query(), None);
    let absolute = from_client("GET", &format!("http://ss:8080{PETS}/x"), &[CONSUMER]).unwrap();
    assert_eq!(absolute.target(), format!("{PETS}/x"));
}

#[test]
fn trap_transport_29_the_request_id_is_found_in_lower_case_only() {
    let part = format!("GET\r\n{PETS}\r\nX-Road-Client:A/B/C\r\nX-Road-Id:1\r\nX-Road-Request-Id:a\r\n");
    assert_eq!(parse(&part).unwrap().request_id(), None);
    assert_eq!(parse(&format!("{part}x-road-request-id:b\r\n")).unwrap().request_id(), Some("b"));
}

#[test]
fn trap_transport_30_of_repeated_clients_the_last_counts_but_contradictions_are_refused_at_the_client_port() {
    let part = format!("GET\r\n{PETS}\r\nX-Road-Client:A/B/C\r\nx-road-client:A/B/D\r\nX-Road-Id:1\r\n");
    assert_eq!(parse(&part).unwrap().client_id().to_string(), "A/B/D");
    let twice = [("X-Road-Client", "A/B/C"), ("x-road-client", "A/B/D")];
    let RestRefusal::Error(error) = from_client("GET", PETS, &twice).unwrap_err() else { panic!("an error") };
    assert!(error.is(ErrorCode::InvalidClientIdentifier));
    let equal = [("X-Road-Client", "A/B/C"), ("x-road-client", "A/B/C")];
    assert!(from_client("GET", PETS, &equal).is_ok());
}

#[test]
fn client_mistakes_have_the_errors_of_official_servers() {
    let code = |result: Result<RestRequest, RestRefusal>| match result.unwrap_err() {
        RestRefusal::Error(error) => error.code().to_owned(),
        RestRefusal::BadTarget(reason) => reason.to_owned(),
    };
    assert_eq!(code(from_client("GET", PETS, &[])), "invalid_client_identifier");
    assert_eq!(code(from_client("GET", PETS, &[("X-Road-Client", "A/B")])), "internal_error");
    assert_eq!(code(from_client("BREW", PETS, &[CONSUMER])), "internal_error");
    assert_eq!(code(from_client("GET", "/r1/DEV/COM/222/PROV", &[CONSUMER])), "internal_error");
    let long = "x".repeat(256);
    assert_eq!(code(from_client("GET", PETS, &[CONSUMER, ("X-Road-Id", &long)])), "internal_error");
}

#[test]
fn refuses_every_truncation_and_foreign_line_ends() {
    let part = format!("GET\r\n{PETS}\r\nX-Road-Client:A/B/C\r\nX-Road-Id:1\r\nx-road-request-id:2\r\n");
    assert!(parse(&part).is_ok());
    for length in 0..part.len() {
        // A cut at a line end is a shorter message whose signature would not fit; before the id it is refused here.
        let cut = &part[..length];
        assert_eq!(parse(cut).is_ok(), cut.ends_with("Id:1\r\n"), "{cut:?}");
    }
    for bad in [
        part.replace("\r\n", "\n"),
        part.replace("\r\n", "\r"),
        part.replace(":1", ":1\0"),
        format!(" {part}"),
    ] {
        assert!(parse(&bad).is_err());
    }
    assert!(parse(&part.replace("X-Road-Id:", "X-Road-Id :")).is_err());
    assert!(parse(&part.replace("\r\nX-Road-Id", "\r\n X-Road-Id")).is_err());
}

fn response_ids(request: &RestRequest) -> RestResponseIds<'_> {
    RestResponseIds {
        message_id: request.message_id(),
        client_id: request.client_id(),
        service_id: request.service_id(),
        request_id: request.request_id().unwrap(),
        request_hash: "aGFzaA==",
    }
}

#[test]
fn a_response_carries_its_request_and_nothing_of_the_services_own_identity_lines() {
    let request = from_client("GET", PETS, &[CONSUMER, ("X-Road-Id", "q-1")]).unwrap();
    let headers =
        [("Content-Type", "a/b"), ("x-road-service", "F/R/O/M/x"), ("x-road-id", "other"), ("Server", "s")];
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let response = RestResponse::from_service(200, b"", headers, &response_ids(&request)).unwrap();
    let expected = "200\r\n\r\nContent-Type:a/b\r\nx-road-id:q-1\r\nx-road-client:DEV/COM/111/CONS\r\n\
        x-road-service:DEV/COM/222/PROV/pets\r\nx-road-request-id:11111111-2222-3333-4444-555555555555\r\n\
        x-road-request-hash:aGFzaA==\r\n";
    assert_eq!(response.part(), expected.as_bytes());
    let parsed = RestResponse::parse(response.part().clone()).unwrap();
    assert!(parsed.check_answers(&request, "aGFzaA==").is_ok());
    assert!(parsed.check_answers(&request, "other").unwrap_err().is(ErrorCode::InconsistentResponse));
    let other = from_client("GET", PETS, &[CONSUMER, ("X-Road-Id", "q-2")]).unwrap();
    assert!(parsed.check_answers(&other, "aGFzaA==").is_err());
}

#[test]
fn a_peer_cannot_smuggle_headers_of_one_hop_to_the_client() {
    let request = from_client("GET", PETS, &[CONSUMER]).unwrap();
    let response = RestResponse::from_service(200, b"OK", [], &response_ids(&request)).unwrap();
    let mut part = response.part().to_vec();
    part.extend_from_slice(
        "Transfer-Encoding:chunked\r\nContent-Length:0\r\ncontent-type:t\u{e9}\u{20ac}\r\n".as_bytes(),
    );
    let parsed = RestResponse::parse(part.into()).unwrap();
    let last = parsed.client_headers().last().unwrap();
    assert_eq!((last.0, &*last.1), ("Content-Type", &b"t\xe9?"[..]));
    assert!(parsed.client_headers().all(|(name, _)| !is_hop_by_hop(name)));
}

#[test]
fn trap_transport_38_a_metaservice_response_echoes_the_requests_headers() {
    let request = from_client("GET", PETS, &[CONSUMER, ("X-Road-Id", "q"), ("Accept", "a/b")]).unwrap();
    let response = RestResponse::from_metaservice(&request, "application/json", &response_ids(&request));
    let names: Vec<_> = response.headers().map(|(name, _)| name).collect();
    let expected = ["Accept", "x-road-id", "x-road-client", "x-road-service", "x-road-request-id"];
    assert_eq!(names[..5], expected);
    assert_eq!(names[5..], ["x-road-request-hash", "content-type"]);
}

#[test]
fn trap_transport_25_a_body_of_get_or_delete_is_not_delivered() {
    let delivered = |method| from_client(method, PETS, &[CONSUMER]).unwrap().body_is_delivered();
    assert!(["POST", "PUT", "PATCH"].into_iter().all(delivered));
    assert!(!["GET", "DELETE", "HEAD", "OPTIONS", "TRACE"].into_iter().any(delivered));
}

#[test]
fn trap_transport_28_a_packed_body_passes_as_it_is() {
    let request = from_client("GET", PETS, &[CONSUMER, ("Accept-Encoding", "gzip")]).unwrap();
    assert!(request.service_headers().any(|(name, value)| name == "Accept-Encoding" && &*value == b"gzip"));
    let headers = [(&b"Content-Encoding"[..], &b"gzip"[..])];
    let response = RestResponse::from_service(200, b"OK", headers, &response_ids(&request)).unwrap();
    let parsed = RestResponse::parse(response.part().clone()).unwrap();
    assert!(parsed.client_headers().any(|(name, value)| name == "Content-Encoding" && &*value == b"gzip"));
}

proptest! {
    #[test]
    fn a_part_that_is_accepted_is_the_one_a_careful_server_would_write(
        at in 0usize..200,
        with in prop::sample::select(vec!["\0", "\r", "\n", "\r\n", ":", " ", "%", "/", "?", "#", "\u{e9}", "x"]),
    ) {
        let part = format!("GET\r\n{PETS}/a?b=c\r\nX-Road-Client:A/B/C\r\nX-Road-Id:1\r\nx-road-request-id:2\r\n");
        let at = at.min(part.len());
        let changed = [&part[..at], with, &part[at..]].concat();
        if let Ok(request) = parse(&changed) {
            let mut again = format!("{}\r\n{}\r\n", request.method(), request.target());
            request.headers().for_each(|(name, value)| again.push_str(&format!("{name}:{value}\r\n")));
            prop_assert_eq!(again, changed);
        }
    }

    #[test]
    fn any_target_is_refused_or_becomes_a_part_that_is_accepted(target in "(/r1/a/b/c/d/e)?[ -~\u{80}-\u{ff}]{0,20}") {
        if let Ok(request) = from_client("GET", &target, &[CONSUMER]) {
            prop_assert!(RestRequest::parse(request.part().clone()).is_ok());
        }
    }
}
