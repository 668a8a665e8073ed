//! Figures of the log's writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::writer::{Entry, Job};

/// Counts since start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    messages: AtomicU64,
    timestamps: AtomicU64,
    commits: AtomicU64,
    failures: AtomicU64,
    largest_commit: AtomicU64,
    bytes: AtomicU64,
    sync_us: AtomicU64,
}

/// Figures of the log since start, as they are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Message records made durable.
    pub messages: u64,
    /// Time-stamp records made durable.
    pub timestamps: u64,
    /// Group commits, each with one `fdatasync`.
    pub commits: u64,
    /// Records that could not be written.
    pub failures: u64,
    /// Records of the largest group commit.
    pub largest_commit: u64,
    /// Bytes of all group commits: records and the signature documents they share.
    pub bytes: u64,
    /// Time spent making them durable, in microseconds.
    pub sync_us: u64,
}

impl Counters {
    pub fn committed(&self, batch: &[Job]) {
        let messages = batch.iter().filter(|job| matches!(job.entry, Entry::Message(..))).count() as u64;
        let all = batch.len() as u64;
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.timestamps.fetch_add(all - messages, Ordering::Relaxed);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.largest_commit.fetch_max(all, Ordering::Relaxed);
    }

    pub fn synced(&self, bytes: u64, took: Duration) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sync_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn failed(&self, batch: &[Job]) {
        self.failures.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> LogStatistics {
        LogStatistics {
            messages: self.messages.load(Ordering::Relaxed),
            timestamps: self.timestamps.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            largest_commit: self.largest_commit.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            sync_us: self.sync_us.load(Ordering::Relaxed),
        }
    }
}
