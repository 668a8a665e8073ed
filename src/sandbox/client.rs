//! A small HTTP client for the sandbox's own questions and for its example messages.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::error::SandboxError;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
const PROBE_MAX: Duration = Duration::from_secs(2);

/// A client with pooled connections; clones share the pool.
#[derive(Clone)]
pub struct Client(Pool<HttpConnector, Full<Bytes>>);

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Pool::builder(TokioExecutor::new()).build(connector))
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer, or none in time.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, SandboxError> {
        let target = format!("{} {}", request.method(), request.uri());
        let failed = |reason: String| SandboxError::Exchange(format!("{target}: {reason}"));
        let exchange = async {
            let (head, body) = self.0.request(request).await.map_err(|e| chain(&e))?.into_parts();
            let body = body.collect().await.map_err(|e| chain(&e))?.to_bytes();
            Ok::<_, String>(Response::from_parts(head, body))
        };
        match tokio::time::timeout(ANSWER_MAX, exchange).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(failed(format!("no answer within {} s", ANSWER_MAX.as_secs()))),
        }
    }

    /// GET of `url` with headers.
    ///
    /// # Errors
    /// As [`Self::send`], and for what is no URL or header.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Response<Bytes>, SandboxError> {
        let mut request = Request::get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::default()).map_err(|e| SandboxError::Exchange(format!("{url}: {e}")))?;
        self.send(request).await
    }
}

/// Does a GET of `url` get an answer with a wanted status within two seconds?
pub(super) async fn answers(url: &str, wanted: impl Fn(u16) -> bool) -> bool {
    // A connection of its own: a pooled one could hide that nobody listens any more.
    let client = Client::default();
    match tokio::time::timeout(PROBE_MAX, client.get(url, &[])).await {
        Ok(Ok(answer)) => wanted(answer.status().as_u16()),
        _ => false,
    }
}

// The library's own text is "client error (Connect)"; the reason is in its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
