//! Where the time of an exchange goes, as far as a server tells.

use serde::Serialize;

use crate::metrics::Metrics;
use crate::report::round;

/// A phase of an exchange on one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseTime {
    /// `read`, `batch_wait`, …
    pub name: &'static str,
    /// Mean of one, in µs.
    pub us: f64,
    /// How often an exchange goes through it.
    pub per_exchange: f64,
    /// Not counted by itself: the difference of two means.
    pub derived: bool,
}

/// What is not told: hashing is part of `read`, and its CPU time a part of the floor.
pub const NOT_OFFERED: [&str; 1] = ["hash"];

/// The phases in the order of a message. Those that did not occur are left out.
pub fn breakdown(metrics: &Metrics, exchanges: f64) -> Vec<PhaseTime> {
    let mut phases = Vec::new();
    let mut put = |name, us: f64, count: f64, derived| {
        if count > 0.0 {
            let per_exchange = round(count / exchanges.max(1.0));
            phases.push(PhaseTime { name, us: round(us.max(0.0)), per_exchange, derived });
        }
    };
    let told = |phase| {
        let count = metrics.labelled("hermod_phases_total", "phase", phase);
        let seconds = metrics.labelled("hermod_phase_seconds_total", "phase", phase);
        (seconds * 1e6 / count.max(1.0), count)
    };
    let mean = |seconds, count| metrics.get(seconds) * 1e6 / metrics.get(count).max(1.0);
    let signature = mean("hermod_signing_seconds_total", "hermod_signatures_total");
    let sync = mean("hermod_log_sync_seconds_total", "hermod_log_commits_total");

    let (us, count) = told("read");
    put("read", us, count, false);
    let (us, count) = told("sign");
    put("batch_wait", us - signature, count, true);
    put("sign", signature.min(us), count, false);
    let (us, count) = told("log");
    put("log_append", us - sync, count, true);
    put("fdatasync_wait", sync.min(us), count, false);
    for name in ["connect", "peer", "service", "verify", "reply"] {
        let (us, count) = told(name);
        put(name, us, count, false);
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_apart_from_what_was_waited_for() {
        let metrics = Metrics::parse(
            "hermod_phases_total{phase=\"sign\"} 10\nhermod_phase_seconds_total{phase=\"sign\"} 0.05\n\
             hermod_signatures_total 2\nhermod_signing_seconds_total 0.004\n\
             hermod_phases_total{phase=\"log\"} 20\nhermod_phase_seconds_total{phase=\"log\"} 0.02\n\
             hermod_log_commits_total 4\nhermod_log_sync_seconds_total 0.002\n",
        );
        let phases = breakdown(&metrics, 10.0);
        let told: Vec<_> = phases.iter().map(|p| (p.name, p.us, p.per_exchange, p.derived)).collect();
        assert_eq!(
            told,
            [
                ("batch_wait", 3000.0, 1.0, true),
                ("sign", 2000.0, 1.0, false),
                ("log_append", 500.0, 2.0, true),
                ("fdatasync_wait", 500.0, 2.0, false),
            ]
        );
    }
}
