//! Remembered checks of OCSP signatures.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

use crate::crypto::Certificate;
use crate::limits;

/// What a check covered: SHA-512 of the whole answer, SHA-256 of certificate and issuer. Never less, so that
/// no acceptance can stand for another answer.
pub(super) type Key = ([u8; 64], [u8; 32], [u8; 32]);

/// Who signed an answer whose signature was found right.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    /// The responder's certificate.
    pub responder: Certificate,
    /// It is the issuer, or was issued by it for this purpose: no listing is needed.
    pub is_vouched_for: bool,
}

/// The signers of answers. Listing, times, policy and status are checked every time. A cache belongs to one
/// configuration and goes with it.
#[derive(Default)]
pub struct OcspCheckCache(Mutex<HashMap<Key, Signer>>);

impl OcspCheckCache {
    pub(super) fn get(&self, key: &Key) -> Option<Signer> {
        self.0.lock().ok()?.get(key).cloned()
    }

    pub(super) fn insert(&self, key: Key, signer: Signer) {
        let Ok(mut checks) = self.0.lock() else { return };
        if checks.len() >= limits::OCSP_CHECKS_MAX {
            checks.clear();
        }
        checks.insert(key, signer);
    }
}

impl fmt::Debug for OcspCheckCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OcspCheckCache")
    }
}
