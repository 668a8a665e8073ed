//! Who is at the other end of a connection between security servers (`transport.md` 4, `trust.md` 4).
//!
//! TLS accepts a peer by its registration alone and calls no verifier on resumed sessions, so chain, OCSP answers and
//! registration are judged here, for every message, on the certificates of the session.

use std::rc::Rc;

use bytes::Bytes;

use super::context::Worker;
use crate::crypto::Certificate;
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::trust::{OcspResponse, TrustSnapshot, verify_client_authentication, verify_server_authentication};
use crate::worker::ClientConnection;

/// Consumer's side: may the server at the other end answer for `provider`? Missing OCSP answers are fetched from its
/// port 5577. Errors: `ssl_authentication_failed` and what follows it.
pub async fn verify_server(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    address: &str,
    connection: &ClientConnection,
) -> Result<(), XRoadError> {
    let chain = parse_chain(&connection.peer_certificates())?;
    let ocsp = worker.shared.peer_ocsp.responses(worker, trust, address, &chain).await?;
    let (global_conf, policy) = (&trust.global_conf, &trust.policy);
    verify_server_authentication(global_conf, provider, &chain, &ocsp, worker.now(), policy)
}

/// Provider's side: may the server at the other end send for `client`? `ocsp` are the answers in the message.
/// Errors: `ssl_authentication_failed`.
pub fn verify_client(
    worker: &Worker,
    trust: &TrustSnapshot,
    client: &ClientId,
    certificates: &[Bytes],
    ocsp: &[Bytes],
) -> Result<(), XRoadError> {
    let chain = parse_chain(certificates)?;
    let parse = |der: &Bytes| OcspResponse::from_der(der).map_err(|error| failed(error.to_string()));
    let ocsp = ocsp.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let (global_conf, policy) = (&trust.global_conf, &trust.policy);
    verify_client_authentication(global_conf, client, &chain, &ocsp, worker.now(), policy)
}

/// Certificates of a chain, end entity first.
pub fn parse_chain(certificates: &[Bytes]) -> Result<Vec<Certificate>, XRoadError> {
    let parse = |der: &Bytes| Certificate::from_der(der).map_err(|error| failed(error.to_string()));
    certificates.iter().map(parse).collect()
}

fn failed(text: String) -> XRoadError {
    XRoadError::new(ErrorCode::SslAuthenticationFailed, format!("the peer's TLS certificate: {text}"))
}
