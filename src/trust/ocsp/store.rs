//! The answers at hand.

use std::collections::HashMap;

use super::response::OcspResponse;
use crate::crypto::{Certificate, to_hex};

/// OCSP answers by certificate. A value of a snapshot: cloning copies the tables, not the answers.
#[derive(Debug, Clone, Default)]
pub struct OcspResponses {
    by_sha256: HashMap<[u8; 32], OcspResponse>,
    sha256_by_sha1: HashMap<[u8; 20], [u8; 32]>,
}

impl OcspResponses {
    /// Stores (or replaces) the answer about a certificate. Who stores has verified it.
    pub fn insert(&mut self, certificate: &Certificate, response: OcspResponse) {
        self.sha256_by_sha1.insert(*certificate.sha1(), *certificate.sha256());
        self.by_sha256.insert(*certificate.sha256(), response);
    }

    /// Forgets the answer about a certificate.
    pub fn remove(&mut self, certificate: &Certificate) {
        self.sha256_by_sha1.remove(certificate.sha1());
        self.by_sha256.remove(certificate.sha256());
    }

    /// The answer about a certificate.
    pub fn get(&self, certificate: &Certificate) -> Option<&OcspResponse> {
        self.by_sha256.get(certificate.sha256())
    }

    /// By SHA-1 in lower-case hexadecimal, as port 5577 is asked (upper case is not found, as upstream).
    pub fn get_by_sha1_hex(&self, hex: &str) -> Option<&OcspResponse> {
        let mut hash = [0u8; 20];
        let digits = hex.as_bytes();
        for (at, byte) in hash.iter_mut().enumerate() {
            let pair = std::str::from_utf8(digits.get(2 * at..2 * at + 2)?).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        if to_hex(&hash) != hex {
            return None;
        }
        self.by_sha256.get(self.sha256_by_sha1.get(&hash)?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_sha256.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_sha256.is_empty()
    }

    /// Keeps only the answers that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&OcspResponse) -> bool) {
        self.by_sha256.retain(|_, response| keep(response));
        let kept = &self.by_sha256;
        self.sha256_by_sha1.retain(|_, sha256| kept.contains_key(sha256));
    }
}
