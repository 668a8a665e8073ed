//! What the operator's own tools ask over HTTP: `GET /metrics`, and `GET /maintenance?targetState=true|false`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Makes the text of the moment.
pub type MetricsSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Switches the maintenance mode of the health-check port; says what it did.
pub type MaintenanceSwitch = Arc<dyn Fn(bool) -> String + Send + Sync>;

/// The port, bound and not yet served.
pub struct Admin {
    listener: TcpListener,
    metrics: MetricsSource,
    maintenance: MaintenanceSwitch,
}

impl Admin {
    /// Binds the port.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(
        address: SocketAddr,
        metrics: MetricsSource,
        maintenance: MaintenanceSwitch,
    ) -> std::io::Result<Self> {
        Self::on(TcpListener::bind(address)?, metrics, maintenance)
    }

    /// Takes a socket that listens already.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn on(
        listener: TcpListener,
        metrics: MetricsSource,
        maintenance: MaintenanceSwitch,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener, metrics, maintenance })
    }

    /// The socket once more, for a successor.
    ///
    /// # Errors
    /// When the system has no further descriptor.
    pub fn duplicate(&self) -> std::io::Result<TcpListener> {
        self.listener.try_clone()
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
        axum::serve(listener, router(self.metrics, self.maintenance)).await
    }
}

fn router(metrics: MetricsSource, maintenance: MaintenanceSwitch) -> Router {
    let switches = Router::new().route("/maintenance", get(switch)).with_state(maintenance);
    Router::new().route("/metrics", get(answer)).with_state(metrics).merge(switches)
}

async fn switch(
    State(maintenance): State<MaintenanceSwitch>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let state = query.as_deref().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("targetState="));
    match state {
        Some("true") => (StatusCode::OK, maintenance(true)),
        Some("false") => (StatusCode::OK, maintenance(false)),
        _ => (StatusCode::BAD_REQUEST, "say targetState=true or targetState=false".into()),
    }
}

async fn answer(State(metrics): State<MetricsSource>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics())
}
