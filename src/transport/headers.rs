use std::borrow::Cow;

/// Value of `x-hash-algorithm`.
pub const HASH_ALGORITHM: &str = "SHA-512";

/// Header fields in the order and the case in which official servers write them; peers look some of them up by case.
pub type Outgoing<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// Headers of a request to the provider's security server (`transport.md` 3.2), `POST /`, chunked.
///
/// `soap_action` is `None` for REST. `original_content_type` is empty when the client sent none.
pub fn request_headers<'a>(
    soap_action: Option<&'a str>,
    original_content_type: &'a str,
    request_id: &'a str,
    proxy_version: &'a str,
    content_type: &'a str,
    host: &'a str,
) -> Outgoing<'a> {
    let mut headers: Outgoing<'a> = Vec::with_capacity(10);
    if soap_action.is_none() {
        headers.push(("x-road-message-type", "REST".into()));
    }
    headers.push(("x-hash-algorithm", HASH_ALGORITHM.into()));
    headers.push(("x-original-content-type", original_content_type.into()));
    headers.push(("x-road-request-id", request_id.into()));
    headers.push(("x-proxy-version", proxy_version.into()));
    if let Some(action) = soap_action {
        headers.push(("x-original-soapaction", action.into()));
    }
    headers.push(("Transfer-Encoding", "chunked".into()));
    headers.push(("Content-Type", content_type.into()));
    headers.push(("Host", host.into()));
    headers.push(("Connection", "Keep-Alive".into()));
    headers
}

/// Headers of a multipart response, status 200, after `Date` (`transport.md` 3.3).
///
/// `original_content_type` is the service's for SOAP, `None` for REST. With `reuse` the body is chunked and the
/// connection stays; without, the body ends with the connection.
pub fn response_headers<'a>(
    content_type: &'a str,
    original_content_type: Option<&'a str>,
    reuse: bool,
) -> Outgoing<'a> {
    let mut headers: Outgoing<'a> =
        vec![("Content-Type", content_type.into()), ("x-hash-algorithm", HASH_ALGORITHM.into())];
    if let Some(original) = original_content_type {
        headers.push(("x-original-content-type", original.into()));
    }
    headers.push(if reuse {
        ("Transfer-Encoding", "chunked".into())
    } else {
        ("Connection", "close".into())
    });
    headers
}

/// Headers of a plain fault between servers, status 200, after `Date`; it always has a length.
pub fn fault_response_headers(length: usize, reuse: bool) -> Outgoing<'static> {
    let mut headers: Outgoing<'static> = vec![
        ("Content-Type", "text/xml;charset=utf-8".into()),
        ("SOAPAction", "".into()),
        ("Content-Length", length.to_string().into()),
    ];
    if !reuse {
        headers.push(("Connection", "close".into()));
    }
    headers
}
