//! Figures of the data plane.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since start.
#[derive(Debug, Default)]
pub struct Counters {
    consumer_exchanges: AtomicU64,
    provider_exchanges: AtomicU64,
    errors: AtomicU64,
    unsigned_faults: AtomicU64,
}

impl Counters {
    /// An exchange was answered on the consumer's side.
    pub fn consumer_exchange(&self) {
        self.consumer_exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// An exchange was answered on the provider's side.
    pub fn provider_exchange(&self) {
        self.provider_exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was refused.
    pub fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// A fault of a peer was delivered; faults are unsigned by protocol.
    pub fn unsigned_fault(&self) {
        self.unsigned_faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Consumer exchanges, provider exchanges, refusals, unsigned faults.
    pub fn read(&self) -> (u64, u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            read(&self.consumer_exchanges),
            read(&self.provider_exchanges),
            read(&self.errors),
            read(&self.unsigned_faults),
        )
    }
}
