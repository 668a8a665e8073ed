//! Durations by size, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes, in microseconds; a last class is open.
pub const DURATION_CLASSES_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

/// Counts of one phase since start.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    us: AtomicU64,
    classes: [AtomicU64; DURATION_CLASSES_US.len() + 1],
}

/// What a histogram shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Durations {
    /// The sum, in microseconds.
    pub us: u64,
    /// Number by class, those beyond the last bound at the end.
    pub classes: [u64; DURATION_CLASSES_US.len() + 1],
}

impl Histogram {
    pub fn add(&self, took: Duration) {
        let us = took.as_micros() as u64;
        self.us.fetch_add(us, Ordering::Relaxed);
        let class = DURATION_CLASSES_US.partition_point(|bound| *bound < us);
        if let Some(class) = self.classes.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Durations {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Durations { us: read(&self.us), classes: self.classes.each_ref().map(read) }
    }
}

impl Durations {
    /// How many.
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }
}
