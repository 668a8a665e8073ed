//! Who must have signed a message, read from the message.

use bytes::Bytes;

use crate::message::{ClientId, ErrorCode, RestRequest, RestResponse, Soap, XRoadError};

/// Identity headers of REST messages: of repeated ones the last counts, as for official servers.
const IDENTITY_HEADERS: [&str; 8] = [
    "x-road-client",
    "x-road-service",
    "x-road-id",
    "x-road-request-id",
    "x-road-request-hash",
    "x-road-security-server",
    "x-road-represented-party",
    "x-road-userid",
];

/// What a message says about its signer.
#[derive(Debug)]
pub(super) struct Claim {
    /// The client of a request, the provider of a response.
    pub signer: ClientId,
    /// Whether an identity header occurs more than once.
    pub has_duplicate_header: bool,
}

/// Reads a message as evidence holds it.
pub(super) fn claim(message: &Bytes) -> Result<Claim, XRoadError> {
    if is_soap(message) {
        return soap_claim(message);
    }
    // A REST response starts with its status, a request with its method.
    if matches!(message.first(), Some(b'1'..=b'9')) {
        let response = RestResponse::parse(message.clone())?;
        let has_duplicate_header = has_duplicate(response.headers().map(|(name, _)| name));
        return Ok(Claim { signer: response.service_id().client(), has_duplicate_header });
    }
    let request = RestRequest::parse(message.clone())?;
    let has_duplicate_header = has_duplicate(request.headers().map(|(name, _)| name));
    Ok(Claim { signer: request.client_id().clone(), has_duplicate_header })
}

/// A REST message never begins with a byte order mark, a zero byte or an angle bracket.
fn is_soap(message: &[u8]) -> bool {
    let marks: [&[u8]; 4] = [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe", b"\0"];
    marks.iter().any(|mark| message.starts_with(mark)) || message.trim_ascii_start().starts_with(b"<")
}

/// A response is told by the name of the element in its body, as by official servers.
fn soap_claim(message: &Bytes) -> Result<Claim, XRoadError> {
    let Soap::Message(message) = Soap::parse(message.clone())? else {
        return Err(XRoadError::new(ErrorCode::InvalidMessage, "the message is a fault, which nobody signs"));
    };
    let header = message.header();
    let is_response = message.body_element().ends_with("Response");
    let signer = if is_response { header.service.client() } else { header.client.clone() };
    Ok(Claim { signer, has_duplicate_header: false })
}

fn has_duplicate<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    IDENTITY_HEADERS
        .iter()
        .any(|known| names.clone().filter(|name| name.eq_ignore_ascii_case(known)).count() > 1)
}
