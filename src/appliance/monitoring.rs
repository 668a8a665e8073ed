//! Keeps the records of operational monitoring flowing from the workers to their database.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::control::SharedTrust;
use crate::control::monitoring::{Environment, Monitoring, Surroundings};
use crate::registry::Registry;
use crate::time::SharedClock;

/// How long the end waits for the last records.
const LAST_RECORDS_MAX: Duration = Duration::from_secs(2);

/// The task that stores records.
pub(super) struct Recording {
    monitoring: Arc<Monitoring>,
    task: JoinHandle<()>,
}

pub(super) fn start(
    control: &Runtime,
    config: &Config,
    clock: &SharedClock,
    trust: &SharedTrust,
    registry: &Arc<ArcSwap<Registry>>,
) -> (Arc<Monitoring>, Recording) {
    let monitoring = Arc::new(Monitoring::new(config.monitoring.clone(), clock.now()));
    let surroundings = Surroundings {
        server: config.server_id.clone(),
        version: config.proxy.version.clone(),
        trust: Arc::clone(trust),
        registry: Arc::clone(registry),
        clock: Arc::clone(clock),
    };
    let task = control.spawn(Arc::clone(&monitoring).run(surroundings));
    (Arc::clone(&monitoring), Recording { monitoring, task })
}

/// Samples the host, where its figures may be asked for.
pub(super) fn watch_host(control: &Runtime, config: &Config, clock: &SharedClock) -> Arc<Environment> {
    let environment = Arc::new(Environment::new("/"));
    if config.monitoring.environmental {
        let (sampled, clock) = (Arc::clone(&environment), Arc::clone(clock));
        control.spawn(async move { sampled.run(clock).await });
    }
    environment
}

impl Recording {
    /// Stores what still waits.
    pub(super) fn finish(self, control: &Runtime) {
        self.monitoring.stop();
        let last = async { tokio::time::timeout(LAST_RECORDS_MAX, self.task).await };
        if control.block_on(last).is_err() {
            tracing::warn!("the last monitoring records were not stored in time");
        }
    }
}
