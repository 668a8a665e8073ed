//! The admin port and the admin socket: what they are told by, and what they switch.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::StartError;
use super::archive_metrics::Archiving;
use super::countdowns::Countdowns;
use super::metrics::{self, Fetchers};
use super::status;
use crate::config::Config;
use crate::control::{Admin, AdminSources, AuditLog};
use crate::exchange::{Shared, health};
use crate::time::{Clock as _, SystemClock, UnixTime};

/// Port and socket while they are served.
pub(super) struct AdminPorts {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    port: Option<TcpListener>,
}

impl AdminPorts {
    /// The port once more, for a successor. The socket is made anew by whoever comes.
    pub fn duplicate(&self) -> Option<TcpListener> {
        self.port.as_ref()?.try_clone().ok()
    }
}

impl Drop for AdminPorts {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Opens the admin port, where one is configured and `held` is not one already, and the socket. A socket that cannot be
/// opened is told and left out: the server works without.
pub(super) fn serve(
    control: &tokio::runtime::Runtime,
    shared: &Arc<Shared>,
    fetchers: &Arc<Fetchers>,
    countdowns: &Arc<Countdowns>,
    archiving: Arc<Archiving>,
    held: Option<TcpListener>,
) -> Result<AdminPorts, StartError> {
    let settings = &shared.config.admin;
    let sources = sources(shared, fetchers, countdowns, archiving, shared.clock.now());
    let (mut opened, mut port) = (Vec::new(), None);
    if let Some(address) = settings.listen {
        let failed = |error| not_opened(address, &error);
        let listener = held.map_or_else(|| TcpListener::bind(address), Ok).map_err(failed)?;
        port = Some(listener.try_clone().map_err(failed)?);
        opened.push(Admin::on(listener, sources.clone()).map_err(failed)?);
        tracing::info!(%address, "metrics at /metrics");
    }
    if let Some(path) = &settings.socket {
        match Admin::bind_socket(path, sources) {
            Ok(admin) => opened.push(admin),
            Err(error) => tracing::warn!("admin socket {}: {error}", path.display()),
        }
    }
    let serve = |admin: Admin| {
        control.spawn(async move {
            if let Err(error) = admin.serve().await {
                tracing::error!(%error, "metrics are not served any more");
            }
        })
    };
    Ok(AdminPorts { tasks: opened.into_iter().map(serve).collect(), port })
}

/// The admin port can be opened, or is held, or is not wanted.
pub(super) fn probe(config: &Config, held: Option<&TcpListener>) -> Result<(), StartError> {
    match config.admin.listen.filter(|_| held.is_none()) {
        None => Ok(()),
        Some(address) => {
            Ok(TcpListener::bind(address).map(drop).map_err(|error| not_opened(address, &error))?)
        }
    }
}

fn not_opened(address: SocketAddr, error: &std::io::Error) -> String {
    format!("admin port {address} cannot be opened: {error}")
}

fn sources(
    shared: &Arc<Shared>,
    fetchers: &Arc<Fetchers>,
    countdowns: &Arc<Countdowns>,
    archiving: Arc<Archiving>,
    started: UnixTime,
) -> AdminSources {
    let audit = AuditLog::new(&shared.config.audit);
    let of_metrics = (Arc::clone(shared), Arc::clone(fetchers), Arc::clone(countdowns));
    let of_status = (Arc::clone(shared), Arc::clone(countdowns));
    let (of_health, of_maintenance) = (Arc::clone(shared), Arc::clone(&shared.health));
    AdminSources {
        metrics: Arc::new(move || {
            let (shared, fetchers, countdowns) = &of_metrics;
            metrics::render(shared, fetchers, &countdowns.present(), &archiving)
        }),
        status: Arc::new(move || status::json(&of_status.0, &of_status.1, started).to_string()),
        health: Arc::new(move || health::check(&of_health)),
        maintenance: Arc::new(move |on| {
            let (details, now) = (serde_json::json!({ "on": on }), SystemClock.now());
            if let Err(error) = audit.append("server.maintenance", "done", &details, "admin port", now) {
                tracing::error!("audit log {}: {error}", audit.path().display());
            }
            of_maintenance.set_maintenance(on)
        }),
    }
}
