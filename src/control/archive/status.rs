//! How archiving goes, for whoever watches.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::retention::Cleaned;
use crate::log::{LogError, LogReader};
use crate::time::UnixTime;

/// Written by the archiver, read by metrics.
#[derive(Debug, Default)]
pub struct ArchiveStatus {
    done_below: AtomicU64,
    records: AtomicU64,
    archives: AtomicU64,
    bytes: AtomicU64,
    left_out: AtomicU64,
    last_success_ms: AtomicI64,
    failing: AtomicBool,
    removed_segments: AtomicU64,
    removed_bytes: AtomicU64,
    set_aside: AtomicU64,
    held_back: AtomicU64,
}

/// The figures of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArchiveFigures {
    /// Records, archives and bytes of archives, since start.
    pub records: u64,
    /// Archives finished.
    pub archives: u64,
    /// Bytes of containers in them.
    pub bytes: u64,
    /// Damaged records that are in no archive.
    pub left_out: u64,
    /// When a run came to its end last, ms since 1970; 0 never.
    pub last_success_ms: i64,
    /// Whether the last run failed.
    pub failing: bool,
    /// Segments and bytes that left the log, since start.
    pub removed_segments: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Segments put aside.
    pub set_aside: u64,
    /// Bytes that the log has more than it should, because they are in no archive yet.
    pub held_back: u64,
    /// Message records that are in no archive yet.
    pub waiting: u64,
    /// Age of the oldest of them, in seconds.
    pub lag_secs: i64,
}

impl ArchiveStatus {
    pub(super) fn came_to(&self, done_below: u64) {
        self.done_below.store(done_below, Ordering::Relaxed);
    }

    pub(super) fn archived(&self, records: usize, bytes: u64) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.archives.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn left_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn succeeded(&self, now: UnixTime) {
        self.last_success_ms.store(now.millis(), Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    pub(super) fn cleaned(&self, cleaned: &Cleaned) {
        let segments = cleaned.removed as u64 + cleaned.set_aside as u64;
        self.removed_segments.fetch_add(segments, Ordering::Relaxed);
        self.removed_bytes.fetch_add(cleaned.bytes, Ordering::Relaxed);
        self.set_aside.fetch_add(cleaned.set_aside as u64, Ordering::Relaxed);
        self.held_back.store(cleaned.held_back, Ordering::Relaxed);
    }

    /// The figures as they are now.
    ///
    /// # Errors
    /// When an index of the log cannot be read.
    pub fn figures(&self, log: &LogReader, now: UnixTime) -> Result<ArchiveFigures, LogError> {
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let (waiting, first_ms) = log.behind(of(&self.done_below))?;
        Ok(ArchiveFigures {
            records: of(&self.records),
            archives: of(&self.archives),
            bytes: of(&self.bytes),
            left_out: of(&self.left_out),
            last_success_ms: self.last_success_ms.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
            removed_segments: of(&self.removed_segments),
            removed_bytes: of(&self.removed_bytes),
            set_aside: of(&self.set_aside),
            held_back: of(&self.held_back),
            waiting,
            lag_secs: first_ms.map_or(0, |first| (now.millis() - first).max(0) / 1000),
        })
    }
}
