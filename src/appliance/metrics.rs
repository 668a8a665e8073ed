//! Figures of all rooms as one text.

use std::sync::Arc;

use super::archive_metrics::Archiving;
use super::process;
use crate::config::Config;
use crate::control::countdown::Countdown;
use crate::control::{ClockDifference, HttpFetcher, MetricsText, Timeouts, TlsChecks, seconds};
use crate::exchange::{DURATION_CLASSES_US, Phase, Shared};
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
    /// What the stamps show of the clock.
    pub clock: Arc<ClockDifference>,
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
            clock: Arc::default(),
        }
    }
}

/// The text of the moment.
pub(super) fn render(
    shared: &Shared,
    fetchers: &Fetchers,
    present: &[Countdown],
    archiving: &Archiving,
) -> String {
    let mut text = MetricsText::default();
    exchanges(&mut text, shared);
    signing(&mut text, shared);
    log(&mut text, shared);
    super::archive_metrics::render(&mut text, shared, archiving);
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
    stops(&mut text, present);
    process::render(&mut text, shared);
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

fn stops(text: &mut MetricsText, present: &[Countdown]) {
    // Prometheus has a word for never.
    let left = |countdown: &Countdown| countdown.left_secs.map_or("+Inf".to_owned(), |secs| secs.to_string());
    text.gauges(
        "hermod_stops_in_seconds",
        "Time until messages stop for this cause at the present rate; +Inf when they do not.",
        "cause",
        present.iter().map(|countdown| (countdown.cause.name(), left(countdown))),
    );
    text.gauges(
        "hermod_countdown_running",
        "1 while nothing moves that time away: a source is silent, a disk fills, a clock drifts, time passes.",
        "cause",
        present.iter().map(|countdown| (countdown.cause.name(), u8::from(countdown.running))),
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
    text.counters(
        "hermod_errors_total",
        "Messages refused by this server, by the full code that was told.",
        "code",
        shared.counters.codes(),
    );
    let phases = || Phase::ALL.iter().zip(&figures.phases);
    text.counters(
        "hermod_phase_seconds_total",
        "Time that exchanges spent in a phase.",
        "phase",
        phases().map(|(phase, durations)| (phase.name(), seconds(durations.us))),
    );
    text.counters(
        "hermod_phases_total",
        "How often exchanges went through a phase.",
        "phase",
        phases().map(|(phase, durations)| (phase.name(), durations.count())),
    );
    text.durations(
        "hermod_phase_duration_seconds",
        "How long exchanges spent in a phase.",
        "phase",
        &DURATION_CLASSES_US,
        phases().map(|(phase, durations)| (phase.name(), &durations.classes[..], durations.us)),
    );
    let connections = worker::connections();
    text.counters(
        "hermod_connections_total",
        "Connections to other servers and services that a message took, by whether they were made for it.",
        "kind",
        [("made", connections.made), ("kept", connections.kept)],
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
