//! When the archiver runs: at its times, on a thread of its own that yields to everything else.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Archiver, Position};
use crate::time::SharedClock;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The lowest priority: a thread that computes gets the core first.
const NICE: i32 = 19;

/// Tells a run to end after the record at hand.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Tells so.
    pub fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was told.
    pub fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for it for so long; whether it was told.
    pub fn wait(&self, longest: Duration) -> bool {
        let told = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(told, longest, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The archiver's thread.
#[derive(Debug)]
pub struct ArchiverTask {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl ArchiverTask {
    /// Starts it, to run every `interval_secs`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(archiver: Archiver, interval_secs: u64, clock: SharedClock) -> std::io::Result<Self> {
        let stop = Stop::default();
        let told = stop.clone();
        let work = move || run(&archiver, interval_secs, &clock, &told);
        let thread = std::thread::Builder::new().name("archiver".into()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Ends the run at hand after its present record, and waits for that.
    pub fn stop(self) {
        self.stop.set();
        let _ = self.thread.join();
    }
}

fn run(archiver: &Archiver, interval_secs: u64, clock: &SharedClock, stop: &Stop) {
    lower_priority();
    let mut last_ms = match Position::load(archiver.log.directory()) {
        Ok(position) if position.last_run_ms > 0 => position.last_run_ms,
        _ => clock.now().millis(),
    };
    while !stop.wait(LOOK_EVERY) {
        let now_ms = clock.now().millis();
        if !is_due(last_ms, now_ms, interval_secs) {
            continue;
        }
        last_ms = now_ms;
        match archiver.run(clock.now(), stop) {
            Ok(outcome) if outcome.records > 0 => {
                tracing::info!(records = outcome.records, archives = outcome.files.len(), "archived");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "archiving failed; it is tried again at its next time"),
        }
    }
}

/// Makes the calling thread yield to all others: Linux takes no process id for the calling thread.
pub fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "the archiver runs at ordinary priority");
    }
}

/// Whether a multiple of the interval since 1970 lies between two times: restarts in between move nothing.
fn is_due(last_ms: i64, now_ms: i64, interval_secs: u64) -> bool {
    let interval_ms = i64::try_from(interval_secs.saturating_mul(1000)).unwrap_or(i64::MAX).max(1);
    now_ms.div_euclid(interval_ms) > last_ms.div_euclid(interval_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_due_when_a_multiple_of_the_interval_has_passed() {
        assert!(!is_due(3_600_000, 3_600_001, 3600));
        assert!(!is_due(3_600_000, 7_199_999, 3600));
        assert!(is_due(3_600_000, 7_200_000, 3600));
        assert!(is_due(3_600_000, 720_000_000, 3600));
        assert!(!is_due(7_200_000, 3_600_000, 3600), "a clock that is set back");
    }
}
