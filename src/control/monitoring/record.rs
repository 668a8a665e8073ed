//! What is remembered of an exchange, as the message path collects it: values that are at hand there, nothing looked
//! up or formatted. [`super::row`] completes it away from the path.

use bytes::Bytes;

use crate::message::{ClientId, RepresentedParty, ServiceId};
use crate::time::UnixTime;

/// On which side of an exchange this server was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The consumer's.
    Client,
    /// The provider's.
    Producer,
}

impl Role {
    /// `securityServerType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::Producer => "Producer",
        }
    }
}

/// Size of a message, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The SOAP part, or the head of a REST message.
    pub message: u64,
    /// Attachments, or the REST body.
    pub parts: u64,
    /// Number of attachments; `None` while they were not read.
    pub attachments: Option<u32>,
}

/// Method and path of a REST request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestCall {
    /// HTTP method.
    pub method: String,
    /// Raw path after the service code. It never leaves the server: only the pattern that it matches is told.
    pub path: String,
}

/// One side of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationalRecord {
    /// Which side.
    pub role: Role,
    /// When the request came in.
    pub request_in: UnixTime,
    /// When it went out, to the other server or to the service.
    pub request_out: Option<UnixTime>,
    /// When the head of the answer came in.
    pub response_in: Option<UnixTime>,
    /// When the answer went out.
    pub response_out: Option<UnixTime>,
    /// This server answered by itself, as metaservices are: nothing went out in between.
    pub answered_here: bool,
    /// Consumer.
    pub client: Option<ClientId>,
    /// Service.
    pub service: Option<ServiceId>,
    /// `None` for SOAP, and while the request is not read.
    pub rest: Option<RestCall>,
    /// For whom the consumer acts.
    pub represented_party: Option<RepresentedParty>,
    /// Message id.
    pub message_id: Option<String>,
    /// User of the consumer.
    pub user_id: Option<String>,
    /// Issue.
    pub issue: Option<String>,
    /// As the SOAP header says; `1` for REST.
    pub protocol_version: Option<String>,
    /// The id that both sides record.
    pub request_id: Option<String>,
    /// Address of the provider's server that was chosen (consumer's side).
    pub peer_address: Option<String>,
    /// DER of the authentication certificate of the consumer's server (provider's side).
    pub peer_certificate: Option<Bytes>,
    /// Size of the request, once its message part is read.
    pub request: Option<Sizes>,
    /// Size of the response.
    pub response: Option<Sizes>,
    /// A response was given that is no fault and, for REST, has no status from 400 to 599.
    pub succeeded: bool,
    /// Code and text of the fault that was made or passed on.
    pub fault: Option<(String, String)>,
    /// HTTP status of the service (REST).
    pub status: Option<u16>,
}

impl OperationalRecord {
    /// A record of which nothing is known but its beginning.
    pub fn begun(role: Role, at: UnixTime) -> Self {
        Self {
            role,
            request_in: at,
            request_out: None,
            response_in: None,
            response_out: None,
            answered_here: false,
            client: None,
            service: None,
            rest: None,
            represented_party: None,
            message_id: None,
            user_id: None,
            issue: None,
            protocol_version: None,
            request_id: None,
            peer_address: None,
            peer_certificate: None,
            request: None,
            response: None,
            succeeded: false,
            fault: None,
            status: None,
        }
    }
}
