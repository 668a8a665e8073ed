//! How much all messages of a server may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes of one kind, memory or disk, that all threads take from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Pot>);

#[derive(Debug)]
struct Pot {
    bytes_max: u64,
    taken: AtomicU64,
    paused: AtomicBool,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all messages together may hold {bytes_max} bytes, which they do")]
pub struct OutOfBudget {
    bytes_max: u64,
}

impl Budget {
    /// At most this many bytes at a time.
    pub fn new(bytes_max: u64) -> Self {
        Self(Arc::new(Pot { bytes_max, taken: AtomicU64::new(0), paused: AtomicBool::new(false) }))
    }

    /// While it is paused there is no room for more; what is held stays.
    pub fn pause(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Relaxed);
    }

    /// Bytes that are taken now.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// A share of nothing yet.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

/// What one message holds; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    bytes: u64,
}

impl Share {
    /// Grows or shrinks to `bytes`. When there is no room nothing changes.
    pub fn set(&mut self, bytes: u64) -> Result<(), OutOfBudget> {
        let pot = &*self.budget.0;
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let before = pot.taken.fetch_add(more, Ordering::Relaxed);
            let full = pot.paused.load(Ordering::Relaxed);
            if full || before.saturating_add(more) > pot.bytes_max {
                pot.taken.fetch_sub(more, Ordering::Relaxed);
                return Err(OutOfBudget { bytes_max: pot.bytes_max });
            }
        } else if bytes < self.bytes {
            pot.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        one.set(60).unwrap();
        assert!(other.set(41).is_err());
        assert_eq!(budget.taken(), 60);
        other.set(40).unwrap();
        assert!(one.set(61).is_err());
        one.set(10).unwrap();
        other.set(90).unwrap();
        drop(one);
        assert_eq!(budget.taken(), 90);
        drop(other);
        assert_eq!(budget.taken(), 0);
        assert!(budget.share().set(u64::MAX).is_err());
    }

    #[test]
    fn threads_that_fight_for_room_leave_nothing_behind() {
        let budget = Budget::new(1000);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let budget = &budget;
                scope.spawn(move || {
                    for round in 0..1000 {
                        let mut share = budget.share();
                        let _ = share.set(thread * 100 + round % 300);
                        assert!(budget.taken() < 4 * 1000);
                    }
                });
            }
        });
        assert_eq!(budget.taken(), 0);
    }
}
