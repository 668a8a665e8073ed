//! Builds both planes from the configuration and runs them until told to stop.
//!
//! The order of starting is the order in which things depend on each other: trust, registry, keys, log, then the workers
//! that need them all. Stopping goes the other way: the workers finish what runs, then the log is closed. What can be done
//! while another process still has the log and the ports is a [`Preparation`].

mod admin;
mod ahead;
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
mod workers;

pub mod commands;
pub mod succession;
pub mod watchdog;

use std::net::TcpListener;
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
use self::ports::Port;
use self::tasks::start_control;
use self::workers::start_workers;
use crate::config::{self, Config};
use crate::control::SharedTrust;
use crate::control::archive::ArchiverTask;
use crate::crypto::RecordKeys;
use crate::evidence::SharedVerificationCache;
use crate::exchange::download::Encryptions;
use crate::exchange::{Authentication, Counters, HealthSwitches, PeerOcsp, Repeats, Shared, SystemEntropy};
use crate::host::{self, Cage, Held};
use crate::log::LogHandle;
use crate::registry::Registry;
use crate::signer::{KeyPurpose, SignerHandle, Token};
use crate::time::SharedClock;
use crate::worker::{Admission, Pulse, SpoolSpace, Workers};

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
    record_keys: Option<Arc<RecordKeys>>,
    ports: Vec<Port>,
    admin: (Option<TcpListener>, String),
    cage: Cage,
    bounds: Bounds,
}

impl Preparation {
    /// Reads everything. `filter` is put in front of the token. Ports in `held` are not opened again.
    ///
    /// # Errors
    /// What somebody has to mend before this server can run.
    pub fn new(
        config: Config,
        clock: SharedClock,
        filter: TokenFilter,
        mut held: Held,
    ) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let (admin, ports) = (ports::admin(&config, &mut held), ports::of(&config, &mut held));
        held.all_taken()?;
        let record_keys = read_record_keys(&config.log)?;
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .on_thread_start(crate::host::give_way)
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
            record_keys,
            ports,
            admin,
            cage,
            bounds,
        })
    }

    /// Somebody holds a port already: clients may be waiting in it.
    pub fn is_held(&self) -> bool {
        self.admin.0.is_some() || self.ports.iter().any(Port::is_held)
    }

    /// Another process writes the message log.
    pub fn log_is_in_use(&self) -> bool {
        crate::log::is_in_use(&self.config.log.dir)
    }

    /// What it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes the log and starts everything; when it returns the ports are open.
    ///
    /// # Errors
    /// The log is in use or cannot be read, or a port cannot be opened.
    pub fn start(self) -> Result<Appliance, StartError> {
        // Whoever holds sockets has clients waiting in them.
        let hurry = self.ports.iter().any(Port::is_held);
        let Self { config, clock, filter, control, trust, health, registry, signer, internal, .. } = self;
        let (spools, cage, bounds) = (self.spools, self.cage, self.bounds);
        let (keys, sockets, (admin_socket, admin_name)) = (self.record_keys, self.ports, self.admin);
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
            peer_tls: tls::to_servers(&authentication, &config),
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
        let keeping = Keeping::new(&config, log.reader(), keys.as_deref())?;
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
        Preparation::new(config, clock, filter, Held::default())?.start()
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
        // What the service manager holds goes on to take connections.
        let held = self.names.iter().all(|name| !host::is_own(name));
        self.end(held);
    }

    /// The same for a successor that has all [`sockets`](Self::sockets).
    pub fn make_way(self) {
        self.end(true);
    }

    fn end(self, sockets_elsewhere: bool) {
        self.workers.leave(sockets_elsewhere);
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
