//! What a counted run comes to.

use serde::Serialize;

use super::audit::Audit;
use super::ecosystem::Ecosystem;
use super::traffic::Traffic;

/// Message records of this run, by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LogRecords {
    /// On the consumer's server: a request and a response of each exchange.
    pub consumer: usize,
    /// On the providers' servers.
    pub provider: usize,
}

/// The one object of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Exchanges that were started.
    pub exchanges: usize,
    /// Those without the right answer.
    pub errors: usize,
    /// Exchanges whose request and response verify from the log of every server that took part.
    pub verified: usize,
    /// Message records.
    pub log_records: LogRecords,
    /// Messages per distinct signature, in the mean.
    pub messages_per_signature: f64,
    /// By wall clock, 32 callers.
    pub exchanges_per_second: f64,
    /// Calls of the OCSP responder since the start.
    pub ocsp_calls: u64,
    /// Calls of the time-stamping authority since the start.
    pub tsa_calls: u64,
    /// What the servers' workers run on: `io_uring` or `epoll`.
    pub runtime: String,
    /// From the first request to the last answer.
    pub elapsed_seconds: f64,
    /// From the start of the sandbox to ready servers.
    pub start_seconds: f64,
    /// Stamping and verifying everything.
    pub audit_seconds: f64,
}

impl Report {
    /// Puts the results of a run together.
    pub fn new(ecosystem: &Ecosystem, traffic: &Traffic, audit: &Audit) -> Self {
        let stations = ecosystem.stations();
        Self {
            exchanges: traffic.outcomes.len(),
            errors: traffic.errors(),
            verified: audit.verified,
            log_records: audit.log_records,
            messages_per_signature: round(audit.messages_per_signature()),
            exchanges_per_second: round(traffic.per_second()),
            ocsp_calls: stations.ocsp.calls(),
            tsa_calls: stations.tsa.calls(),
            runtime: ecosystem.server(0).files().runtime(),
            elapsed_seconds: round(traffic.elapsed.as_secs_f64()),
            start_seconds: 0.0,
            audit_seconds: round(audit.elapsed.as_secs_f64()),
        }
    }

    /// Was every message exchanged, logged on both sides and verified?
    pub fn is_complete(&self) -> bool {
        let records = 2 * self.exchanges;
        self.errors == 0
            && self.verified == self.exchanges
            && self.log_records == LogRecords { consumer: records, provider: records }
    }
}

// Two decimals are more than such figures mean.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
