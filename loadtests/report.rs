//! What a run comes to: one object for machines, from which the table and the page are made.

use serde::Serialize;

use crate::floor::{Amounts, Costs, Part};
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::null::NullColumn;
use crate::process::Usage;
use crate::proof::Proof;
use crate::recorder::{Figures, Latency};
use crate::scenario::Scenario;

/// Two decimals are more than such figures mean.
pub fn round(value: f64) -> f64 {
    if value.is_finite() { (value * 100.0).round() / 100.0 } else { 0.0 }
}

/// What was read of a server at one moment.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Its own figures.
    pub metrics: Metrics,
    /// The kernel's.
    pub usage: Usage,
}

/// A phase or a step of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseReport {
    /// For people.
    pub name: String,
    /// Messages per second that were meant to be sent, in the mean; absent for callers.
    pub offered_per_second: Option<f64>,
    /// Counts towards the figures of the run.
    pub measured: bool,
    /// Length in seconds.
    pub seconds: f64,
    /// What the generator saw.
    #[serde(flatten)]
    pub figures: Figures,
    /// What each server did meanwhile.
    pub servers: Vec<ServerReport>,
    /// CPU time of the generator, in µs per exchange.
    pub generator_cpu_us: f64,
    /// CPU time of the echo service, in µs per exchange.
    pub service_cpu_us: f64,
}

/// A server in a phase.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerReport {
    /// `ss1`, …
    pub name: String,
    /// CPU time.
    pub cpu_us_per_exchange: f64,
    /// What crypto and system calls alone must cost.
    pub floor_us_per_exchange: f64,
    /// The floor's parts.
    pub floor: Vec<Part>,
    /// Highest resident set so far.
    pub peak_rss_bytes: u64,
    /// Calls of the read and write families; those through io_uring are not among them.
    pub reads_and_writes_per_exchange: f64,
    /// Sleeps and preemptions of its threads.
    pub switches_per_exchange: f64,
    /// Messages signed, per signature.
    pub messages_per_signature: f64,
    /// Signatures and full handshakes.
    pub private_key_operations: f64,
    /// Signature checks of all kinds, TLS left out.
    pub rsa_verifications: f64,
    /// Received messages whose signature document was known already, of all, in percent.
    pub known_documents_percent: f64,
    /// Group commits.
    pub fsyncs: f64,
    /// Mean time of one, in µs.
    pub fsync_us: f64,
    /// Log bytes per message record, signature documents included.
    pub bytes_per_record: f64,
    /// Calls to OCSP responders.
    pub ocsp_calls: f64,
    /// Calls to time-stamping authorities.
    pub tsa_calls: f64,
    /// Full handshakes, both sides.
    pub handshakes_full: f64,
    /// Resumed ones.
    pub handshakes_resumed: f64,
    /// Mean time of an exchange in each phase, in µs: name, time, times per exchange.
    pub phases: Vec<(String, f64, f64)>,
}

const PHASES: [&str; 6] = ["sign", "log", "connect", "peer", "service", "verify"];

impl ServerReport {
    /// From two readings around `exchanges`.
    pub fn new(
        name: &str,
        before: &Reading,
        after: &Reading,
        exchanges: f64,
        costs: Option<&Costs>,
        amounts: Amounts,
    ) -> Self {
        let metrics = &after.metrics - &before.metrics;
        let usage = after.usage.since(&before.usage);
        let per = |value: f64| round(value / exchanges.max(1.0));
        // A message is a request or a response: an exchange has two.
        let per_10k = |value: f64| round(value / exchanges.max(1.0) * 5_000.0);
        let get = |name: &str| metrics.get(name);
        let kind = |kind: &str| metrics.labelled("hermod_tls_handshakes_total", "kind", kind);
        let signatures = get("hermod_signatures_total");
        let full = kind("accepted_full") + kind("made_full");
        let checks = get("hermod_public_key_operations_total");
        let document = |of: &str| metrics.labelled("hermod_verified_messages_total", "document", of);
        let records = metrics.labelled("hermod_log_records_total", "kind", "message");
        let commits = get("hermod_log_commits_total");
        let amounts = Amounts {
            signatures: signatures / exchanges.max(1.0),
            verifications: checks / exchanges.max(1.0),
            ..amounts
        };
        let floor = costs.map(|costs| costs.floor(&amounts)).unwrap_or_default();
        Self {
            name: name.to_owned(),
            cpu_us_per_exchange: per(usage.cpu_us),
            floor_us_per_exchange: round(floor.iter().map(|part| part.us).sum()),
            floor,
            peak_rss_bytes: usage.peak_rss_bytes,
            reads_and_writes_per_exchange: per(usage.reads_and_writes as f64),
            switches_per_exchange: per(usage.switches as f64),
            messages_per_signature: round(get("hermod_signed_messages_total") / signatures.max(1.0)),
            private_key_operations: per_10k(signatures + full),
            rsa_verifications: per_10k(checks),
            known_documents_percent: round(
                100.0 * document("known") / (document("known") + document("new")).max(1.0),
            ),
            fsyncs: per_10k(commits),
            fsync_us: round(get("hermod_log_sync_seconds_total") * 1e6 / commits.max(1.0)),
            bytes_per_record: round(get("hermod_log_bytes_total") / records.max(1.0)),
            ocsp_calls: per_10k(metrics.labelled("hermod_fetches_total", "source", "ocsp")),
            tsa_calls: per_10k(metrics.labelled("hermod_fetches_total", "source", "tsa")),
            handshakes_full: per_10k(full),
            handshakes_resumed: per_10k(kind("accepted_resumed") + kind("made_resumed")),
            phases: PHASES
                .iter()
                .filter_map(|phase| {
                    let count = metrics.labelled("hermod_phases_total", "phase", phase);
                    let seconds = metrics.labelled("hermod_phase_seconds_total", "phase", phase);
                    (count > 0.0).then(|| ((*phase).to_owned(), round(seconds * 1e6 / count), per(count)))
                })
                .collect(),
        }
    }
}

/// Figures per 10,000 messages of the server that needs most.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs)]
pub struct Per10k {
    pub private_key_operations: f64,
    pub rsa_verifications: f64,
    pub fsyncs: f64,
    pub ocsp_calls: f64,
    pub tsa_calls: f64,
    pub handshakes_full: f64,
    pub handshakes_resumed: f64,
}

/// The whole run. The figures at the top are those of the last measured phase.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Scenario.
    pub scenario: String,
    /// What it is to show.
    pub about: String,
    /// Everything was as it must be: what was answered is proved, and nothing was wrong.
    pub valid: bool,
    /// Why not.
    pub invalid_because: Vec<String>,
    /// Seed of arrivals and sizes.
    pub seed: u64,
    /// Where.
    pub machine: Machine,
    /// Right answers per second in the last measured phase.
    pub exchanges_per_second: f64,
    /// Highest rate that the servers could follow, where a sweep looked for it.
    pub knee_per_second: Option<f64>,
    /// Messages of all phases without the right answer, refused ones left out where the scenario accepts them.
    pub errors: u64,
    /// Messages of all phases that were refused.
    pub refused: u64,
    /// Of the last measured phase.
    pub latency_ms: Latency,
    /// Names of the classes of sizes.
    pub classes: Vec<String>,
    /// Of the worse server.
    pub messages_per_signature: f64,
    /// Of the worse server.
    pub bytes_per_record: f64,
    /// Of the worse server.
    pub per_10k_messages: Per10k,
    /// Of the last measured phase.
    pub servers: Vec<ServerReport>,
    /// Cost of one signature here, in µs.
    pub signature_us: f64,
    /// All phases and steps.
    pub phases: Vec<PhaseReport>,
    /// The logs' judgement; absent when their servers are not ours.
    pub proof: Option<Proof>,
    /// The same load without signing and log.
    pub null: NullColumn,
    /// Exchanges per second in relation to the null column, at the knee where a sweep looked for it.
    pub ratio_to_null: Option<f64>,
    /// What the ratio is of: `knee`, or the name of a phase.
    pub ratio_to_null_of: String,
    /// What the servers' workers run on.
    pub runtime: String,
}

impl Report {
    /// Fills what follows from the phases.
    pub fn sum_up(&mut self, scenario: &Scenario) {
        let all = |count: fn(&Figures) -> u64| -> u64 {
            self.phases.iter().map(|phase| count(&phase.figures)).sum()
        };
        let (failed, wrong) = (all(|figures| figures.failed), all(|figures| figures.wrong));
        self.refused = all(|figures| figures.refused);
        // A sweep goes beyond the knee on purpose, where refusals are what is wanted.
        let accepted = scenario.accept.refusals || scenario.sweep.is_some();
        self.errors = failed + wrong + if accepted { 0 } else { self.refused };
        let Some(phase) = self.phases.iter().rev().find(|phase| phase.measured) else { return };
        let servers = &phase.servers;
        let worst = |of: fn(&ServerReport) -> f64| servers.iter().map(of).fold(0.0, f64::max);
        self.exchanges_per_second = round(phase.figures.achieved_per_second);
        self.latency_ms = phase.figures.latency_ms;
        self.messages_per_signature =
            servers.iter().map(|s| s.messages_per_signature).reduce(f64::min).unwrap_or(0.0);
        self.bytes_per_record = worst(|server| server.bytes_per_record);
        self.per_10k_messages = Per10k {
            private_key_operations: worst(|server| server.private_key_operations),
            rsa_verifications: worst(|server| server.rsa_verifications),
            fsyncs: worst(|server| server.fsyncs),
            ocsp_calls: worst(|server| server.ocsp_calls),
            tsa_calls: worst(|server| server.tsa_calls),
            handshakes_full: worst(|server| server.handshakes_full),
            handshakes_resumed: worst(|server| server.handshakes_resumed),
        };
        self.servers.clone_from(servers);
    }

    /// Sets the figures against those of the null column.
    pub fn compare(&mut self, mut null: NullColumn) {
        null.compare(&self.phases, self.knee_per_second);
        (self.ratio_to_null, self.ratio_to_null_of) = match (&null.ratios, null.compared()) {
            (Some(ratios), _) if ratios.knee_per_second.is_some() => {
                (ratios.knee_per_second, "knee".to_owned())
            }
            (_, Some(phase)) => (phase.ratios.as_ref().map(|r| r.exchanges_per_second), phase.name.clone()),
            _ => (None, String::new()),
        };
        self.null = null;
    }

    /// Decides whether the run is valid.
    pub fn judge(&mut self) {
        let mut reasons = Vec::new();
        if self.errors > 0 {
            let mut all = std::collections::BTreeMap::<&str, u64>::new();
            for (reason, count) in self.phases.iter().flat_map(|phase| &phase.figures.reasons) {
                *all.entry(reason).or_default() += count;
            }
            reasons.push(format!("{} messages have no right answer", self.errors));
            let mut all: Vec<_> = all.into_iter().collect();
            all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            reasons.extend(all.into_iter().take(4).map(|(reason, count)| format!("{count} × {reason}")));
        }
        if let Some(proof) = &self.proof
            && !proof.is_complete()
        {
            reasons.push(format!("{} of {} right answers are proved", proof.verified, proof.required));
            reasons.extend(proof.failures.iter().cloned());
        }
        if self.phases.iter().all(|phase| phase.figures.right == 0) {
            reasons.push("nothing was exchanged".to_owned());
        }
        self.valid = reasons.is_empty();
        self.invalid_because = reasons;
    }
}
