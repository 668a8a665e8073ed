//! Builds both planes from the configuration and runs them until told to stop.
//!
//! The order of starting is the order in which things depend on each other: trust, registry, keys, log, then the workers
//! that need them all. Stopping goes the other way: the workers finish what runs, then the log is closed. What can be done
//! while another process still has the log and the ports is a [`Preparation`].

mod admin;
mod archive_metrics;
mod authentication;
mod bounds;
mod countdowns;
mod examine;
mod internal_tls;
mod keeping;
mod metrics;
mod monitoring;
mod open;
mod ports;
mod process;
mod readiness;
mod stamping;
mod status;
mod tasks;
mod tls;

pub mod commands;
pub mod succession;
pub mod watchdog;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

pub use countdowns::Countdowns;
pub use examine::{Finding, examine, examine_beside};
pub use internal_tls::{InternalTls, load_or_make};
pub use readiness::missing;

use self::bounds::Bounds;
use self::keeping::Keeping;
use self::open::{internal_tls, load_trust, open_log, open_registry, open_signer, spools};
pub use self::open::{open_token, read_pin, read_record_keys};
use self::tasks::start_control;
use crate::config::{self, Config, Runtime};
use crate::control::SharedTrust;
use crate::control::archive::ArchiverTask;
use crate::evidence::SharedVerificationCache;
use crate::exchange::download::Encryptions;
use crate::exchange::{
    Authentication, Counters, FastestAddresses, HealthSwitches, PeerOcsp, Repeats, Router, Shared,
    SystemEntropy, Worker,
};
use crate::host::{Cage, Held, watchdog_interval};
use crate::log::{LogHandle, LogReader};
use crate::registry::Registry;
use crate::signer::{KeyPurpose, SignerHandle, Token};
use crate::time::SharedClock;
use crate::worker::{
    Admission, ListenerConfig, Pool, PoolOptions, Pulse, RuntimeChoice, ServerTimeouts, SpoolSpace,
    WorkerConfig, Workers, choose, run_workers,
};

/// Life of an idle connection to a service. Services close theirs after a few seconds, common ones after two, and a call
/// that meets the close cannot be repeated: nobody knows whether it was carried out. Official servers keep theirs 50 ms.
const SERVICE_IDLE: Duration = Duration::from_secs(1);

/// Why the appliance cannot start: one line that says what and, where it can, how to mend it.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Puts something in front of the token, such as a limit of its rate.
pub type TokenFilter = Arc<dyn Fn(Box<dyn Token>) -> Box<dyn Token> + Send + Sync>;

/// What became of a new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconfigured {
    /// All of it is in force.
    InForce,
    /// It is in order, and changes what only a start can: ports, threads, directories.
    NeedsSuccessor,
}

/// All that a start needs and that does not keep a running server from its work: configuration, trust at hand, registry,
/// keys.
pub struct Preparation {
    config: Arc<Config>,
    clock: SharedClock,
    filter: TokenFilter,
    control: tokio::runtime::Runtime,
    trust: SharedTrust,
    health: Arc<HealthSwitches>,
    registry: Arc<ArcSwap<Registry>>,
    signer: SignerHandle,
    internal: Option<InternalTls>,
    spools: SpoolSpace,
    cage: Cage,
    bounds: Bounds,
}

impl Preparation {
    /// Reads everything. `filter` is put in front of the token.
    ///
    /// # Errors
    /// What somebody has to mend before this server can run.
    pub fn new(config: Config, clock: SharedClock, filter: TokenFilter) -> Result<Self, StartError> {
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
        let cage = Cage::of_this_process();
        let bounds = Bounds::of(&config, &cage);
        let (internal, spools) = (internal_tls(&config)?, spools(&config, &bounds)?);
        Ok(Self {
            config,
            clock,
            filter,
            control,
            trust,
            health,
            registry,
            signer,
            internal,
            spools,
            cage,
            bounds,
        })
    }

    /// Another process writes the message log.
    pub fn log_is_in_use(&self) -> bool {
        crate::log::is_in_use(&self.config.log.dir)
    }

    /// What it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Looks at the message log without taking it, as a successor does while the server before it still writes.
    ///
    /// # Errors
    /// It is in another version of the format, or cannot be read.
    pub fn look_at_log(&self) -> Result<(), StartError> {
        if self.config.log.dir.exists() {
            LogReader::open(&self.config.log.dir)?;
        }
        Ok(())
    }

    /// Takes the log and starts everything; when it returns the ports are open. Ports in `held` are not opened again.
    ///
    /// # Errors
    /// The log is in use or cannot be read, or a port cannot be opened.
    pub fn start(self, mut held: Held) -> Result<Appliance, StartError> {
        let Self { config, clock, filter, control, trust, health, registry, signer, internal, .. } = self;
        let (spools, cage, bounds) = (self.spools, self.cage, self.bounds);
        let ((admin_socket, admin_name), sockets) =
            (ports::admin(&config, &mut held), ports::of(&config, &mut held));
        held.all_taken()?;
        // Whoever holds sockets has clients waiting in them.
        let hurry = sockets.iter().any(ports::Port::is_held);
        let keys = read_record_keys(&config.log)?;
        let log = open_log(&config, keys.clone(), &clock)?;
        let authentication: Arc<ArcSwapOption<Authentication>> = Arc::default();
        let fetchers = Arc::new(metrics::Fetchers::new(&config));
        let stamper = start_control(
            &control,
            &config,
            &clock,
            &trust,
            &signer,
            &log,
            &authentication,
            &fetchers,
            hurry,
        );
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
            peer_tls: tls::to_servers(&authentication, &config.tls),
            service_tls: tls::to_services(internal.as_ref().map(|internal| &internal.identity)),
            internal_certificate: internal.as_ref().map(|internal| internal.certificate.clone()),
            authentication: Arc::clone(&authentication),
            control: control.handle().clone(),
            spools,
            counters: Counters::default(),
            health,
            environment: monitoring::watch_host(&control, &config, &shared_clock),
            verified: SharedVerificationCache::default(),
            encryptions: Encryptions::default(),
            monitoring: Arc::clone(&monitoring),
        });
        let countdowns = Arc::new(Countdowns::new(&config));
        countdowns.look(&shared, &fetchers);
        let keeping = Keeping::new(&config, &log, keys.as_deref())?;
        let figures = Arc::new(keeping.figures());
        let admin = admin::serve(&control, &shared, &fetchers, &countdowns, figures, admin_socket)?;
        control.spawn(countdowns::keep(Arc::clone(&countdowns), Arc::clone(&shared), fetchers));
        let ports = ports::listeners(&config, sockets, &authentication, &trust, internal.as_ref());
        let (names, listeners): (Vec<_>, Vec<_>) = ports.into_iter().unzip();
        let admission = Admission::default();
        let memory = shared.spools.memory().clone();
        let workers = start_workers(&config, listeners, Arc::clone(&shared), &bounds, admission.clone())?;
        let Bounds { message_bytes, connections, .. } = bounds;
        tracing::info!(cpus = cage.cpus, memory = cage.memory_bytes, message_bytes, connections, "bounds");
        control.spawn(bounds::guard(cage, memory, admission));
        for (role, address) in workers.addresses() {
            tracing::info!(?role, %address, "listening");
        }
        let archiver = keeping.start(&control, &config, &log, shared_clock)?;
        Ok(Appliance {
            workers,
            names,
            admin,
            admin_name,
            control,
            log,
            signer,
            config,
            shared,
            filter,
            recording,
            archiver,
            countdowns,
        })
    }
}

/// A running security server.
pub struct Appliance {
    workers: Workers,
    /// Of each listener of the workers.
    names: Vec<String>,
    admin: admin::AdminPorts,
    admin_name: String,
    control: tokio::runtime::Runtime,
    log: LogHandle,
    signer: SignerHandle,
    config: Arc<Config>,
    shared: Arc<Shared>,
    filter: TokenFilter,
    recording: monitoring::Recording,
    archiver: ArchiverTask,
    countdowns: Arc<Countdowns>,
}

impl Appliance {
    /// Starts everything; when it returns the ports are open.
    pub fn start(config: Config, clock: SharedClock) -> Result<Self, StartError> {
        Self::start_with(config, clock, Arc::new(|token| token))
    }

    /// As [`Self::start`], with something in front of the token.
    pub fn start_with(config: Config, clock: SharedClock, filter: TokenFilter) -> Result<Self, StartError> {
        Preparation::new(config, clock, filter)?.start(Held::default())
    }

    /// What it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What keeps messages from passing now, in words; `None` when one could pass.
    pub fn waits_for(&self) -> Option<String> {
        readiness::waits_for(&self.shared)
    }

    /// One line about how it fares.
    pub fn status(&self) -> String {
        readiness::status_line(
            self.waits_for().as_deref(),
            self.countdowns.deadline(self.shared.clock.now()).as_deref(),
        )
    }

    /// Signs of life of the workers.
    pub fn pulse(&self) -> Pulse {
        self.workers.pulse().clone()
    }

    /// Reads the tokens again. The old keys stay in force when they cannot be read.
    pub fn reload(&self) -> Result<(), StartError> {
        self.reload_keys(&self.config)
    }

    /// Takes over a configuration as far as a running server can. The old one stays in force when it is broken.
    ///
    /// # Errors
    /// What is broken.
    pub fn reconfigure(&self, config: &Config) -> Result<Reconfigured, StartError> {
        let settled = Config { logging: self.config.logging.clone(), ..config.clone() };
        let settled = Config {
            signer: config::Signer { pin: self.config.signer.pin.clone(), ..settled.signer },
            ..settled
        };
        let internal = internal_tls(config)?.map(|internal| internal.certificate);
        if settled != *self.config || internal != self.shared.internal_certificate {
            return Ok(Reconfigured::NeedsSuccessor);
        }
        self.reload_keys(config)?;
        Ok(Reconfigured::InForce)
    }

    fn reload_keys(&self, config: &Config) -> Result<(), StartError> {
        let token = (self.filter)(open_token(config)?);
        self.signer.reload(&[token.as_ref()])?;
        tracing::info!("tokens read again");
        Ok(())
    }

    /// No key is there yet, for one of its two purposes at least.
    pub fn has_no_keys(&self) -> bool {
        let keys = self.signer.keys();
        let purposes = [KeyPurpose::Authentication, KeyPurpose::Signing];
        let there =
            |purpose| keys.iter().any(|key| key.purpose == Some(purpose) && !key.certificates.is_empty());
        !purposes.into_iter().all(there)
    }

    /// Reads the tokens once more, without a word.
    ///
    /// # Errors
    /// As [`Self::reload`].
    pub fn look_for_keys(&self) -> Result<(), StartError> {
        let token = (self.filter)(open_token(&self.config)?);
        Ok(self.signer.reload(&[token.as_ref()])?)
    }

    /// The runtime of the control plane.
    pub fn control(&self) -> &tokio::runtime::Handle {
        self.control.handle()
    }

    /// All listening sockets once more, for a successor: from the end of this server on connections wait in them.
    pub fn sockets(&self) -> Vec<(String, TcpListener)> {
        let of_workers = self.names.iter().zip(self.workers.duplicate_sockets());
        let named = |(name, sockets): (&String, Vec<TcpListener>)| {
            let name = name.clone();
            sockets.into_iter().map(move |socket| (name.clone(), socket))
        };
        let mut all: Vec<_> = of_workers.flat_map(named).collect();
        all.extend(self.admin.duplicate().map(|socket| (self.admin_name.clone(), socket)));
        all
    }

    /// Finishes what runs, within a bounded time, and closes the log.
    pub fn stop(self) {
        self.workers.leave();
        drop(self.admin);
        self.workers.stop();
        self.workers.join();
        self.archiver.stop();
        self.recording.finish(&self.control);
        self.control.shutdown_timeout(Duration::from_secs(2));
        self.log.close();
        tracing::info!("stopped");
    }
}

fn start_workers(
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
    let workers = run_workers(settings, move |_| {
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
