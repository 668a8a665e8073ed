//! Bodies: small ones are cut from one block of bytes, large ones are made piece by piece as they pass and never held.

use bytes::Bytes;
use hermod::crypto::{Digest, DigestAlgorithm, Hasher};

use crate::seed::Seed;

/// Bodies of REST messages larger than this are made and compared as they pass.
pub const WHOLE_MAX: usize = 1024 * 1024;
/// A large body is made of pieces of so many bytes, each from a place of the block that its number chooses.
pub const PIECE_BYTES: usize = 64 * 1024;
/// Bodies and pieces begin at multiples of this …
const STEP: usize = 64;
/// … small ones at so many places, so that neighbours in time differ.
const PLACES: usize = 1024;
/// For pieces the block is at least so long beyond one of them: few are the same.
const SPREAD_BYTES: usize = 512 * 1024;

/// What bodies are made of. The generator and the echo service share one.
pub struct Content {
    block: Bytes,
    seed: u64,
}

impl Content {
    /// For bodies held whole of at most so many bytes, and for large ones of any size.
    pub fn new(seed: u64, whole_max: usize) -> Self {
        // Letters: bytes that no XML escapes, and that no compression would hide if there were any.
        const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
        let length = (whole_max + STEP * PLACES).max(PIECE_BYTES + SPREAD_BYTES);
        let (mut letters, mut block) = (Seed::new(seed), Vec::with_capacity(length + 8));
        while block.len() < length {
            block.extend(letters.next().to_le_bytes().map(|byte| LETTERS[usize::from(byte & 63)]));
        }
        Self { block: block.into(), seed }
    }

    /// The whole body of message `index`, of so many bytes.
    pub fn whole(&self, index: u32, bytes: usize) -> Bytes {
        let start = index as usize % PLACES * STEP;
        self.block.slice(start..start + bytes)
    }

    /// What follows at byte `at` of the large body of message `index`, to the end of a piece. Bodies of one message and
    /// different lengths begin with the same bytes.
    pub fn at(&self, index: u32, at: u64) -> &[u8] {
        let piece_bytes = PIECE_BYTES as u64;
        let (number, into) = (at / piece_bytes, (at % piece_bytes) as usize);
        let places = (self.block.len() - PIECE_BYTES) / STEP;
        let chosen = Seed::new(self.seed ^ (u64::from(index) << 32 | number)).next() % places as u64;
        let start = chosen as usize * STEP;
        &self.block[start + into..start + PIECE_BYTES]
    }

    /// Are these the bytes at `at` of the large body of message `index`?
    pub fn is_at(&self, index: u32, mut at: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let expected = self.at(index, at);
            let length = expected.len().min(bytes.len());
            let (now, rest) = bytes.split_at(length);
            if now != &expected[..length] {
                return false;
            }
            (bytes, at) = (rest, at + length as u64);
        }
        true
    }

    /// SHA-512 of the body of message `index`, of so many bytes.
    pub fn digest(&self, index: u32, bytes: usize) -> Digest {
        if bytes <= WHOLE_MAX {
            return DigestAlgorithm::Sha512.digest(&self.whole(index, bytes));
        }
        let (mut hasher, mut at) = (Hasher::new(DigestAlgorithm::Sha512), 0);
        while at < bytes {
            let next = self.at(index, at as u64);
            let length = next.len().min(bytes - at);
            hasher.update(&next[..length]);
            at += length;
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn large(content: &Content, index: u32, bytes: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < bytes {
            let next = content.at(index, body.len() as u64);
            body.extend_from_slice(&next[..next.len().min(bytes - body.len())]);
        }
        body
    }

    #[test]
    fn a_large_body_is_known_again_piece_by_piece_and_no_byte_of_it_is_another() {
        let content = Content::new(7, 1000);
        let mut body = large(&content, 3, WHOLE_MAX + 100);
        let (mut at, mut length) = (0, 1);
        while at < body.len() {
            let end = (at + length).min(body.len());
            assert!(content.is_at(3, at as u64, &body[at..end]), "{at}");
            (at, length) = (end, length * 3 % 200_000 + 1);
        }
        assert_eq!(content.digest(3, body.len()), DigestAlgorithm::Sha512.digest(&body));
        assert!(!content.is_at(4, 0, &body[..64]));
        // Pieces that changed places would be noticed.
        assert!(!content.is_at(3, PIECE_BYTES as u64, &body[..PIECE_BYTES]));
        body[WHOLE_MAX] ^= 1;
        assert!(!content.is_at(3, 0, &body));
    }

    #[test]
    fn whole_bodies_of_neighbours_differ_and_have_their_digests() {
        let content = Content::new(1, 10_000);
        assert_ne!(content.whole(1, 10_000), content.whole(2, 10_000));
        let body = content.whole(5, 2000);
        assert_eq!(content.digest(5, 2000), DigestAlgorithm::Sha512.digest(&body));
    }
}
