//! The workers of the configuration, each with what it does not share.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Bounds;
use super::{StartError, watchdog};
use crate::config::{Config, Runtime};
use crate::exchange::{FastestAddresses, Router, Shared, Worker};
use crate::host::watchdog_interval;
use crate::worker::{
    Admission, ListenerConfig, Pool, PoolOptions, RuntimeChoice, ServerTimeouts, WorkerConfig, Workers,
    choose, run_workers,
};

/// Life of an idle connection to a service. Services close theirs after a few seconds, common ones after two, and a call
/// that meets the close cannot be repeated: nobody knows whether it was carried out. Official servers keep theirs 50 ms.
const SERVICE_IDLE: Duration = Duration::from_secs(1);

/// Opens the ports that are not held and starts the workers.
pub(super) fn start_workers(
    config: &Config,
    listeners: Vec<ListenerConfig>,
    shared: Arc<Shared>,
    bounds: &Bounds,
    admission: Admission,
) -> Result<Workers, StartError> {
    let (runtime, why) = choose(RuntimeChoice::from(config.worker.runtime))?;
    tracing::info!("runtime {runtime}: {why}");
    let timeouts = ServerTimeouts {
        idle: Duration::from_millis(config.proxy.idle_timeout_ms),
        body_bytes_per_sec_min: config.limits.request_bytes_per_sec_min,
        ..ServerTimeouts::default()
    };
    let defaults = WorkerConfig::new(runtime);
    let (workers, connections) = (bounds.workers, bounds.connections);
    let pin = config.worker.pin;
    let beat = watchdog::beat(watchdog_interval());
    let settings =
        WorkerConfig { listeners, timeouts, workers, pin, connections, admission, beat, ..defaults };
    let pool =
        PoolOptions { idle_per_target_max: config.proxy.pooled_connections_max, ..PoolOptions::default() };
    let workers = run_workers(settings, move |worker| {
        let pool = PoolOptions { worker, ..pool };
        Rc::new(Router::new(Worker {
            shared: Arc::clone(&shared),
            peers: Pool::new(pool),
            services: Pool::new(PoolOptions { idle: SERVICE_IDLE, ..pool }),
            authenticated: Default::default(),
            fastest: std::cell::RefCell::new(FastestAddresses::default()),
            refused: Default::default(),
        }))
    })?;
    Ok(workers)
}

impl From<Runtime> for RuntimeChoice {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Auto => Self::Auto,
            Runtime::IoUring => Self::IoUring,
            Runtime::Epoll => Self::Epoll,
        }
    }
}
