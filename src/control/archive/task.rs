//! When the archiver runs: at its times, on a thread of its own that yields to everything else.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::retention::Retention;
use super::{Archiver, Position};
use crate::control::follow_status::FollowStatus;
use crate::log::LogHandle;
use crate::time::{SharedClock, UnixTime};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The lowest priority: a thread that computes gets the core first.
const NICE: i32 = 19;
/// Time between two looks for records that are old, when no run of the archiver comes first, in ms.
const CLEAN_EVERY_MS: i64 = 600_000;
/// After a failure a run is tried again this much later, then twice as much, up to the interval; ms.
const RETRY_FIRST_MS: i64 = 60_000;

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
    /// Starts it, to run every `interval_secs` (0: never, only old records are removed).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        archiver: Archiver,
        retention: Retention,
        log: LogHandle,
        followed: Option<Arc<FollowStatus>>,
        interval_secs: u64,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let stop = Stop::default();
        let told = stop.clone();
        let work = move || {
            lower_priority();
            Work { archiver, retention, log, followed, clock }.run(interval_secs, &told);
        };
        let thread = std::thread::Builder::new().name("archiver".into()).spawn(work)?;
        Ok(Self { stop, thread })
    }

    /// Ends the run at hand after its present record, and waits for that.
    pub fn stop(self) {
        self.stop.set();
        let _ = self.thread.join();
    }
}

struct Work {
    archiver: Archiver,
    retention: Retention,
    log: LogHandle,
    followed: Option<Arc<FollowStatus>>,
    clock: SharedClock,
}

impl Work {
    fn run(&self, interval_secs: u64, stop: &Stop) {
        let (mut last_ms, mut cleaned_ms) = (self.clock.now().millis(), i64::MIN);
        if let Ok(position) = Position::load(self.archiver.log.directory()) {
            self.archiver.status.came_to(position.done_below);
            if position.last_run_ms > 0 {
                last_ms = position.last_run_ms;
            }
        }
        // When a run that failed is tried again, and how long after that.
        let mut retry = None::<(i64, i64)>;
        while !stop.wait(LOOK_EVERY) {
            let now = self.clock.now();
            let now_ms = now.millis();
            let again = retry.filter(|(at, _)| now_ms >= *at);
            let due = interval_secs > 0 && is_due(last_ms, now_ms, interval_secs);
            if due || again.is_some() {
                last_ms = now_ms;
                let after = again.map_or(RETRY_FIRST_MS, |(_, after)| after.saturating_mul(2));
                retry = (!self.archive(now, stop)).then(|| (now_ms.saturating_add(after), after));
                cleaned_ms = i64::MIN;
            }
            // A clock that was set back must not put it off.
            if now_ms.saturating_sub(cleaned_ms) >= CLEAN_EVERY_MS || now_ms < cleaned_ms {
                cleaned_ms = now_ms;
                self.clean(now);
            }
        }
    }

    fn archive(&self, now: UnixTime, stop: &Stop) -> bool {
        let outcome = self.archiver.run_beside(now, stop, Some(&self.log));
        match &outcome {
            Ok(outcome) if outcome.records > 0 => {
                tracing::info!(records = outcome.records, archives = outcome.files.len(), "archived");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "archiving failed; it is tried again soon"),
        }
        outcome.is_ok()
    }

    fn clean(&self, now: UnixTime) {
        let cleaned = Position::load(self.archiver.log.directory()).map_err(|error| error.to_string());
        let cleaned = cleaned.and_then(|position| {
            // `hermod archive run` may have come further.
            self.archiver.status.came_to(position.done_below);
            let cleaned = {
                let followed = self.followed.as_deref();
                self.retention.clean(&self.log, &position, followed, now, &self.archiver.status)
            };
            cleaned.map_err(|error| error.to_string())
        });
        if let Err(error) = cleaned {
            tracing::error!(error, "old records cannot be removed from the message log");
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
