//! What a server did in a phase, from two readings around it.

use serde::Serialize;

use crate::breakdown::{PhaseTime, breakdown};
use crate::floor::{Amounts, Costs, Part};
use crate::report::{Reading, round};

/// A server in a phase.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerReport {
    /// `ss1`, …
    pub name: String,
    /// Another process took its place meanwhile: only memory is told, all else is 0.
    pub replaced: bool,
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
    /// Messages signed with somebody else's signature.
    pub signatures_saved: f64,
    /// Received messages whose document was known, each of which would have cost a check or more.
    pub rsa_verifications_saved: f64,
    /// Calls into the kernel per message, where they could be counted.
    pub system_calls_per_message: Option<f64>,
    /// What an exchange spends its time on.
    pub phases: Vec<PhaseTime>,
}

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
        let usage = after.usage.since(&before.usage);
        if before.process != after.process {
            // Each process counts from its own start.
            let (name, peak_rss_bytes) = (name.to_owned(), usage.peak_rss_bytes);
            return Self { name, replaced: true, peak_rss_bytes, ..Self::default() };
        }
        let metrics = &after.metrics - &before.metrics;
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
            replaced: false,
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
            signatures_saved: per_10k((get("hermod_signed_messages_total") - signatures).max(0.0)),
            rsa_verifications_saved: per_10k(document("known")),
            system_calls_per_message: None,
            phases: breakdown(&metrics, exchanges),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn counters_of_two_processes_are_not_subtracted() {
        let reading = |process, signatures| Reading {
            metrics: Metrics::parse(&format!("hermod_signatures_total {signatures}\n")),
            process: Some(process),
            ..Reading::default()
        };
        let report = |after: &Reading| {
            ServerReport::new("ss1", &reading(1, 50), after, 100.0, None, Amounts::default())
        };
        let same = report(&reading(1, 60));
        assert_eq!((same.replaced, same.private_key_operations), (false, 500.0));
        let other = report(&reading(2, 10));
        assert_eq!((other.replaced, other.private_key_operations), (true, 0.0));
        assert_eq!(other.name, "ss1");
    }
}
