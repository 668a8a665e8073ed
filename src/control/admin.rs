//! What the operator's own tools ask over HTTP: `GET /metrics`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// Makes the text of the moment.
pub type MetricsSource = Arc<dyn Fn() -> String + Send + Sync>;

/// The port, bound and not yet served.
pub struct Admin {
    listener: TcpListener,
    metrics: MetricsSource,
}

impl Admin {
    /// Binds the port.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(address: SocketAddr, metrics: MetricsSource) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, metrics })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// When the listener cannot be used on this runtime.
    pub async fn serve(self) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        axum::serve(listener, router(self.metrics)).await
    }
}

fn router(metrics: MetricsSource) -> Router {
    Router::new().route("/metrics", get(answer)).with_state(metrics)
}

async fn answer(State(metrics): State<MetricsSource>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics())
}
