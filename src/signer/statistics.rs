//! Figures of the signing threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the batch-size classes; a last class is open.
pub const BATCH_SIZE_CLASSES: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// Counts since start, over all keys.
#[derive(Debug, Default)]
pub(super) struct Counters {
    messages: AtomicU64,
    signatures: AtomicU64,
    failed_messages: AtomicU64,
    failing_in_a_row: AtomicU64,
    expired_messages: AtomicU64,
    busy_us: AtomicU64,
    sizes: [AtomicU64; BATCH_SIZE_CLASSES.len() + 1],
}

/// Figures of the signer since start, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerStatistics {
    /// Messages signed.
    pub messages: u64,
    /// Private-key operations that signed them.
    pub signatures: u64,
    /// Messages that could not be signed.
    pub failed_messages: u64,
    /// Private-key operations that have failed since the last good one.
    pub failing_in_a_row: u64,
    /// Messages that waited too long.
    pub expired_messages: u64,
    /// Time spent making signatures, in microseconds.
    pub busy_us: u64,
    /// Signatures by number of messages; classes as in [`BATCH_SIZE_CLASSES`], and one beyond.
    pub batch_sizes: Vec<u64>,
}

impl Counters {
    pub fn signed(&self, messages: usize, took: Duration) {
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.failing_in_a_row.store(0, Ordering::Relaxed);
        self.busy_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        let class = BATCH_SIZE_CLASSES.partition_point(|bound| *bound < messages);
        if let Some(size) = self.sizes.get(class) {
            size.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn failed(&self, messages: usize) {
        self.failed_messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.failing_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    pub fn expired(&self) {
        self.expired_messages.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> SignerStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SignerStatistics {
            messages: read(&self.messages),
            signatures: read(&self.signatures),
            failed_messages: read(&self.failed_messages),
            failing_in_a_row: read(&self.failing_in_a_row),
            expired_messages: read(&self.expired_messages),
            busy_us: read(&self.busy_us),
            batch_sizes: self.sizes.iter().map(read).collect(),
        }
    }
}
