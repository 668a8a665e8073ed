//! How information systems of a client prove themselves (`transport.md` 2.2).

use super::context::Worker;
use crate::crypto::Certificate;
use crate::message::{ErrorCode, XRoadError};
use crate::registry::{Client, ConnectionType};
use crate::worker::PeerInfo;

/// Checks the connection of an information system against the connection type of the client it speaks for.
///
/// Certificates are compared byte for byte with the registered ones; the server's own internal certificate is
/// always accepted. Errors: `ssl_authentication_failed`.
pub fn authenticate_client(worker: &Worker, client: &Client, peer: &PeerInfo) -> Result<(), XRoadError> {
    if !worker.shared.config.proxy.verify_client_cert {
        return Ok(());
    }
    let refused = |text: String| Err(XRoadError::new(ErrorCode::SslAuthenticationFailed, text));
    match client.connection_type {
        ConnectionType::NoSsl => Ok(()),
        _ if !peer.tls => refused(format!(
            "Client '{}' specifies HTTPS but the request was made over plaintext HTTP",
            client.id
        )),
        ConnectionType::SslNoAuth => Ok(()),
        ConnectionType::SslAuth => {
            let Some(leaf) = peer.certificates.first() else {
                return refused(format!("Client '{}' must present a TLS certificate and did not", client.id));
            };
            if worker.shared.internal_certificate.as_deref() == Some(leaf.as_ref()) {
                return Ok(());
            }
            if client.certificates.is_empty() {
                return refused(format!("Client '{}' has no registered TLS certificates", client.id));
            }
            if !client.has_certificate(leaf) {
                return refused(format!(
                    "The presented TLS certificate is not one of those registered for client '{}'",
                    client.id
                ));
            }
            check_validity(worker, client, leaf)
        }
    }
}

fn check_validity(worker: &Worker, client: &Client, leaf: &[u8]) -> Result<(), XRoadError> {
    let now = worker.now();
    let valid = Certificate::from_der(leaf).is_ok_and(|certificate| certificate.is_valid_at(now));
    if valid {
        return Ok(());
    }
    if worker.shared.config.proxy.enforce_client_cert_validity {
        let text = format!("The TLS certificate of client '{}' is not valid now", client.id);
        return Err(XRoadError::new(ErrorCode::SslAuthenticationFailed, text));
    }
    tracing::warn!(client = %client.id, "the TLS certificate of an information system is not valid now");
    Ok(())
}
