use crate::message::{ClientId, ErrorCode, RepresentedParty, SecurityServerId, ServiceId, XRoadError};

/// What the X-Road headers of an envelope say (`transport.md` 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapHeader {
    /// Consumer.
    pub client: ClientId,
    /// Service.
    pub service: ServiceId,
    /// Message id, 1 to 255 characters.
    pub message_id: String,
    /// Protocol version; starts with `4.`.
    pub protocol_version: String,
    /// User of the consumer.
    pub user_id: Option<String>,
    /// Issue or document the request is about; empty is not absent.
    pub issue: Option<String>,
    /// For whom the consumer acts.
    pub represented_party: Option<RepresentedParty>,
    /// The security server that the consumer wants to reach.
    pub security_server: Option<SecurityServerId>,
    /// Hash of the request, in responses.
    pub request_hash: Option<RequestHash>,
}

/// `xroad:requestHash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHash {
    /// Digest algorithm URI; empty when the attribute is missing.
    pub algorithm: String,
    /// Base64 text.
    pub value: String,
}

impl SoapHeader {
    /// Whether a response belongs to this request: client, service, user id, represented party, issue and message id
    /// are equal in that order, else `inconsistent_response`. Protocol version and security server are not compared.
    pub fn check_consistent(&self, response: &Self) -> Result<(), XRoadError> {
        let checks = [
            (self.client == response.client, "client"),
            (self.service == response.service, "service"),
            (self.user_id == response.user_id, "userId"),
            (self.represented_party == response.represented_party, "representedParty"),
            (self.issue == response.issue, "issue"),
            (self.message_id == response.message_id, "id"),
        ];
        match checks.iter().find(|(equal, _)| !equal) {
            None => Ok(()),
            Some((_, field)) => {
                let text = format!("Field '{field}' of the response does not match the request");
                Err(XRoadError::new(ErrorCode::InconsistentResponse, text))
            }
        }
    }

    /// Whether the request hash is there, made with SHA-512 and equal to `expected`, else `inconsistent_response`.
    pub fn check_request_hash(&self, expected: &str) -> Result<(), XRoadError> {
        let refuse = |text: &'static str| Err(XRoadError::new(ErrorCode::InconsistentResponse, text));
        match &self.request_hash {
            None => refuse("Response has no request hash"),
            Some(hash) if hash.algorithm != crate::crypto::DigestAlgorithm::Sha512.uri() => {
                refuse("Response has a request hash that is not SHA-512")
            }
            Some(hash) if hash.value != expected => {
                refuse("Request hash of the response does not match the request")
            }
            Some(_) => Ok(()),
        }
    }
}
