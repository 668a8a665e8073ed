//! Figures of the data plane.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::histogram::{Durations, Histogram};
use crate::limits::ERROR_CODES_COUNTED_MAX;

/// What an exchange spends its time on. Hashing is part of the phases that read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For the own signature, the wait for company in the batch included.
    Sign,
    /// For the record to be durable.
    Log,
    /// For a connection to the other security server.
    Connect,
    /// For the head of its answer, after the whole request was sent.
    Peer,
    /// For the head of the service's answer.
    Service,
    /// Checking a received signature, no wait but work.
    Verify,
    /// Reading, hashing and passing on a message, the wait for its sender's signature included.
    Read,
    /// Writing the answer to the client.
    Reply,
}

impl Phase {
    /// All of them, in the order of [`Figures::phases`].
    pub const ALL: [Self; 8] = [
        Self::Sign,
        Self::Log,
        Self::Connect,
        Self::Peer,
        Self::Service,
        Self::Verify,
        Self::Read,
        Self::Reply,
    ];

    /// In metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Log => "log",
            Self::Connect => "connect",
            Self::Peer => "peer",
            Self::Service => "service",
            Self::Verify => "verify",
            Self::Read => "read",
            Self::Reply => "reply",
        }
    }
}

/// Counts since start.
#[derive(Debug, Default)]
pub struct Counters {
    consumer_exchanges: AtomicU64,
    provider_exchanges: AtomicU64,
    errors: AtomicU64,
    unsigned_faults: AtomicU64,
    verified_first: AtomicU64,
    verified_again: AtomicU64,
    repeated_requests: AtomicU64,
    phases: [Histogram; Phase::ALL.len()],
    codes: Mutex<BTreeMap<String, u64>>,
}

/// Figures since start, as they are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Exchanges answered on the consumer's side.
    pub consumer_exchanges: u64,
    /// Exchanges answered on the provider's side.
    pub provider_exchanges: u64,
    /// Messages refused.
    pub errors: u64,
    /// Faults of peers that were delivered.
    pub unsigned_faults: u64,
    /// Messages whose signature document was verified.
    pub verified_first: u64,
    /// Messages of a batch whose document was verified before.
    pub verified_again: u64,
    /// Requests whose signed bytes had come before.
    pub repeated_requests: u64,
    /// Durations of each of [`Phase::ALL`].
    pub phases: [Durations; Phase::ALL.len()],
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

    /// An error with this full code was told to the other party.
    pub fn code(&self, code: &str) {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        // Codes come from a table; the bound is for the day when they do not.
        let known = codes.len() < ERROR_CODES_COUNTED_MAX || codes.contains_key(code);
        *codes.entry(if known { code.to_owned() } else { "other".to_owned() }).or_default() += 1;
    }

    /// Errors by their full code.
    pub fn codes(&self) -> BTreeMap<String, u64> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A fault of a peer was delivered; faults are unsigned by protocol.
    pub fn unsigned_fault(&self) {
        self.unsigned_faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A signature was verified; `again` when its document was known.
    pub fn verified(&self, again: bool) {
        let counter = if again { &self.verified_again } else { &self.verified_first };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A signed request came again.
    pub fn repeated_request(&self) {
        self.repeated_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A phase ended now.
    pub fn phase(&self, phase: Phase, began: Instant) {
        self.add_phase(phase, began.elapsed());
    }

    fn add_phase(&self, phase: Phase, took: Duration) {
        if let Some(sum) = self.phases.get(phase as usize) {
            sum.add(took);
        }
    }

    /// The figures of the moment.
    pub fn read(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            consumer_exchanges: read(&self.consumer_exchanges),
            provider_exchanges: read(&self.provider_exchanges),
            errors: read(&self.errors),
            unsigned_faults: read(&self.unsigned_faults),
            verified_first: read(&self.verified_first),
            verified_again: read(&self.verified_again),
            repeated_requests: read(&self.repeated_requests),
            phases: self.phases.each_ref().map(Histogram::read),
        }
    }
}
