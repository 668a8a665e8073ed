//! The services over HTTP: `/manage` for what comes through X-Road, and over HTTPS the registration of authentication
//! certificates.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Management;
use crate::control::management::Parts;
use crate::message::{Fault, XRoadError};
use crate::sandbox::error::SandboxError;
use crate::sandbox::keys::{Identity, pki_error};
use crate::time::SharedClock;

#[derive(Clone)]
struct Service {
    management: Arc<Management>,
    clock: SharedClock,
    straight: bool,
}

/// The service; `straight` for the one that registers authentication certificates.
pub(in crate::sandbox) fn router(management: Arc<Management>, clock: SharedClock, straight: bool) -> Router {
    let path = if straight { "/managementservice/" } else { "/manage" };
    Router::new().route(path, post(take)).with_state(Service { management, clock, straight })
}

async fn take(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let taken = Parts::decode(content_type, body)
        .map_err(super::verify::invalid_request)
        .and_then(|parts| service.management.take(&parts, service.straight, service.clock.now()));
    let content_type = [(header::CONTENT_TYPE, "text/xml; charset=UTF-8")];
    match taken {
        Ok(response) => (content_type, response).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, content_type, fault(&error)).into_response(),
    }
}

fn fault(error: &XRoadError) -> Vec<u8> {
    Fault::new(error, &crate::sandbox::random_text(20)).to_xml()
}

/// A listener that speaks TLS with the key and certificate of `identity`.
pub(in crate::sandbox) struct RegistrationListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

/// Puts TLS in front of a listener.
pub(in crate::sandbox) fn registration_listener(
    tcp: TcpListener,
    identity: &Identity,
) -> Result<RegistrationListener, SandboxError> {
    let failed = |error: rustls::Error| pki_error("TLS of the registration service", error);
    let certificate = CertificateDer::from(identity.certificate().der().to_vec());
    let key = PrivatePkcs8KeyDer::from(identity.key().pkcs8_der().to_vec());
    let provider = crate::worker::tls::crypto_provider(&[]);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .map_err(failed)?;
    Ok(RegistrationListener { tcp, tls: TlsAcceptor::from(Arc::new(config)) })
}

impl axum::serve::Listener for RegistrationListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    // One handshake at a time is enough for a sandbox; who fails is dropped.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.tcp).await;
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
