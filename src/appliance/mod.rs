//! Builds both planes from the configuration and runs them until told to stop.
//!
//! The order of starting is the order in which things depend on each other: trust, registry, keys, log, then the workers
//! that need them all. Stopping goes the other way: the workers finish what runs, then the log is closed.

mod authentication;
mod examine;
mod internal_tls;
mod stamping;
mod tls;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

pub use examine::{Finding, examine};
pub use internal_tls::{InternalTls, load_or_make};

use crate::config::{Config, Pin, Runtime, Token as TokenKind};
use crate::control::{
    ConfigurationClient, HttpFetcher, OcspFetcher, OcspParts, Randomness, RegistryDb, SharedTrust,
    SystemRandomness, Timeouts, TsaClient, timestamping,
};
use crate::crypto::Certificate;
use crate::exchange::{
    Authentication, Counters, FastestAddresses, PeerOcsp, Router, Shared, SystemEntropy, Worker,
};
use crate::log::{LogConfig, LogHandle, Timestamper};
use crate::registry::Registry;
use crate::signer::{BatchConfig, CertificateStatus, OfficialToken, SignerHandle, SoftwareToken, Token};
use crate::time::SharedClock;
use crate::trust::{GlobalConf, TrustSnapshot};
use crate::worker::{
    ListenerConfig, Pool, PoolOptions, Role, RuntimeChoice, ServerTimeouts, WorkerConfig, Workers, choose,
    run_workers,
};

/// Why the appliance cannot start: one line that says what and, where it can, how to mend it.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A running security server.
pub struct Appliance {
    workers: Workers,
    control: tokio::runtime::Runtime,
    log: LogHandle,
    signer: SignerHandle,
    config: Arc<Config>,
}

impl Appliance {
    /// Starts everything; when it returns the ports are open.
    pub fn start(config: Config, clock: SharedClock) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_all()
            .build()?;
        let trust = load_trust(&config);
        let registry = control.block_on(open_registry(&config))?;
        let signer = open_signer(&config, &trust, &clock)?;
        let log = open_log(&config, &clock)?;
        let authentication: Arc<ArcSwapOption<Authentication>> = Arc::default();
        let stamper = start_control(&control, &config, &clock, &trust, &signer, &log, &authentication);
        let internal = internal_tls(&config)?;
        let shared = Arc::new(Shared {
            config: Arc::clone(&config),
            clock,
            entropy: Arc::new(SystemEntropy::default()),
            trust: Arc::clone(&trust),
            registry,
            signer: signer.clone(),
            log: log.clone(),
            stamper,
            peer_ocsp: PeerOcsp::default(),
            peer_tls: tls::to_servers(&authentication),
            service_tls: tls::to_services(internal.as_ref().map(|internal| &internal.identity)),
            internal_certificate: internal.as_ref().map(|internal| internal.certificate.clone()),
            authentication: Arc::clone(&authentication),
            control: control.handle().clone(),
            spool_directory: spool_directory(&config)?,
            counters: Counters::default(),
        });
        let listeners = listeners(&config, &authentication, &trust, internal.as_ref());
        let workers = start_workers(&config, listeners, shared)?;
        for (role, address) in workers.addresses() {
            tracing::info!(?role, %address, "listening");
        }
        Ok(Self { workers, control, log, signer, config })
    }

    /// Runs a future of the control plane, such as the wait for a signal.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.control.block_on(future)
    }

    /// Reads the tokens again. The old keys stay in force when they cannot be read.
    pub fn reload(&self) -> Result<(), StartError> {
        let token = open_token(&self.config)?;
        self.signer.reload(&[token.as_ref()])?;
        tracing::info!("tokens read again");
        Ok(())
    }

    /// Finishes what runs, within a bounded time, and closes the log.
    pub fn stop(self) {
        self.workers.stop();
        self.workers.join();
        self.control.shutdown_timeout(Duration::from_secs(2));
        self.log.close();
        tracing::info!("stopped");
    }
}

// What was downloaded before is used until something newer comes.
fn load_trust(config: &Config) -> SharedTrust {
    let global_conf = GlobalConf::load_dir(&config.globalconf.dir).unwrap_or_else(|error| {
        tracing::info!("no global configuration at hand yet: {}", error.text());
        GlobalConf::default()
    });
    let snapshot = TrustSnapshot { global_conf: Arc::new(global_conf), ..TrustSnapshot::default() };
    Arc::new(ArcSwap::from_pointee(snapshot))
}

async fn open_registry(config: &Config) -> Result<Arc<ArcSwap<Registry>>, StartError> {
    let failed = |error: &dyn std::fmt::Display| format!("registry {}: {error}", config.registry.display());
    if let Some(folder) = config.registry.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let mut db = RegistryDb::open(&config.registry).await.map_err(|error| failed(&error))?;
    let registry = Arc::new(ArcSwap::from_pointee(db.load().await.map_err(|error| failed(&error))?));
    tracing::info!(clients = registry.load().clients().len(), "registry loaded");
    tokio::spawn(db.watch(Arc::clone(&registry)));
    Ok(registry)
}

fn open_token(config: &Config) -> Result<Box<dyn Token>, StartError> {
    let pin = match &config.signer.pin {
        Some(Pin::Text(pin)) => pin.clone(),
        Some(Pin::File(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("PIN file {} cannot be read: {error}", file.display()))?;
            text.trim_end_matches(['\r', '\n']).to_string()
        }
        None => return Err("no PIN: give signer.pin_file or signer.pin in the configuration".into()),
    };
    Ok(match &config.signer.token {
        TokenKind::Hermod { dir } => Box::new(SoftwareToken::open(dir, &pin)?),
        TokenKind::Official { keyconf } => Box::new(OfficialToken::new(keyconf, &pin)),
    })
}

fn open_signer(
    config: &Config,
    trust: &SharedTrust,
    clock: &SharedClock,
) -> Result<SignerHandle, StartError> {
    let token = open_token(config)?;
    let batch = BatchConfig {
        requests_max: config.signer.batch_messages_max,
        linger_us_max: u32::try_from(config.signer.linger_us_max).unwrap_or(u32::MAX),
        ..BatchConfig::default()
    };
    let signer = SignerHandle::start(&[token.as_ref()], Arc::clone(trust), Arc::clone(clock), batch)?;
    tracing::info!(keys = signer.keys().len(), "token opened");
    Ok(signer)
}

fn open_log(config: &Config, clock: &SharedClock) -> Result<LogHandle, StartError> {
    let settings = LogConfig {
        segment_bytes_max: config.log.segment_bytes_max,
        body_bytes_max: config.log.body_bytes_max,
        truncated_body_allowed: config.log.truncated_body_allowed,
        timestamp_failure_period_secs: u32::try_from(config.timestamp.failure_secs_max).unwrap_or(u32::MAX),
        ..LogConfig::new(config.log.dir.clone(), config.server_id.clone())
    };
    let log = LogHandle::open(settings, Arc::clone(clock))?;
    let (messages, timestamps) = log.reader().counts();
    tracing::info!(messages, timestamps, unstamped = log.reader().unstamped_count(), "message log opened");
    Ok(log)
}

/// Starts the tasks of the control plane. The first global configuration and OCSP answers are waited for, for a
/// bounded time, so that the first message finds them.
fn start_control(
    control: &tokio::runtime::Runtime,
    config: &Arc<Config>,
    clock: &SharedClock,
    trust: &SharedTrust,
    signer: &SignerHandle,
    log: &LogHandle,
    authentication: &Arc<ArcSwapOption<Authentication>>,
) -> Arc<dyn crate::exchange::StampNow> {
    let fetcher = |connect, read| Arc::new(HttpFetcher::new(Timeouts::from_millis(connect, read)));
    let settings = &config.globalconf;
    let fetch = fetcher(settings.connect_timeout_ms, settings.read_timeout_ms);
    let randomness = Arc::new(SystemRandomness);
    let mut client = ConfigurationClient::new(
        settings.clone(),
        fetch,
        Arc::clone(trust),
        Arc::clone(clock),
        Arc::clone(&randomness) as Arc<dyn Randomness>,
    );
    let fetch = fetcher(config.ocsp.connect_timeout_ms, config.ocsp.read_timeout_ms);
    let ocsp = Arc::new(OcspFetcher::new(OcspParts {
        fetch,
        trust: Arc::clone(trust),
        clock: Arc::clone(clock),
        randomness,
        settings: config.ocsp.clone(),
    }));
    let fetch = fetcher(config.timestamp.connect_timeout_ms, config.timestamp.read_timeout_ms);
    let urls = config.timestamp.urls.clone();
    let tsa = Arc::new(TsaClient::new(fetch, Arc::clone(trust), Arc::clone(clock), urls));
    let timestamper = Arc::new(Timestamper::new(
        log.clone(),
        crate::crypto::DigestAlgorithm::Sha512,
        config.timestamp.records_max,
    ));
    let (own, watched) = tokio::sync::watch::channel(own_certificates(signer));
    control.block_on(async {
        client.update_once().await;
        for certificate in ocsp.targets(&own.borrow().clone()) {
            if ocsp.take_stored(&certificate).is_none()
                && config.ocsp.retrieval
                && let Err(error) = ocsp.fetch_now(&certificate).await
            {
                tracing::warn!(subject = %certificate.subject(), %error, "no OCSP response yet");
            }
        }
    });
    let _ = authentication::refresh(signer, &config.server_id, authentication);
    control.spawn(client.run());
    control.spawn(ocsp.run(watched));
    control.spawn(authentication::keep(signer.clone(), config.server_id.clone(), Arc::clone(authentication)));
    control.spawn(stamping::keep_provider_known(log.clone(), Arc::clone(&tsa)));
    log.timestamp_status().set_provider_configured(!tsa.urls().is_empty());
    let (loop_stamper, loop_tsa) = (Arc::clone(&timestamper), Arc::clone(&tsa));
    let (loop_trust, loop_settings) = (Arc::clone(trust), config.timestamp.clone());
    control.spawn(async move {
        timestamping::run(&loop_stamper, &*loop_tsa, &loop_trust, &loop_settings).await;
    });
    control.spawn(follow_tokens(signer.clone(), own));
    Arc::new(stamping::OnDemand::new(timestamper, tsa, control.handle().clone()))
}

/// Certificates of all keys whose OCSP answers are needed: active and registered.
fn own_certificates(signer: &SignerHandle) -> Vec<Certificate> {
    let keys = signer.keys();
    let certificates = keys.iter().flat_map(|key| &key.certificates);
    let needed = certificates
        .filter(|found| found.active && found.status == Some(CertificateStatus::Registered))
        .map(|found| found.certificate.clone());
    needed.collect()
}

async fn follow_tokens(signer: SignerHandle, own: tokio::sync::watch::Sender<Vec<Certificate>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let certificates = own_certificates(&signer);
        own.send_if_modified(|known| {
            let changed = *known != certificates;
            if changed {
                *known = certificates;
            }
            changed
        });
    }
}

fn internal_tls(config: &Config) -> Result<Option<InternalTls>, StartError> {
    let name = config.server_id.server_code();
    Ok(Some(load_or_make(&config.tls.internal, &config.tls.internal_password, name)?))
}

fn spool_directory(config: &Config) -> Result<std::path::PathBuf, StartError> {
    let directory = config.root.join("spool");
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("spool directory {}: {error}", directory.display()))?;
    Ok(directory)
}

fn listeners(
    config: &Config,
    authentication: &Arc<ArcSwapOption<Authentication>>,
    trust: &SharedTrust,
    internal: Option<&InternalTls>,
) -> Vec<ListenerConfig> {
    let listen = &config.listen;
    let mut listeners = vec![
        ListenerConfig::new(listen.server, Role::SecurityServer)
            .with_tls(tls::server_port(authentication, trust)),
        ListenerConfig::new(listen.ocsp, Role::OcspResponder),
    ];
    if let Some(address) = listen.consumer_http {
        listeners.push(ListenerConfig::new(address, Role::InformationSystem));
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
        ..ServerTimeouts::default()
    };
    let defaults = WorkerConfig::new(runtime);
    let workers = if config.worker.threads == 0 { defaults.workers } else { config.worker.threads };
    let settings = WorkerConfig { listeners, timeouts, workers, ..defaults };
    let pool =
        PoolOptions { idle_per_target_max: config.proxy.pooled_connections_max, ..PoolOptions::default() };
    let workers = run_workers(settings, move |_| {
        Rc::new(Router::new(Worker {
            shared: Arc::clone(&shared),
            peers: Pool::new(pool),
            services: Pool::new(pool),
            verified: Default::default(),
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
