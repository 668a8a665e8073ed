use std::borrow::Cow;

use bytes::Bytes;

use super::head::{Head, is_header_value, is_token};
use super::{REST_METHODS, canonical_header_name, is_hop_by_hop, latin1_to_utf8, target, utf8_to_latin1};
use crate::limits::{HTTP_HEADERS_MAX, MESSAGE_ID_CHARS_MAX};
use crate::message::{ClientId, ErrorCode, RepresentedParty, SecurityServerId, ServiceId, XRoadError};

const CLIENT: &str = "X-Road-Client";
const ID: &str = "X-Road-Id";
const SECURITY_SERVER: &str = "X-Road-Security-Server";
const REPRESENTED_PARTY: &str = "X-Road-Represented-Party";
const USER_ID: &str = "X-Road-UserId";
const REQUEST_ID: &str = "x-road-request-id";

/// Why a client's REST request does not become a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestRefusal {
    /// The target cannot be taken literally: answered with a bare 400 without X-Road error, as official servers
    /// do; the text is the reason.
    BadTarget(&'static str),
    /// An X-Road error, to be prefixed with `server.clientproxy`.
    Error(XRoadError),
}

impl From<XRoadError> for RestRefusal {
    fn from(error: XRoadError) -> Self {
        Self::Error(error)
    }
}

/// The identifiers that the consumer's security server adds to a request.
#[derive(Debug, Clone)]
pub struct RestRequestIds<'a> {
    /// `x-road-request-id`: a random UUID per exchange.
    pub request_id: &'a str,
    /// The message id for a request without `X-Road-Id`: own instance, `-`, random UUID.
    pub generated_message_id: &'a str,
}

/// A REST request: its signed part and what it says.
#[derive(Debug, Clone)]
pub struct RestRequest {
    head: Head,
    client_id: ClientId,
    service_id: ServiceId,
    service_path_at: usize,
    target_server: Option<SecurityServerId>,
    represented_party: Option<RepresentedParty>,
}

impl RestRequest {
    /// Makes the message of a client's HTTP request (`transport.md` 2.6).
    ///
    /// `target` is the raw request target, `headers` are raw names and values in order. Errors: bad target; method,
    /// path or identifier (`internal_error`), missing or contradictory `X-Road-Client`
    /// (`invalid_client_identifier`), other identity headers repeated with different values (`invalid_request`).
    pub fn from_client<'h>(
        method: &str,
        target: &[u8],
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        ids: &RestRequestIds<'_>,
    ) -> Result<Self, RestRefusal> {
        let raw =
            std::str::from_utf8(target).map_err(|_| RestRefusal::BadTarget("Illegal Path Character"))?;
        let target = target::normalised(raw)?;
        let path = target.split('?').next().unwrap_or_default();
        if let Some(fault) = target::path_fault(path) {
            return Err(RestRefusal::BadTarget(fault));
        }
        check_method(method)?;
        let mut builder = Head::builder(method, &target);
        let mut has_id = false;
        for (count, (name, value)) in headers.into_iter().enumerate() {
            let value = value.trim_ascii();
            if count >= HTTP_HEADERS_MAX || !is_token(name) || !is_header_value(value) {
                return Err(internal("Invalid HTTP header").into());
            }
            let name = latin1_to_utf8(name);
            if is_hop_by_hop(&name)
                || name.eq_ignore_ascii_case(REQUEST_ID)
                || name.eq_ignore_ascii_case("X-Road-Request-Hash")
            {
                continue;
            }
            has_id |= name.eq_ignore_ascii_case(ID);
            builder.header(canonical_header_name(&name), &latin1_to_utf8(value));
        }
        builder.header(REQUEST_ID, ids.request_id);
        if !has_id {
            builder.header("x-road-id", ids.generated_message_id);
        }
        let head = builder.finish();
        refuse_contradictions(&head)?;
        Ok(Self::of(head)?)
    }

    /// Reads the part of a request from a peer. Anything but the canonical form of 3.5, a hop-by-hop header, a bad
    /// target or identifier is refused with `internal_error`, a missing client with `invalid_client_identifier`.
    /// Of repeated identity headers the last counts.
    pub fn parse(part: Bytes) -> Result<Self, XRoadError> {
        let head = Head::parse(part)?;
        check_method(head.first())?;
        target::check(head.second())?;
        if head.headers().any(|(name, _)| is_hop_by_hop(name)) {
            return Err(internal("A header of one hop in the REST message"));
        }
        if head.last(ID).is_none() {
            return Err(internal("The REST message has no id"));
        }
        Self::of(head)
    }

    fn of(head: Head) -> Result<Self, XRoadError> {
        let path = head.second().split('?').next().unwrap_or_default();
        let (service_id, service_path_at) = target::service(path)?;
        let client = head.last(CLIENT).ok_or_else(|| {
            XRoadError::new(ErrorCode::InvalidClientIdentifier, "X-Road-Client header is missing")
        })?;
        let client_id = ClientId::from_rest(client).map_err(|_| internal("Invalid Client Id"))?;
        let target_server = head.last(SECURITY_SERVER).map(SecurityServerId::from_rest).transpose()?;
        let represented_party = head.last(REPRESENTED_PARTY).map(RepresentedParty::from_rest).transpose()?;
        let id = head.last(ID).unwrap_or_default();
        if id.is_empty() || id.chars().count() > MESSAGE_ID_CHARS_MAX {
            return Err(internal("The message id is empty or too long"));
        }
        Ok(Self { client_id, service_id, service_path_at, target_server, represented_party, head })
    }

    /// The bytes that are hashed, signed, sent and logged.
    pub fn part(&self) -> &Bytes {
        self.head.part()
    }

    /// The method, one of [`REST_METHODS`].
    pub fn method(&self) -> &str {
        self.head.first()
    }

    /// Raw path and query: line 2 of the part.
    pub fn target(&self) -> &str {
        self.head.second()
    }

    /// What follows the service code in the raw path: empty, or `/` and the rest.
    pub fn service_path(&self) -> &str {
        let path = self.target().split('?').next().unwrap_or_default();
        path.get(self.service_path_at..).unwrap_or_default()
    }

    /// The raw query; `Some("")` for a question mark with nothing after it.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The consumer.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The service; never with a version.
    pub fn service_id(&self) -> &ServiceId {
        &self.service_id
    }

    /// The message id, 1 to 255 characters.
    pub fn message_id(&self) -> &str {
        self.head.last(ID).unwrap_or_default()
    }

    /// The id of this exchange; its name is compared exactly, in lower case.
    pub fn request_id(&self) -> Option<&str> {
        self.head.last_exactly(REQUEST_ID)
    }

    /// The security server that the consumer wants to reach.
    pub fn target_server(&self) -> Option<&SecurityServerId> {
        self.target_server.as_ref()
    }

    /// For whom the consumer acts.
    pub fn represented_party(&self) -> Option<&RepresentedParty> {
        self.represented_party.as_ref()
    }

    /// The user of the consumer, first value.
    pub fn user_id(&self) -> Option<&str> {
        self.header(USER_ID)
    }

    /// The issue or document that the request is about, first value.
    pub fn issue(&self) -> Option<&str> {
        self.header("X-Road-Issue")
    }

    /// The first value of a header, name without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.values(name).next()
    }

    /// All headers in order, text as in the part.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.head.headers()
    }

    /// The headers for the call of the service: all of them, as HTTP bytes (ISO-8859-1).
    pub fn service_headers(&self) -> impl Iterator<Item = (&str, Cow<'_, [u8]>)> {
        self.head.headers().map(|(name, value)| (name, utf8_to_latin1(value.trim())))
    }

    /// Whether the service is sent the body part; other methods go without (X-Road 7.8 behaviour).
    pub fn body_is_delivered(&self) -> bool {
        matches!(self.method(), "POST" | "PUT" | "PATCH")
    }
}

fn check_method(method: &str) -> Result<(), XRoadError> {
    if REST_METHODS.contains(&method) { Ok(()) } else { Err(internal("Unsupported REST method")) }
}

// An identity that is said twice must be said equally, or different readers would see different callers.
fn refuse_contradictions(head: &Head) -> Result<(), XRoadError> {
    for name in [CLIENT, ID, USER_ID, SECURITY_SERVER, REPRESENTED_PARTY] {
        let mut values = head.values(name);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            let code =
                if name == CLIENT { ErrorCode::InvalidClientIdentifier } else { ErrorCode::InvalidRequest };
            return Err(XRoadError::new(code, format!("{name} is repeated with different values")));
        }
    }
    Ok(())
}

fn internal(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, text)
}
