//! What the operator's own tools ask over HTTP, at a port and at a Unix socket: `GET /metrics`, `GET /status`, `GET /health`,
//! and `GET /maintenance?targetState=true|false`.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Makes a text of the moment.
pub type MetricsSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Says whether messages can pass, or why not.
pub type HealthSource = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Switches the maintenance mode of the health-check port; says what it did.
pub type MaintenanceSwitch = Arc<dyn Fn(bool) -> String + Send + Sync>;

/// What is told, and what is switched.
#[derive(Clone)]
pub struct AdminSources {
    /// The text format of Prometheus.
    pub metrics: MetricsSource,
    /// JSON.
    pub status: MetricsSource,
    /// For health checks.
    pub health: HealthSource,
    /// Maintenance mode.
    pub maintenance: MaintenanceSwitch,
}

enum Listener {
    Port(TcpListener),
    Socket(UnixListener),
}

/// Bound and not yet served.
pub struct Admin {
    listener: Listener,
    sources: AdminSources,
}

impl Admin {
    /// Binds a port.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind(address: SocketAddr, sources: AdminSources) -> std::io::Result<Self> {
        Self::on(TcpListener::bind(address)?, sources)
    }

    /// Takes a port that is listened at already.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn on(listener: TcpListener, sources: AdminSources) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Listener::Port(listener), sources })
    }

    /// Binds a Unix socket, for user and group of this process. One that is there is replaced: it was left behind, or is that
    /// of the process whose work this one takes over.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub fn bind_socket(path: &Path, sources: AdminSources) -> std::io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Listener::Socket(listener), sources })
    }

    /// Serves until the future is dropped.
    ///
    /// # Errors
    /// When the listener cannot be used on this runtime.
    pub async fn serve(self) -> std::io::Result<()> {
        let router = router(self.sources);
        match self.listener {
            Listener::Port(port) => axum::serve(tokio::net::TcpListener::from_std(port)?, router).await,
            Listener::Socket(socket) => {
                axum::serve(tokio::net::UnixListener::from_std(socket)?, router).await
            }
        }
    }
}

fn router(sources: AdminSources) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/maintenance", get(switch))
        .with_state(sources)
}

async fn switch(State(sources): State<AdminSources>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let state = query.as_deref().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("targetState="));
    match state {
        Some("true") => (StatusCode::OK, (sources.maintenance)(true)),
        Some("false") => (StatusCode::OK, (sources.maintenance)(false)),
        _ => (StatusCode::BAD_REQUEST, "say targetState=true or targetState=false".into()),
    }
}

async fn metrics(State(sources): State<AdminSources>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (sources.metrics)())
}

async fn status(State(sources): State<AdminSources>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], (sources.status)())
}

async fn health(State(sources): State<AdminSources>) -> (StatusCode, String) {
    match (sources.health)() {
        Ok(()) => (StatusCode::OK, "messages can pass\n".into()),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> AdminSources {
        let text: MetricsSource = Arc::new(String::new);
        let (health, maintenance) = (Arc::new(|| Ok(())), Arc::new(|on: bool| on.to_string()));
        AdminSources { metrics: Arc::clone(&text), status: text, health, maintenance }
    }

    #[test]
    fn a_socket_that_is_there_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/admin.sock");
        let first = Admin::bind_socket(&path, sources()).unwrap();
        Admin::bind_socket(&path, sources()).unwrap();
        drop(first);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"a file").unwrap();
        assert!(Admin::bind_socket(&path, sources()).is_err());
    }
}
