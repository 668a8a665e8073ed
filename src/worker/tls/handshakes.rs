//! Figures of TLS handshakes, over all ports and targets of the process.

use std::sync::atomic::{AtomicU64, Ordering};

use super::TlsSession;

static ACCEPTED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static MADE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Handshakes that succeeded since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// As a server, with a signature.
    pub accepted_full: u64,
    /// As a server, of a session before.
    pub accepted_resumed: u64,
    /// As a client, with the signatures of both sides where the client shows a certificate.
    pub made_full: u64,
    /// As a client, of a session before.
    pub made_resumed: u64,
}

/// The figures of the moment.
pub fn handshakes() -> Handshakes {
    let read = |counters: &[AtomicU64; 2]| counters.each_ref().map(|counter| counter.load(Ordering::Relaxed));
    let ([accepted_full, accepted_resumed], [made_full, made_resumed]) = (read(&ACCEPTED), read(&MADE));
    Handshakes { accepted_full, accepted_resumed, made_full, made_resumed }
}

/// Counts one on the server's side.
pub(in crate::worker) fn accepted(session: &dyn TlsSession) {
    count(&ACCEPTED, session);
}

/// Counts one on the client's side.
pub(in crate::worker) fn made(session: &dyn TlsSession) {
    count(&MADE, session);
}

fn count(counters: &[AtomicU64; 2], session: &dyn TlsSession) {
    counters[usize::from(session.resumed())].fetch_add(1, Ordering::Relaxed);
}
