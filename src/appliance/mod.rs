//! Builds both planes from the configuration and runs them until told to stop.
//!
//! The order of starting is the order in which things depend on each other: trust, registry, keys, log, then the workers
//! that need them all. Stopping goes the other way: the workers finish what runs, then the log is closed.

mod authentication;
mod examine;
mod internal_tls;
mod metrics;
mod monitoring;
mod open;
mod stamping;
mod tasks;
mod tls;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

pub use examine::{Finding, examine};
pub use internal_tls::{InternalTls, load_or_make};

use self::open::{internal_tls, load_trust, open_log, open_registry, open_signer, spools};
pub use self::open::{open_token, read_pin};
use self::tasks::start_control;
use crate::config::{Config, Runtime};
use crate::control::SharedTrust;
use crate::control::archive::{Archiver, ArchiverTask};
use crate::evidence::SharedVerificationCache;
use crate::exchange::{
    Authentication, Counters, FastestAddresses, HealthSwitches, PeerOcsp, Repeats, Router, Shared,
    SystemEntropy, Worker,
};
use crate::log::LogHandle;
use crate::signer::{SignerHandle, Token};
use crate::time::SharedClock;
use crate::worker::{
    ListenerConfig, Pool, PoolOptions, Role, RuntimeChoice, ServerTimeouts, WorkerConfig, Workers, choose,
    run_workers,
};

/// Life of an idle connection to a service. Services close theirs after a few seconds, common ones after two, and a call
/// that meets the close cannot be repeated: nobody knows whether it was carried out. Official servers keep theirs 50 ms.
const SERVICE_IDLE: Duration = Duration::from_secs(1);

/// Why the appliance cannot start: one line that says what and, where it can, how to mend it.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Puts something in front of the token, such as a limit of its rate.
pub type TokenFilter = Arc<dyn Fn(Box<dyn Token>) -> Box<dyn Token> + Send + Sync>;

/// A running security server.
pub struct Appliance {
    workers: Workers,
    control: tokio::runtime::Runtime,
    log: LogHandle,
    signer: SignerHandle,
    config: Arc<Config>,
    filter: TokenFilter,
    recording: monitoring::Recording,
    archiver: Option<ArchiverTask>,
}

impl Appliance {
    /// Starts everything; when it returns the ports are open.
    pub fn start(config: Config, clock: SharedClock) -> Result<Self, StartError> {
        Self::start_with(config, clock, Arc::new(|token| token))
    }

    /// As [`Self::start`], with something in front of the token.
    pub fn start_with(config: Config, clock: SharedClock, filter: TokenFilter) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_all()
            .build()?;
        let trust = load_trust(&config);
        let health = Arc::new(HealthSwitches::default());
        let registry = control.block_on(open_registry(&config, &health))?;
        let token = filter(open_token(&config)?);
        let signer = open_signer(&config, token.as_ref(), &trust, &clock)?;
        let log = open_log(&config, &clock)?;
        let authentication: Arc<ArcSwapOption<Authentication>> = Arc::default();
        let fetchers = metrics::Fetchers::new(&config);
        let stamper =
            start_control(&control, &config, &clock, &trust, &signer, &log, &authentication, &fetchers);
        let internal = internal_tls(&config)?;
        let shared_clock = Arc::clone(&clock);
        let (monitoring, recording) = monitoring::start(&control, &config, &clock, &trust, &registry);
        let shared = Arc::new(Shared {
            config: Arc::clone(&config),
            clock,
            entropy: Arc::new(SystemEntropy::default()),
            trust: Arc::clone(&trust),
            registry,
            signer: signer.clone(),
            log: log.clone(),
            stamper,
            repeats: Repeats::default(),
            peer_ocsp: PeerOcsp::default(),
            peer_tls: tls::to_servers(&authentication, config.tls.cbc),
            service_tls: tls::to_services(internal.as_ref().map(|internal| &internal.identity)),
            internal_certificate: internal.as_ref().map(|internal| internal.certificate.clone()),
            authentication: Arc::clone(&authentication),
            control: control.handle().clone(),
            spools: spools(&config)?,
            counters: Counters::default(),
            health,
            environment: monitoring::watch_host(&control, &config, &shared_clock),
            verified: SharedVerificationCache::default(),
            monitoring: Arc::clone(&monitoring),
        });
        metrics::serve(&control, Arc::clone(&shared), fetchers)?;
        let listeners = listeners(&config, &authentication, &trust, internal.as_ref());
        let workers = start_workers(&config, listeners, shared)?;
        for (role, address) in workers.addresses() {
            tracing::info!(?role, %address, "listening");
        }
        let archiver = start_archiver(&config, &log, shared_clock)?;
        Ok(Self { workers, control, log, signer, config, filter, recording, archiver })
    }

    /// Runs a future of the control plane, such as the wait for a signal.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.control.block_on(future)
    }

    /// Reads the tokens again. The old keys stay in force when they cannot be read.
    pub fn reload(&self) -> Result<(), StartError> {
        let token = (self.filter)(open_token(&self.config)?);
        self.signer.reload(&[token.as_ref()])?;
        tracing::info!("tokens read again");
        Ok(())
    }

    /// Finishes what runs, within a bounded time, and closes the log.
    pub fn stop(self) {
        self.workers.stop();
        self.workers.join();
        if let Some(archiver) = self.archiver {
            archiver.stop();
        }
        self.recording.finish(&self.control);
        self.control.shutdown_timeout(Duration::from_secs(2));
        self.log.close();
        tracing::info!("stopped");
    }
}

/// The archiver's thread, unless only `hermod archive run` archives.
fn start_archiver(
    config: &Config,
    log: &LogHandle,
    clock: SharedClock,
) -> Result<Option<ArchiverTask>, StartError> {
    if config.log.archive_interval_secs == 0 {
        return Ok(None);
    }
    let archiver = Archiver::new(log.reader().clone(), &config.log);
    Ok(Some(ArchiverTask::start(archiver, config.log.archive_interval_secs, clock)?))
}

fn listeners(
    config: &Config,
    authentication: &Arc<ArcSwapOption<Authentication>>,
    trust: &SharedTrust,
    internal: Option<&InternalTls>,
) -> Vec<ListenerConfig> {
    let listen = &config.listen;
    let mut listeners = vec![
        ListenerConfig::new(listen.server, Role::SecurityServer).with_tls(tls::server_port(
            authentication,
            trust,
            config.tls.cbc,
        )),
        ListenerConfig::new(listen.ocsp, Role::OcspResponder),
    ];
    if let Some(address) = listen.consumer_http {
        listeners.push(ListenerConfig::new(address, Role::InformationSystem));
    }
    if let Some(address) = config.health.listen {
        listeners.push(ListenerConfig::new(address, Role::Health));
    }
    if let (Some(address), Some(internal)) = (listen.consumer_https, internal) {
        let server = tls::client_port(&internal.identity);
        listeners.push(ListenerConfig::new(address, Role::InformationSystem).with_tls(server));
    }
    listeners
}

fn start_workers(
    config: &Config,
    listeners: Vec<ListenerConfig>,
    shared: Arc<Shared>,
) -> Result<Workers, StartError> {
    let (runtime, why) = choose(RuntimeChoice::from(config.worker.runtime))?;
    tracing::info!("runtime {runtime}: {why}");
    let timeouts = ServerTimeouts {
        idle: Duration::from_millis(config.proxy.idle_timeout_ms),
        body_bytes_per_sec_min: config.limits.request_bytes_per_sec_min,
        ..ServerTimeouts::default()
    };
    let defaults = WorkerConfig::new(runtime);
    let workers = if config.worker.threads == 0 { defaults.workers } else { config.worker.threads };
    let pin = config.worker.pin;
    let settings = WorkerConfig { listeners, timeouts, workers, pin, ..defaults };
    let pool =
        PoolOptions { idle_per_target_max: config.proxy.pooled_connections_max, ..PoolOptions::default() };
    let workers = run_workers(settings, move |_| {
        Rc::new(Router::new(Worker {
            shared: Arc::clone(&shared),
            peers: Pool::new(pool),
            services: Pool::new(PoolOptions { idle: SERVICE_IDLE, ..pool }),
            authenticated: Default::default(),
            fastest: std::cell::RefCell::new(FastestAddresses::default()),
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
