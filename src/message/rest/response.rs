use std::borrow::Cow;

use bytes::Bytes;

use super::head::{Head, HeadBuilder, is_header_value, is_token};
use super::{RestRequest, canonical_header_name, is_hop_by_hop, latin1_to_utf8, utf8_to_latin1};
use crate::limits::{HTTP_HEADERS_MAX, MESSAGE_ID_CHARS_MAX};
use crate::message::{ClientId, ErrorCode, ServiceId, XRoadError};

/// Lines that the provider's security server writes itself, in their order.
const OWN: [&str; 5] =
    ["x-road-id", "x-road-client", "x-road-service", "x-road-request-id", "x-road-request-hash"];

/// What the provider's security server adds to a response.
#[derive(Debug, Clone)]
pub struct RestResponseIds<'a> {
    /// Message id of the request.
    pub message_id: &'a str,
    /// Consumer of the request.
    pub client_id: &'a ClientId,
    /// Service of the request.
    pub service_id: &'a ServiceId,
    /// Request id of the request's transport message.
    pub request_id: &'a str,
    /// [`super::rest_request_hash`] of the request.
    pub request_hash: &'a str,
}

/// A REST response: its signed part and what it says.
#[derive(Debug, Clone)]
pub struct RestResponse {
    head: Head,
    status: u16,
    client_id: ClientId,
    service_id: ServiceId,
}

impl RestResponse {
    /// Makes the message of a service's HTTP response (`transport.md` 3.5): headers of one hop and the service's own
    /// identity lines are dropped, the five lines of the exchange are appended. Errors: a header that breaks lines.
    pub fn from_service<'h>(
        status: u16,
        reason: &[u8],
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        ids: &RestResponseIds<'_>,
    ) -> Result<Self, XRoadError> {
        let mut builder = Self::builder(status, reason, headers)?;
        ids.append(&mut builder);
        Ok(Self::own(builder.finish(), status, ids))
    }

    /// Makes the answer of a REST metaservice: status 200, the request's headers without those of one hop and the
    /// identity lines, the five lines, `content-type` last (`transport.md` 7.2).
    pub fn from_metaservice(request: &RestRequest, content_type: &str, ids: &RestResponseIds<'_>) -> Self {
        let mut builder = Head::builder("200", "OK");
        for (name, value) in request.headers().filter(|(name, _)| !is_dropped(name)) {
            builder.header(name, value);
        }
        ids.append(&mut builder);
        builder.header("content-type", content_type);
        Self::own(builder.finish(), 200, ids)
    }

    fn own(head: Head, status: u16, ids: &RestResponseIds<'_>) -> Self {
        Self { head, status, client_id: ids.client_id.clone(), service_id: ids.service_id.clone() }
    }

    fn builder<'h>(
        status: u16,
        reason: &[u8],
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
    ) -> Result<HeadBuilder, XRoadError> {
        let reason = if is_header_value(reason) { latin1_to_utf8(reason) } else { Cow::Borrowed("") };
        let mut builder = Head::builder(&status.to_string(), &reason);
        for (count, (name, value)) in headers.into_iter().enumerate() {
            let value = value.trim_ascii();
            if count >= HTTP_HEADERS_MAX || !is_token(name) || !is_header_value(value) {
                return Err(internal("The service answered with an invalid HTTP header"));
            }
            let name = latin1_to_utf8(name);
            if !is_dropped(&name) {
                builder.header(&name, &latin1_to_utf8(value));
            }
        }
        Ok(builder)
    }

    /// Reads the part of a response from a peer. Anything but the canonical form of 3.5, a bad status or identifier
    /// is refused with `internal_error`. Of repeated identity headers the last counts.
    pub fn parse(part: Bytes) -> Result<Self, XRoadError> {
        let head = Head::parse(part)?;
        let digits = head.first();
        let status = digits.parse().ok().filter(|status| (200..=999).contains(status) && digits.len() == 3);
        let status = status.ok_or_else(|| internal("The REST response has no valid status"))?;
        let required = |name| {
            let value = head.last(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                XRoadError::new(ErrorCode::InternalError, format!("{name} is missing in the response"))
            })
        };
        if required("x-road-id")?.chars().count() > MESSAGE_ID_CHARS_MAX {
            return Err(internal("The message id is too long"));
        }
        required("x-road-request-hash")?;
        let client_id = ClientId::from_rest(required("x-road-client")?)?;
        let service_id = ServiceId::from_rest(required("x-road-service")?)?;
        Ok(Self { head, status, client_id, service_id })
    }

    /// The bytes that are hashed, signed, sent and logged.
    pub fn part(&self) -> &Bytes {
        self.head.part()
    }

    /// HTTP status of the service.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Reason phrase of the service; may be empty. It is not shown to the client.
    pub fn reason(&self) -> &str {
        self.head.second()
    }

    /// The consumer.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The service.
    pub fn service_id(&self) -> &ServiceId {
        &self.service_id
    }

    /// The message id.
    pub fn message_id(&self) -> &str {
        self.head.last("x-road-id").unwrap_or_default()
    }

    /// The id of the exchange.
    pub fn request_id(&self) -> Option<&str> {
        self.head.last("x-road-request-id")
    }

    /// The hash of the request that this response answers.
    pub fn request_hash(&self) -> &str {
        self.head.last("x-road-request-hash").unwrap_or_default()
    }

    /// All headers in order, text as in the part.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.head.headers()
    }

    /// The first value of a header, name without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.values(name).next()
    }

    /// The headers for the client, as HTTP bytes (ISO-8859-1): in order, well-known names in their usual case, those
    /// of one hop left out. A `Date` among them replaces the one of this server.
    pub fn client_headers(&self) -> impl Iterator<Item = (&str, Cow<'_, [u8]>)> {
        let kept = self.head.headers().filter(|(name, _)| !is_hop_by_hop(name));
        kept.map(|(name, value)| (canonical_header_name(name), utf8_to_latin1(value.trim())))
    }

    /// Whether this is the answer to that request: client, message id, service, request id and request hash must be
    /// equal, else `inconsistent_response` (`transport.md` 5.2).
    pub fn check_answers(&self, request: &RestRequest, request_hash: &str) -> Result<(), XRoadError> {
        let checks = [
            (self.client_id == *request.client_id(), "client id"),
            (self.message_id() == request.message_id(), "message id"),
            (self.service_id == *request.service_id(), "service id"),
            (self.request_id() == request.request_id(), "request id"),
            (self.request_hash() == request_hash, "request hash"),
        ];
        match checks.iter().find(|(equal, _)| !equal) {
            None => Ok(()),
            Some((_, what)) => {
                let text = format!("Response {what} does not match the request");
                Err(XRoadError::new(ErrorCode::InconsistentResponse, text))
            }
        }
    }
}

impl RestResponseIds<'_> {
    fn append(&self, builder: &mut HeadBuilder) {
        let (client, service) = (self.client_id.to_rest(), self.service_id.to_rest());
        let values = [self.message_id, &client, &service, self.request_id, self.request_hash];
        OWN.iter().zip(values).for_each(|(name, value)| builder.header(name, value));
    }
}

fn is_dropped(name: &str) -> bool {
    is_hop_by_hop(name) || OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn internal(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, text)
}
