//! Archiving goes no faster than messages allow.
//!
//! Its thread has the lowest priority, which decides who gets a core and, with most schedulers, the disk. That alone still
//! takes caches and memory bandwidth from messages, so while messages pass, it also rests between records: it computes no
//! more than a share of one core, and not at all while the log has a queue.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Stop;
use crate::log::LogHandle;

/// It rests after it has computed for so long.
const WORK: Duration = Duration::from_millis(2);
/// Records waiting for the log's writer that make it wait, for how long at a time, and how often at most in a row: it must
/// get on in the end.
const QUEUE_LONG: usize = 64;
const QUEUE_PAUSE: Duration = Duration::from_millis(20);
const QUEUE_PAUSES_MAX: usize = 50;
/// The log counts as busy when it has committed more records than this within the time after which it is looked at again.
const BUSY_RECORDS: u64 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How busy the log is.
pub trait Load: Send + Sync {
    /// Records waiting for the writer.
    fn queued(&self) -> usize;
    /// Records made durable so far.
    fn committed(&self) -> u64;
}

impl Load for LogHandle {
    fn queued(&self) -> usize {
        LogHandle::queued(self)
    }

    fn committed(&self) -> u64 {
        self.statistics().messages
    }
}

/// The pace of one run.
pub(super) struct Pace<'a> {
    load: Option<&'a dyn Load>,
    /// Rest for each unit of work while the log is busy.
    rest_per_work: u32,
    computed: Duration,
    looked: Instant,
    committed: u64,
    busy: bool,
}

impl<'a> Pace<'a> {
    /// With so many percent of one core while messages pass. Without a load to watch it never rests.
    pub fn new(load: Option<&'a dyn Load>, core_percent: u32) -> Self {
        Self {
            load,
            rest_per_work: (100 / core_percent.clamp(1, 100)).saturating_sub(1),
            computed: thread_time(),
            looked: Instant::now(),
            committed: load.map_or(0, Load::committed),
            busy: false,
        }
    }

    /// Rests as long as is due. Called between records.
    pub fn rest(&mut self, stop: &Stop) {
        let Some(load) = self.load else { return };
        let mut pauses = 0;
        while load.queued() > QUEUE_LONG && pauses < QUEUE_PAUSES_MAX && !stop.wait(QUEUE_PAUSE) {
            pauses += 1;
        }
        self.look(load);
        let worked = thread_time().saturating_sub(self.computed);
        if worked >= WORK {
            if self.busy && self.rest_per_work > 0 {
                stop.wait(worked * self.rest_per_work);
            }
            self.computed = thread_time();
        }
    }

    fn look(&mut self, load: &dyn Load) {
        if self.looked.elapsed() >= LOOK_EVERY {
            let committed = load.committed();
            self.busy = committed - self.committed.min(committed) > BUSY_RECORDS;
            self.committed = committed;
            self.looked = Instant::now();
        }
    }
}

/// What this thread has computed so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Busy(AtomicUsize, AtomicU64);

    impl Load for Busy {
        fn queued(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }

        fn committed(&self) -> u64 {
            self.1.fetch_add(1000, Ordering::Relaxed)
        }
    }

    fn work(until: Duration) {
        let begun = thread_time();
        while thread_time() - begun < until {
            std::hint::black_box(0_u64);
        }
    }

    #[test]
    fn it_takes_its_share_of_a_core_while_messages_pass_and_all_of_it_otherwise() {
        let busy = Busy::default();
        let mut pace = Pace::new(Some(&busy), 10);
        pace.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        let (begun, computed) = (Instant::now(), thread_time());
        for _ in 0..10 {
            work(WORK);
            pace.rest(&Stop::default());
        }
        let share = (thread_time() - computed).as_secs_f64() / begun.elapsed().as_secs_f64();
        assert!(share < 0.15, "{share}");
        let mut free = Pace::new(None, 10);
        let begun = Instant::now();
        free.rest(&Stop::default());
        assert!(begun.elapsed() < Duration::from_millis(10));
    }

    #[test]
    fn a_queue_makes_it_wait_but_not_for_ever_and_not_against_a_stop() {
        let busy = Busy(AtomicUsize::new(1000), AtomicU64::default());
        let stop = Stop::default();
        stop.set();
        let begun = Instant::now();
        Pace::new(Some(&busy), 10).rest(&stop);
        assert!(begun.elapsed() < QUEUE_PAUSE * 10);
    }
}
