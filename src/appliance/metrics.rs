//! Figures of all rooms as one text.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::control::{Admin, HttpFetcher, MetricsText, Timeouts, TlsChecks, seconds};
use crate::exchange::{Phase, Shared};
use crate::signer::BATCH_SIZE_CLASSES;
use crate::{crypto, worker};

/// The clients of the control plane, which count their calls.
pub(super) struct Fetchers {
    /// Of the global configuration.
    pub global_conf: Arc<HttpFetcher>,
    /// Of OCSP responses.
    pub ocsp: Arc<HttpFetcher>,
    /// Of time-stamps.
    pub tsa: Arc<HttpFetcher>,
}

impl Fetchers {
    pub(super) fn new(config: &Config) -> Self {
        let fetcher = |connect, read| Arc::new(HttpFetcher::new(Timeouts::from_millis(connect, read)));
        let (global_conf, ocsp, tsa) = (&config.globalconf, &config.ocsp, &config.timestamp);
        Self {
            global_conf: Arc::new(HttpFetcher::with_checks(
                Timeouts::from_millis(global_conf.connect_timeout_ms, global_conf.read_timeout_ms),
                TlsChecks {
                    chain: global_conf.tls_verification,
                    host_name: global_conf.hostname_verification,
                },
            )),
            ocsp: fetcher(ocsp.connect_timeout_ms, ocsp.read_timeout_ms),
            tsa: fetcher(tsa.connect_timeout_ms, tsa.read_timeout_ms),
        }
    }
}

/// The admin port while it is served.
pub(super) struct AdminPort {
    task: tokio::task::JoinHandle<()>,
    socket: std::net::TcpListener,
}

impl AdminPort {
    /// The socket once more, for a successor.
    pub(super) fn duplicate(&self) -> Option<std::net::TcpListener> {
        self.socket.try_clone().ok()
    }
}

impl Drop for AdminPort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens the admin port, where one is configured; `held` listens on it already.
pub(super) fn serve(
    control: &tokio::runtime::Runtime,
    shared: Arc<Shared>,
    fetchers: Fetchers,
    held: Option<std::net::TcpListener>,
) -> Result<Option<AdminPort>, StartError> {
    let Some(address) = shared.config.admin.listen else { return Ok(None) };
    let health = Arc::clone(&shared.health);
    let source = Arc::new(move || render(&shared, &fetchers));
    let switch = Arc::new(move |on| health.set_maintenance(on));
    let failed = |error: std::io::Error| format!("admin port {address} cannot be opened: {error}");
    let admin = match held {
        Some(socket) => Admin::on(socket, source, switch),
        None => Admin::bind(address, source, switch),
    };
    let admin = admin.map_err(failed)?;
    let socket = admin.duplicate().map_err(failed)?;
    tracing::info!(%address, "metrics at /metrics");
    let task = control.spawn(async move {
        if let Err(error) = admin.serve().await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(Some(AdminPort { task, socket }))
}

fn render(shared: &Shared, fetchers: &Fetchers) -> String {
    let mut text = MetricsText::default();
    exchanges(&mut text, shared);
    signing(&mut text, shared);
    log(&mut text, shared);
    let (stored, dropped) = shared.monitoring.figures();
    text.counters(
        "hermod_monitoring_records_total",
        "Operational monitoring records, by what became of them.",
        "outcome",
        [("stored", stored), ("dropped", dropped)],
    );
    let handshakes = worker::tls::handshakes();
    text.counters(
        "hermod_tls_handshakes_total",
        "TLS handshakes that succeeded.",
        "kind",
        [
            ("accepted_full", handshakes.accepted_full),
            ("accepted_resumed", handshakes.accepted_resumed),
            ("made_full", handshakes.made_full),
            ("made_resumed", handshakes.made_resumed),
        ],
    );
    text.counters(
        "hermod_fetches_total",
        "Requests of the control plane to trust services.",
        "source",
        [
            ("global_conf", fetchers.global_conf.calls()),
            ("ocsp", fetchers.ocsp.calls()),
            ("tsa", fetchers.tsa.calls()),
        ],
    );
    countdowns(&mut text, shared);
    text.finish()
}

/// What will stop messages when nothing is done about it, in seconds from now.
fn countdowns(text: &mut MetricsText, shared: &Shared) {
    let (now, trust) = (shared.clock.now(), shared.trust.load());
    let left = |until: crate::time::UnixTime| until.secs() - now.secs();
    text.gauge(
        "hermod_global_conf_expires_in_seconds",
        "Time until the global configuration expires; negative after that. Renewed all the time while its source is there.",
        trust.global_conf.expires().map_or(0, left),
    );
    let own = shared.authentication.load();
    let own = own.iter().flat_map(|own| &own.chain).filter_map(|certificate| trust.ocsp.get(certificate));
    let usable = own.map(|answer| left(answer.usable_until(&trust.global_conf))).min();
    text.gauge(
        "hermod_ocsp_usable_seconds",
        "Time until the OCSP answers about the own authentication certificate get too old; 0 without any.",
        usable.unwrap_or(0),
    );
    let status = shared.log.timestamp_status();
    let failing = status.failing_since().map_or(0, |since| now.secs() - since.secs());
    text.gauge(
        "hermod_timestamping_failing_seconds",
        "How long time-stamping has been failing; 0 if it does not.",
        failing,
    );
    let allowed = i64::try_from(shared.config.timestamp.failure_secs_max).unwrap_or(i64::MAX);
    text.gauge(
        "hermod_timestamping_refusal_in_seconds",
        "Time until messages are refused because time-stamping fails; all of it while it works, 0 when it may fail for ever.",
        status.refusal_in_secs(now).unwrap_or(allowed),
    );
}

fn exchanges(text: &mut MetricsText, shared: &Shared) {
    let figures = shared.counters.read();
    text.counters(
        "hermod_exchanges_total",
        "Exchanges begun, by the side that this server is on.",
        "side",
        [("consumer", figures.consumer_exchanges), ("provider", figures.provider_exchanges)],
    );
    let spools = &shared.spools;
    let (memory, disk) = (spools.memory().taken(), spools.disk().taken());
    text.gauge("hermod_message_memory_bytes", "Memory that large messages under way take.", memory);
    text.gauge("hermod_message_disk_bytes", "Disk that bodies under way take.", disk);
    text.counter("hermod_refusals_total", "Messages refused.", figures.errors);
    text.counter("hermod_unsigned_faults_total", "Faults of peers delivered.", figures.unsigned_faults);
    text.counter(
        "hermod_repeated_requests_total",
        "Requests of other servers whose signed bytes had come before.",
        figures.repeated_requests,
    );
    text.counters(
        "hermod_verified_messages_total",
        "Received messages by whether their signature document was new or known.",
        "document",
        [("new", figures.verified_first), ("known", figures.verified_again)],
    );
    text.counter(
        "hermod_public_key_operations_total",
        "Signature checks of messages, certificates, OCSP responses and time-stamps.",
        crypto::verifications(),
    );
    let phases = || Phase::ALL.iter().zip(figures.phases);
    text.counters(
        "hermod_phase_seconds_total",
        "Time that exchanges spent in a phase.",
        "phase",
        phases().map(|(phase, (_, us))| (phase.name(), seconds(us))),
    );
    text.counters(
        "hermod_phases_total",
        "How often exchanges went through a phase.",
        "phase",
        phases().map(|(phase, (count, _))| (phase.name(), count)),
    );
}

fn signing(text: &mut MetricsText, shared: &Shared) {
    let figures = shared.signer.statistics();
    text.counter("hermod_signed_messages_total", "Messages signed.", figures.messages);
    text.counter("hermod_signatures_total", "Private-key operations that signed them.", figures.signatures);
    text.counter(
        "hermod_signing_failures_total",
        "Messages that could not be signed.",
        figures.failed_messages,
    );
    text.counter("hermod_signing_expired_total", "Messages that waited too long.", figures.expired_messages);
    text.counter("hermod_signing_seconds_total", "Time spent making signatures.", seconds(figures.busy_us));
    text.histogram(
        "hermod_signature_messages",
        "Messages under one signature.",
        &BATCH_SIZE_CLASSES,
        &figures.batch_sizes,
        figures.messages,
    );
}

fn log(text: &mut MetricsText, shared: &Shared) {
    let figures = shared.log.statistics();
    text.counters(
        "hermod_log_records_total",
        "Records made durable.",
        "kind",
        [("message", figures.messages), ("timestamp", figures.timestamps)],
    );
    text.counter("hermod_log_commits_total", "Group commits, each with one fdatasync.", figures.commits);
    text.counter("hermod_log_bytes_total", "Bytes of all group commits.", figures.bytes);
    text.counter("hermod_log_sync_seconds_total", "Time in fdatasync.", seconds(figures.sync_us));
    text.counter("hermod_log_failures_total", "Records that could not be written.", figures.failures);
    text.gauge("hermod_log_largest_commit", "Records of the largest group commit.", figures.largest_commit);
    let unstamped = shared.log.reader().unstamped_count();
    text.gauge("hermod_log_unstamped_records", "Message records without a time-stamp.", unstamped);
}
