//! Sending a management request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::envelope::Addressed;
use super::parts::Parts;
use crate::message::{Soap, XROAD_NAMESPACE};
use crate::worker::TlsClient;
use crate::xml::{Document, Limits};

/// An answer is no larger than this.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The whole exchange.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why a request has no good answer.
#[derive(Debug, Error)]
pub enum ManagementError {
    /// The other side cannot be reached, or does not speak HTTP.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Where it was sent.
        address: String,
        /// What happened.
        reason: String,
    },
    /// A fault, with its code.
    #[error("refused: {text} ({code})")]
    Refused {
        /// Fault code.
        code: String,
        /// Fault string.
        text: String,
    },
    /// No answer to this request.
    #[error("the answer is of no use: {0}")]
    Answer(String),
}

/// Where a request goes.
#[derive(Clone)]
pub struct Destination {
    /// Host name or address, for TLS and the Host header.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// TLS, where it is spoken; it judges the other side's certificate.
    pub tls: Option<Arc<TlsClient>>,
}

impl Destination {
    /// A port of this host.
    pub fn local(address: SocketAddr, tls: Option<Arc<TlsClient>>) -> Self {
        let ip = match address.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => ip.to_string(),
        };
        Self { host: ip, port: address.port(), path: "/".into(), tls }
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> ManagementError {
        let address = format!("{}:{}", self.host, self.port);
        ManagementError::Unreachable { address, reason: reason.to_string() }
    }
}

/// Sends a request and gives the number under which the central server keeps it.
///
/// # Errors
/// As [`ManagementError`].
pub async fn send(
    destination: &Destination,
    addressed: &Addressed,
    parts: &Parts,
    boundary: &str,
) -> Result<u64, ManagementError> {
    let (content_type, body) = parts.encode(boundary);
    let answer = tokio::time::timeout(PATIENCE, post(destination, &content_type, body)).await;
    let answer = answer.map_err(|_| destination.unreachable(&"no answer in time"))??;
    request_id(&parts.soap, addressed, answer)
}

/// Posts a body and gives that of the answer, whatever its status: faults come with 200 and with 500.
///
/// # Errors
/// [`ManagementError::Unreachable`]
pub async fn post(
    destination: &Destination,
    content_type: &str,
    body: Bytes,
) -> Result<Bytes, ManagementError> {
    let unreachable = |error: &dyn std::fmt::Display| destination.unreachable(error);
    let stream = TcpStream::connect((destination.host.as_str(), destination.port)).await;
    let stream = stream.map_err(|error| unreachable(&error))?;
    match &destination.tls {
        None => exchange(stream, destination, content_type, body).await,
        Some(tls) => {
            let name = rustls::pki_types::ServerName::try_from(destination.host.clone());
            let name = name.map_err(|error| unreachable(&error))?;
            let config = tls.config_for_streams().map_err(|error| unreachable(&error))?;
            let connector = tokio_rustls::TlsConnector::from(config);
            let stream = connector.connect(name, stream).await.map_err(|error| unreachable(&error))?;
            exchange(stream, destination, content_type, body).await
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    destination: &Destination,
    content_type: &str,
    body: Bytes,
) -> Result<Bytes, ManagementError> {
    let unreachable = |error: &dyn std::fmt::Display| destination.unreachable(error);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    let driver = tokio::spawn(connection);
    let request = Request::post(destination.path.as_str())
        .header(header::HOST, format!("{}:{}", destination.host, destination.port))
        .header(header::CONTENT_TYPE, content_type)
        .header("SOAPAction", "\"\"")
        .body(Full::new(body))
        .map_err(|error| unreachable(&error))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| unreachable(&error))
    };
    let answer = answered.await;
    driver.abort();
    answer
}

/// The number in an answer, after it was checked to be one to this request.
///
/// # Errors
/// [`ManagementError::Refused`], [`ManagementError::Answer`]
pub fn request_id(request: &Bytes, addressed: &Addressed, answer: Bytes) -> Result<u64, ManagementError> {
    let unfit = |reason: &dyn std::fmt::Display| ManagementError::Answer(reason.to_string());
    let answer = match Soap::parse(answer).map_err(|error| unfit(&error))? {
        Soap::Message(message) => *message,
        Soap::Fault(fault) => {
            return Err(ManagementError::Refused { code: fault.fault.code, text: fault.fault.string });
        }
    };
    if let Ok(Soap::Message(request)) = Soap::parse(request.clone()) {
        request.header().check_consistent(answer.header()).map_err(|error| unfit(&error))?;
    }
    let document = Document::parse(answer.text(), &Limits::default()).map_err(|error| unfit(&error))?;
    let name = format!("{}Response", addressed.request.service_code());
    let element = document.root().descendants().find(|node| node.is(XROAD_NAMESPACE, &name));
    let id = element.and_then(|element| element.child(XROAD_NAMESPACE, "requestId"));
    let id = id.ok_or_else(|| unfit(&"it has no requestId"))?;
    id.text().trim().parse().map_err(|_| unfit(&"its requestId is no number"))
}
