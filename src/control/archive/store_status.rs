//! How it goes with the object store, for whoever watches.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::time::UnixTime;

/// Written by the task that moves archives, read by metrics.
#[derive(Debug, Default)]
pub struct StoreStatus {
    archives: AtomicU64,
    bytes: AtomicU64,
    waiting: AtomicU64,
    last_success_ms: AtomicI64,
    failing: AtomicBool,
}

/// The figures of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Archives put into the store since start.
    pub archives: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Archives that wait.
    pub waiting: u64,
    /// When none had to wait last, ms since 1970; 0 never.
    pub last_success_ms: i64,
    /// Whether the last attempt failed.
    pub failing: bool,
}

impl StoreStatus {
    #[cfg_attr(not(feature = "object-store"), allow(dead_code))]
    pub(super) fn put(&self, bytes: u64) {
        self.archives.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "object-store"), allow(dead_code))]
    pub(super) fn waiting(&self, archives: usize) {
        self.waiting.store(archives as u64, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "object-store"), allow(dead_code))]
    pub(super) fn succeeded(&self, now: UnixTime) {
        self.last_success_ms.store(now.millis(), Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "object-store"), allow(dead_code))]
    pub(super) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// The figures as they are now.
    pub fn figures(&self) -> StoreFigures {
        StoreFigures {
            archives: self.archives.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            last_success_ms: self.last_success_ms.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}
