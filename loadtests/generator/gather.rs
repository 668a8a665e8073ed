//! Lets answers and messages that are due gather before the thread wakes for them: at high rates each wake-up costs more
//! than what is done in it, and what the generator takes of the machine the servers do not have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

// A wait is at most this part of the median latency: half of it delays messages, and half of it answers, in the mean.
const PART: f64 = 40.0;
const PAUSE_MAX: Duration = Duration::from_millis(1);
// A shorter one saves nothing.
const PAUSE_MIN: Duration = Duration::from_micros(500);
// How far one latency moves the median.
const STEP: f64 = 1.02;
const MEDIAN_US_MIN: f64 = 100.0;

/// How long to wait before a look at what has come. What this adds to latencies counts as theirs.
#[derive(Debug)]
pub struct Gather {
    /// Near the median of latencies, in µs.
    median_us: f64,
    on: bool,
    pause: Arc<AtomicU64>,
}

impl Gather {
    /// One that does not wait before it is turned on, and the pause that it wants at each time.
    pub fn new() -> (Self, Pause) {
        let pause = Arc::default();
        (Self { median_us: MEDIAN_US_MIN, on: false, pause: Arc::clone(&pause) }, Pause::new(pause))
    }

    /// Callers are not to wait: when they send depends on when they have their answers.
    pub fn turn(&mut self, on: bool) {
        (self.median_us, self.on) = (MEDIAN_US_MIN, on);
        self.pause.store(0, Ordering::Relaxed);
    }

    /// A message has been answered.
    pub fn answered(&mut self, took: Duration) {
        if !self.on {
            return;
        }
        let longer = took.as_secs_f64() * 1e6 > self.median_us;
        let moved = if longer { self.median_us * STEP } else { self.median_us / STEP };
        self.median_us = moved.max(MEDIAN_US_MIN);
        let pause = Duration::from_secs_f64(self.median_us / PART / 1e6).min(PAUSE_MAX);
        let pause = if pause < PAUSE_MIN { 0 } else { pause.as_micros() as u64 };
        self.pause.store(pause, Ordering::Relaxed);
    }
}

/// What the thread does whenever it has nothing to do.
pub struct Pause {
    wanted_us: Arc<AtomicU64>,
    began: Instant,
    /// When the thread last looked at what had come, in µs.
    looked_us: AtomicU64,
}

impl Pause {
    fn new(wanted_us: Arc<AtomicU64>) -> Self {
        Self { wanted_us, began: Instant::now(), looked_us: AtomicU64::new(0) }
    }

    /// Waits as long as is wanted now, which may be not at all. It counts from the last look: a thread that had to wait for
    /// its turn on a CPU has gathered enough.
    pub fn take(&self) {
        let wanted = self.wanted_us.load(Ordering::Relaxed);
        if wanted == 0 {
            return;
        }
        let now = || self.began.elapsed().as_micros() as u64;
        let pause = (self.looked_us.load(Ordering::Relaxed) + wanted).saturating_sub(now());
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
        self.looked_us.store(now(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(gather: &mut Gather, latencies_ms: &[u64]) -> u64 {
        for _ in 0..1000 {
            latencies_ms.iter().for_each(|ms| gather.answered(Duration::from_millis(*ms)));
        }
        gather.pause.load(Ordering::Relaxed)
    }

    #[test]
    fn the_pause_is_a_small_part_of_the_median_and_never_long() {
        let (mut gather, _) = Gather::new();
        assert_eq!(after(&mut gather, &[50]), 0);
        gather.turn(true);
        assert_eq!(after(&mut gather, &[5]), 0);
        // A few that take long do not count for more.
        assert_eq!(after(&mut gather, &[5, 5, 5, 900]), 0);
        assert!((700..=800).contains(&after(&mut gather, &[30])));
        assert_eq!(after(&mut gather, &[400]), 1000);
        gather.turn(true);
        assert_eq!(after(&mut gather, &[1]), 0);
    }

    #[test]
    fn a_pause_counts_from_the_last_look_and_the_first_comes_at_once() {
        let pause = Pause::new(Arc::new(AtomicU64::new(20_000)));
        std::thread::sleep(Duration::from_millis(20));
        let took = |pause: &Pause| {
            let began = Instant::now();
            pause.take();
            began.elapsed()
        };
        assert!(took(&pause) < Duration::from_millis(15));
        assert!(took(&pause) > Duration::from_millis(15));
        pause.wanted_us.store(0, Ordering::Relaxed);
        assert!(took(&pause) < Duration::from_millis(15));
    }
}
