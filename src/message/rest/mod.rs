//! REST messages: the signed heads of requests and responses.

mod head;
mod header_names;
mod request;
mod response;
mod target;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use header_names::{canonical_header_name, is_hop_by_hop, latin1_to_utf8, utf8_to_latin1};
pub use request::{RestRefusal, RestRequest, RestRequestIds};
pub use response::{RestResponse, RestResponseIds};
pub use target::path_fault;

use crate::crypto::{DigestAlgorithm, Hasher};

/// The methods of REST messages.
pub const REST_METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// `x-road-request-hash`: without a body Base64 of the digest of the request part, else Base64 of the SHA-512
/// over both raw digests, one after the other (`transport.md` 3.6). Digests are SHA-512.
pub fn rest_request_hash(message_digest: &[u8], body_digest: Option<&[u8]>) -> String {
    let Some(body_digest) = body_digest else { return STANDARD.encode(message_digest) };
    let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
    hasher.update(message_digest);
    hasher.update(body_digest);
    hasher.finish().to_base64()
}
