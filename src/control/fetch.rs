//! One request, one bounded answer: what all clients of the control plane need of HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

use super::fetch_tls;

/// Why there is no usable answer. The fault is the source's or the network's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// Not an http or https URL.
    #[error("{0} is not a usable URL")]
    Url(String),
    /// No connection, or it broke.
    #[error("{0} cannot be reached: {1}")]
    Connection(String, String),
    /// No complete answer in time.
    #[error("{0} has not answered in time")]
    Timeout(String),
    /// An answer with this HTTP status.
    #[error("{0} answered with status {1}")]
    Status(String, u16),
    /// The answer was cut off, or larger than allowed.
    #[error("{0} did not send a complete answer of at most {1} bytes: {2}")]
    Body(String, usize, String),
}

/// A request. An `Ok` answer is always the whole body of a status accepted by `accepts`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Absolute URL.
    pub url: String,
    /// A body to be posted with its content type; `None` is a GET.
    pub post: Option<(&'static str, Bytes)>,
    /// `Accept` header, if any.
    pub accept: Option<&'static str>,
    /// Which statuses are an answer.
    pub accepts: fn(u16) -> bool,
    /// Largest answer, in bytes.
    pub bytes_max: usize,
}

impl Request {
    /// A GET that takes status 200.
    pub fn get(url: impl Into<String>, bytes_max: usize) -> Self {
        Self { url: url.into(), post: None, accept: None, accepts: |status| status == 200, bytes_max }
    }

    /// A POST that takes status 200.
    pub fn post(url: impl Into<String>, content_type: &'static str, body: Vec<u8>, bytes_max: usize) -> Self {
        Self { post: Some((content_type, body.into())), ..Self::get(url, bytes_max) }
    }
}

/// A body and its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`, if it was sent and is text.
    pub content_type: Option<String>,
    /// The whole body.
    pub body: Bytes,
}

/// Sends requests. The network in production, a script in tests.
pub trait Fetch: Send + Sync {
    /// Sends one request and waits for its whole answer.
    fn fetch(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + '_>>;
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the whole answer, after the connection.
    pub read: Duration,
}

impl Timeouts {
    /// From milliseconds.
    pub fn from_millis(connect: u64, read: u64) -> Self {
        Self { connect: Duration::from_millis(connect), read: Duration::from_millis(read) }
    }
}

/// How far the certificate of an https server is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsChecks {
    /// It must lead to a root of the system's trust store.
    pub chain: bool,
    /// It must name the host.
    pub host_name: bool,
}

impl TlsChecks {
    /// All of them.
    pub const ALL: Self = Self { chain: true, host_name: true };
}

/// HTTP/1.1 over TCP or TLS, a new connection for each request, on the current tokio runtime. Certificates of https
/// servers are checked against the system's trust store, unless [`TlsChecks`] say otherwise: without one, https URLs
/// fail and http ones work. Whatever is fetched here is signed and verified on its own.
pub struct HttpFetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeouts: Timeouts,
    calls: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl HttpFetcher {
    /// A fetcher with its timeouts, and with all checks of https servers.
    pub fn new(timeouts: Timeouts) -> Self {
        Self::with_checks(timeouts, TlsChecks::ALL)
    }

    /// A fetcher that checks https servers so far.
    pub fn with_checks(timeouts: Timeouts, checks: TlsChecks) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeouts.connect));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(fetch_tls::config(checks))
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, timeouts, calls: AtomicU64::new(0), failure: Mutex::default() }
    }

    /// Requests since start, failed ones included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Why the last request failed; `None` when it did not.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn exchange(&self, request: Request) -> Result<Answer, FetchError> {
        let url = request.url.clone();
        let (method, body) = match &request.post {
            Some((_, body)) => (Method::POST, body.clone()),
            None => (Method::GET, Bytes::new()),
        };
        let mut builder = hyper::Request::builder().method(method).uri(&url);
        if let Some((content_type, _)) = request.post {
            builder = builder.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(accept) = request.accept {
            builder = builder.header(header::ACCEPT, accept);
        }
        let message = builder.body(Full::new(body)).map_err(|_| FetchError::Url(url.clone()))?;
        let response = self.client.request(message).await;
        let response = response.map_err(|error| FetchError::Connection(url.clone(), causes(&error)))?;
        let status = response.status().as_u16();
        if !(request.accepts)(status) {
            return Err(FetchError::Status(url, status));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_string);
        let body = Limited::new(response.into_body(), request.bytes_max).collect().await;
        let body = body.map_err(|error| FetchError::Body(url, request.bytes_max, error.to_string()))?;
        Ok(Answer { status, content_type, body: body.to_bytes() })
    }
}

impl Fetch for HttpFetcher {
    fn fetch(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + '_>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let url = request.url.clone();
            let whole = self.timeouts.connect + self.timeouts.read;
            let answer = tokio::time::timeout(whole, self.exchange(request)).await;
            let answer = answer.unwrap_or(Err(FetchError::Timeout(url)));
            let failure = answer.as_ref().err().map(ToString::to_string);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
            answer
        })
    }
}

// An error with the causes beneath it, each told once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
