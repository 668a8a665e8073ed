//! What a run comes to: one object for machines, from which the table and the page are made.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::null::NullColumn;
use crate::process::Usage;
use crate::proof::Proof;
use crate::recorder::{Figures, Latency};
use crate::scenario::Scenario;
pub use crate::server_report::ServerReport;
use crate::streaming::Hop;
use crate::system::Changes;

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
    /// Whose they are; `None` while it does not run.
    pub process: Option<u32>,
}

/// A phase or a step of a sweep.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseReport {
    /// For people.
    pub name: String,
    /// Messages per second that were meant to be sent, in the mean; absent for callers.
    pub offered_per_second: Option<f64>,
    /// Callers, in the closed loop.
    pub callers: Option<usize>,
    /// Counts towards the figures of the run.
    pub measured: bool,
    /// Length in seconds.
    pub seconds: f64,
    /// A step of the search for the knee, which goes beyond it on purpose.
    #[serde(skip)]
    pub searching: bool,
    /// What the generator saw.
    #[serde(flatten)]
    pub figures: Figures,
    /// What each server did meanwhile.
    pub servers: Vec<ServerReport>,
    /// How fast large bodies passed each hop.
    pub streaming: Vec<Hop>,
    /// CPU time of the generator, in µs per exchange.
    pub generator_cpu_us: f64,
    /// CPU time of the echo service, in µs per exchange.
    pub service_cpu_us: f64,
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

/// Figures of the worse server, each by itself.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs)]
pub struct WorseServer {
    #[serde(flatten)]
    pub per_10k_messages: Per10k,
    pub cpu_us_per_exchange: f64,
    pub floor_us_per_exchange: f64,
    pub peak_rss_bytes: u64,
    pub system_calls_per_message: Option<f64>,
}

/// A whole exchange of one caller against what it cannot do without.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Alone {
    /// Median.
    pub p50_ms: f64,
    /// The floors of both servers in that phase, and four `fdatasync` one after the other as measured at the start.
    pub floor_ms: f64,
    /// The first divided by the second.
    pub ratio: f64,
}

/// Operations that were not needed, per 10,000 messages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs)]
pub struct Saved {
    pub signatures: f64,
    pub rsa_verifications: f64,
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
    /// The same for each class of sizes, by its name.
    pub latency_ms_by_class: BTreeMap<String, Latency>,
    /// Of the worse server.
    pub per_10k_messages: Per10k,
    /// The same figures and some more once again at the top, of the worse server.
    #[serde(flatten)]
    pub worse_server: WorseServer,
    /// What batches have saved; of the server that saved less.
    pub saved_per_10k_messages: Saved,
    /// Of the first measured phase with one caller.
    pub one_caller: Option<Alone>,
    /// Phases that servers do not tell of.
    pub phases_not_offered: &'static [&'static str],
    /// Of the last measured phase.
    pub servers: Vec<ServerReport>,
    /// How fast large bodies passed each hop in the last measured phase.
    pub streaming: Vec<Hop>,
    /// SHA-512 on one core here, in MiB/s.
    pub sha512_mib_per_second: f64,
    /// Highest resident set of the generator, the echo service and the trust services, one process, in the phases.
    pub own_peak_rss_bytes: u64,
    /// Cost of one signature here, in µs.
    pub signature_us: f64,
    /// All phases and steps.
    pub phases: Vec<PhaseReport>,
    /// The logs' judgement; absent when their servers are not ours.
    pub proof: Option<Proof>,
    /// From the start of a server to its being ready, with the global configuration at hand; absent when the servers are not ours.
    pub start_ms: Option<u64>,
    /// Servers that were restarted and upgraded meanwhile.
    pub changes: Changes,
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
    pub fn sum_up(&mut self, scenario: &Scenario, calls: &[Option<f64>]) {
        let all = |count: fn(&Figures) -> u64| -> u64 {
            self.phases.iter().map(|phase| count(&phase.figures)).sum()
        };
        let (failed, wrong) = (all(|figures| figures.failed), all(|figures| figures.wrong));
        self.refused = all(|figures| figures.refused);
        // A sweep goes beyond the knee on purpose, where refusals are what is wanted.
        let refused = match (scenario.accept.refusals, scenario.sweep.is_some(), self.changes.any()) {
            (true, ..) | (false, true, false) => 0,
            // Where servers are restarted and upgraded nothing may be refused for it.
            (false, true, true) => {
                let of_phases = self.phases.iter().filter(|phase| !phase.searching);
                of_phases.map(|phase| phase.figures.refused).sum()
            }
            (false, false, _) => self.refused,
        };
        self.errors = failed + wrong + refused;
        self.one_caller = self.alone();
        let Some(phase) = self.phases.iter_mut().rev().find(|phase| phase.measured) else { return };
        for (server, calls) in phase.servers.iter_mut().zip(calls) {
            server.system_calls_per_message = *calls;
        }
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
        let least = |of: fn(&ServerReport) -> f64| servers.iter().map(of).reduce(f64::min).unwrap_or(0.0);
        self.saved_per_10k_messages = Saved {
            signatures: least(|server| server.signatures_saved),
            rsa_verifications: least(|server| server.rsa_verifications_saved),
        };
        self.worse_server = WorseServer {
            per_10k_messages: self.per_10k_messages,
            cpu_us_per_exchange: worst(|server| server.cpu_us_per_exchange),
            floor_us_per_exchange: worst(|server| server.floor_us_per_exchange),
            peak_rss_bytes: servers.iter().map(|server| server.peak_rss_bytes).max().unwrap_or(0),
            system_calls_per_message: servers
                .iter()
                .filter_map(|server| server.system_calls_per_message)
                .reduce(f64::max),
        };
        self.latency_ms_by_class =
            self.classes.iter().cloned().zip(phase.figures.by_class.iter().copied()).collect();
        self.streaming.clone_from(&phase.streaming);
        self.servers.clone_from(servers);
    }

    fn alone(&self) -> Option<Alone> {
        const SYNCS: f64 = 4.0;
        let phase = self.phases.iter().find(|phase| phase.measured && phase.callers == Some(1))?;
        let servers: f64 = phase.servers.iter().map(|server| server.floor_us_per_exchange).sum();
        let floor_ms = (servers + SYNCS * self.machine.fdatasync_us_p50) / 1000.0;
        let p50_ms = phase.figures.latency_ms.p50;
        let known = !phase.servers.is_empty() && floor_ms > 0.0;
        known.then(|| Alone { p50_ms, floor_ms: round(floor_ms), ratio: round(p50_ms / floor_ms) })
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
            let mut all = BTreeMap::<&str, u64>::new();
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
        reasons.extend(self.changes.failures.iter().cloned());
        let made = self.changes.restarts + self.changes.upgrades;
        if made < self.changes.wanted {
            reasons.push(format!("{made} of {} restarts and upgrades took place", self.changes.wanted));
        }
        if self.phases.iter().all(|phase| phase.figures.right == 0) {
            reasons.push("nothing was exchanged".to_owned());
        }
        self.valid = reasons.is_empty();
        self.invalid_because = reasons;
    }
}
