//! Requests that come twice. The protocol has no protection against that: a signed request can be sent again by whoever
//! may speak as the consumer's server. They are counted, and refused where a service wants that.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::limits::{REPEAT_SHARDS, REQUESTS_REMEMBERED_MAX};

/// What two copies of one signed request have in common, and two requests signed apart have not: the digest of the
/// message and the beginning of the signature value, which nobody can change (the second half of an ECDSA value can be).
pub type Fingerprint = [u8; 32];

/// The fingerprint of a message by its digest and the signature value over it.
pub fn fingerprint(digest: &[u8], signature_value: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; 32];
    for (half, source) in fingerprint.chunks_mut(16).zip([digest, signature_value]) {
        let length = half.len().min(source.len());
        half[..length].copy_from_slice(&source[..length]);
    }
    fingerprint
}

/// The requests of a while, shared by all workers: at least the last half of [`REQUESTS_REMEMBERED_MAX`].
#[derive(Debug, Default)]
pub struct Repeats([Mutex<Generations>; REPEAT_SHARDS]);

// When the younger is full, the older is dropped.
#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Fingerprint>,
    old: HashSet<Fingerprint>,
}

impl Repeats {
    /// Remembers a request; true if it was seen before.
    pub fn is_repeat(&self, fingerprint: Fingerprint) -> bool {
        let shard = usize::from(fingerprint[0]) % REPEAT_SHARDS;
        let mut generations = self.0[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if generations.old.contains(&fingerprint) {
            return true;
        }
        if generations.young.len() >= REQUESTS_REMEMBERED_MAX / 2 / REPEAT_SHARDS {
            generations.old = std::mem::take(&mut generations.young);
        }
        !generations.young.insert(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_remembered_for_a_while_and_bounded() {
        let repeats = Repeats::default();
        let of = |number: u32| {
            let digest = crate::crypto::sha512(&number.to_be_bytes());
            fingerprint(&digest, &[1, 2, 3])
        };
        assert!(!repeats.is_repeat(of(0)));
        assert!(repeats.is_repeat(of(0)));
        let remembered = REQUESTS_REMEMBERED_MAX as u32 / 4;
        assert!((1..remembered).all(|number| !repeats.is_repeat(of(number))));
        assert!(repeats.is_repeat(of(0)));
        for number in remembered..8 * remembered {
            repeats.is_repeat(of(number));
        }
        assert!(!repeats.is_repeat(of(0)), "forgotten");
        let held: usize = repeats
            .0
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(held <= REQUESTS_REMEMBERED_MAX);
    }

    #[test]
    fn the_same_message_signed_again_is_another_request() {
        let repeats = Repeats::default();
        let digest = crate::crypto::sha512(b"message");
        assert!(!repeats.is_repeat(fingerprint(&digest, &[1; 64])));
        assert!(!repeats.is_repeat(fingerprint(&digest, &[2; 64])));
        // The other form of an ECDSA value differs in its second half.
        let mut other_form = [1; 64];
        other_form[40] = 9;
        assert!(repeats.is_repeat(fingerprint(&digest, &other_form)));
    }
}
