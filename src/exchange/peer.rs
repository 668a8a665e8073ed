//! Who is at the other end of a connection between security servers (`transport.md` 4, `trust.md` 4).
//!
//! TLS accepts a peer by its registration alone and calls no verifier on resumed sessions, so chain, OCSP answers and
//! registration are judged here, for every message, on the certificates of the session. What was found good about the
//! same bytes a moment ago is remembered; registration is looked up every time.

use std::rc::Rc;

use bytes::Bytes;

use super::context::Worker;
use super::peer_cache::{Presented, Side};
use crate::crypto::Certificate;
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::trust::{
    AuthenticatedChain, ChainContext, OcspResponse, TrustSnapshot, verify_client_chain, verify_server_chain,
};
use crate::worker::ClientConnection;

/// Consumer's side: may the server at the other end answer for `provider`? Missing OCSP answers are fetched from its
/// port 5577. A connection with one that may not serves no other message. Errors: `ssl_authentication_failed` and what
/// follows it.
pub async fn verify_server(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    address: &str,
    connection: &ClientConnection,
) -> Result<(), XRoadError> {
    let answers_for = may_answer_for(worker, trust, provider, address, connection).await;
    answers_for.inspect_err(|_| connection.distrust())
}

async fn may_answer_for(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    address: &str,
    connection: &ClientConnection,
) -> Result<(), XRoadError> {
    let certificates = connection.peer_certificates();
    let chain = worker.authenticated.borrow_mut().chain(&certificates, parse_chain)?;
    let ocsp = worker.shared.peer_ocsp.responses(worker, trust, address, &chain).await?;
    let presented = Presented {
        side: Side::Server,
        instance: provider.instance().into(),
        certificates: certificates.to_vec(),
        ocsp: ocsp.iter().map(OcspResponse::der_bytes).collect(),
    };
    let instance_valid = trust.global_conf.check_instance(provider.instance(), worker.now());
    instance_valid.map_err(|error| error.within(ErrorCode::SslAuthenticationFailed))?;
    let verified = authenticate(worker, trust, provider, presented, |context, _| {
        verify_server_chain(ChainContext { ocsp: &ocsp, ..context }, &chain)
    })?;
    verified.check_registration(&trust.global_conf, provider)
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
    let presented = Presented {
        side: Side::Client,
        instance: client.instance().into(),
        certificates: certificates.to_vec(),
        ocsp: ocsp.to_vec(),
    };
    let instance_valid = trust.global_conf.check_instance(client.instance(), worker.now());
    instance_valid.map_err(|error| failed(error.text().to_owned()))?;
    let verified = authenticate(worker, trust, client, presented, |context, presented| {
        let chain = parse_chain(&presented.certificates)?;
        let parse = |der: &Bytes| OcspResponse::from_der(der).map_err(|error| failed(error.to_string()));
        let ocsp = presented.ocsp.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        verify_client_chain(ChainContext { ocsp: &ocsp, ..context }, &chain)
    })?;
    verified.check_registration(&trust.global_conf, client)
}

/// What was found out about the same bytes before, else what `verify` finds out now.
fn authenticate(
    worker: &Worker,
    trust: &TrustSnapshot,
    party: &ClientId,
    presented: Presented,
    verify: impl FnOnce(ChainContext<'_>, &Presented) -> Result<AuthenticatedChain, XRoadError>,
) -> Result<AuthenticatedChain, XRoadError> {
    let (global_conf, policy, at) = (&trust.global_conf, &trust.policy, worker.now());
    let mut peers = worker.authenticated.borrow_mut();
    if let Some(known) = peers.get(&presented, at, global_conf, policy) {
        return Ok(known);
    }
    let context = ChainContext { global_conf, instance: party.instance(), ocsp: &[], at, policy };
    let verified = verify(context, &presented)?;
    peers.insert(presented, at, verified.clone());
    Ok(verified)
}

/// Certificates of a chain, end entity first.
pub fn parse_chain(certificates: &[Bytes]) -> Result<Vec<Certificate>, XRoadError> {
    let parse = |der: &Bytes| Certificate::from_der(der).map_err(|error| failed(error.to_string()));
    certificates.iter().map(parse).collect()
}

fn failed(text: String) -> XRoadError {
    XRoadError::new(ErrorCode::SslAuthenticationFailed, format!("the peer's TLS certificate: {text}"))
}
