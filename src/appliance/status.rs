//! What `hermod status` shows, as JSON: counters since the start, so that whoever asks twice has rates.

use serde_json::{Value, json};

use super::countdowns::Countdowns;
use super::process::Process;
use crate::control::countdown::in_words;
use crate::exchange::{Phase, Shared, health};
use crate::time::UnixTime;

/// The state of the moment.
pub(super) fn json(shared: &Shared, countdowns: &Countdowns, started: UnixTime) -> Value {
    let (now, figures) = (shared.clock.now(), shared.counters.read());
    let (signer, log) = (shared.signer.statistics(), shared.log.statistics());
    let process = Process::now();
    let (memory, disk) = (shared.spools.memory().taken(), shared.spools.disk().taken());
    let phases = Phase::ALL.iter().zip(&figures.phases).map(|(phase, durations)| {
        (phase.name().to_owned(), json!({ "count": durations.count(), "us": durations.us }))
    });
    let present = countdowns.present();
    let stops = present.iter().map(|countdown| {
        json!({
            "cause": countdown.cause.name(),
            "words": countdown.cause.words(),
            "left_secs": countdown.left_secs,
            "left": countdown.left_secs.map(in_words),
            "running": countdown.running,
            "detail": countdown.detail,
        })
    });
    let (healthy, reason) = match health::check(shared) {
        Ok(()) => (true, None),
        Err(reason) => (false, Some(reason)),
    };
    json!({
        "server": shared.config.server_id.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "time": now.to_rfc3339(),
        "pid": std::process::id(),
        "uptime_secs": now.secs() - started.secs(),
        "healthy": healthy,
        "reason": reason,
        "maintenance": shared.health.is_in_maintenance(),
        "words": countdowns.words(),
        "exchanges": { "consumer": figures.consumer_exchanges, "provider": figures.provider_exchanges },
        "refused": figures.errors,
        "errors": shared.counters.codes(),
        "signatures": { "messages": signer.messages, "operations": signer.signatures, "failed": signer.failed_messages },
        "log": {
            "messages": log.messages,
            "commits": log.commits,
            "bytes": log.bytes,
            "failures": log.failures,
            "waiting": shared.log.waiting(),
            "unstamped": shared.log.reader().unstamped_count(),
        },
        "memory": { "process": process.memory_bytes, "messages": memory, "spooled": disk },
        "cpu_secs": process.cpu_secs,
        "open_files": process.open_files,
        "clients": shared.registry.load().clients().len(),
        "phases": Value::Object(phases.collect()),
        "stops": stops.collect::<Vec<_>>(),
    })
}
