//! How the message log is followed into a database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How it goes, for whoever watches.
#[derive(Debug, Default)]
pub struct FollowStatus {
    next_id: AtomicU64,
    unstamped: AtomicU64,
    done_below: AtomicU64,
    failing: AtomicBool,
}

impl FollowStatus {
    #[cfg_attr(not(feature = "postgresql"), allow(dead_code))]
    pub(super) fn came_to(&self, next_id: u64) {
        self.next_id.store(next_id, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "postgresql"), allow(dead_code))]
    pub(super) fn set_unstamped(&self, records: u64) {
        self.unstamped.store(records, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "postgresql"), allow(dead_code))]
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    #[cfg_attr(not(feature = "postgresql"), allow(dead_code))]
    pub(in crate::control) fn passed(&self, done_below: u64) {
        self.done_below.store(done_below, Ordering::Relaxed);
    }

    /// Every record before this id is in the database with its time-stamp, or will get none; 0 before the first pass.
    pub fn done_below(&self) -> u64 {
        self.done_below.load(Ordering::Relaxed)
    }

    /// No record before this id is missing in the database.
    pub fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Records in the database that wait for a time-stamp.
    pub fn unstamped(&self) -> u64 {
        self.unstamped.load(Ordering::Relaxed)
    }

    /// Whether the last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}
