//! Signature documents that the current segment already holds, so that a batch's document is stored once, and of
//! the documents of one signer only what differs.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use foldhash::HashMap;
use memchr::memmem;

use crate::evidence::SignatureData;
use crate::limits::{LOG_DOCUMENTS_REMEMBERED_MAX, LOG_SIGNERS_REMEMBERED_MAX};

#[derive(Debug)]
struct Document {
    signature: Bytes,
    hash_chain_result: Option<Bytes>,
    offset: u64,
}

/// Documents by a cheap key; equality is always decided on all bytes.
#[derive(Debug, Default)]
pub(super) struct Documents {
    by_key: HashMap<(usize, u32), Vec<Document>>,
    order: VecDeque<(usize, u32)>,
    /// Of each signer the document that its others are compared with.
    models: HashMap<(usize, u32), Model>,
    /// The last ones, newest first, by the memory that the messages of their batches share.
    in_turn: VecDeque<(SignatureData, u64)>,
}

/// Batches whose messages arrive in turn: those of requests and those of responses.
const IN_TURN_MAX: usize = 8;

/// A document that is stored whole.
#[derive(Debug)]
pub(super) struct Model {
    pub signature: Bytes,
    pub offset: u64,
    /// Where it is a second time, once another document depends on it.
    pub copy: Option<u64>,
}

impl Documents {
    /// Where this document is, if it was stored in this segment lately.
    pub fn offset_of(&mut self, signature: &SignatureData) -> Option<u64> {
        let is_it = |(known, _): &&(SignatureData, u64)| is_same_memory(known, signature);
        if let Some((_, offset)) = self.in_turn.iter().find(is_it) {
            return Some(*offset);
        }
        let offset = self.find(signature)?;
        self.note_in_turn(signature, offset);
        Some(offset)
    }

    fn find(&self, signature: &SignatureData) -> Option<u64> {
        let same = |document: &&Document| {
            document.signature == signature.signature
                && document.hash_chain_result == signature.hash_chain_result
        };
        self.by_key.get(&key(&signature.signature))?.iter().find(same).map(|document| document.offset)
    }

    fn note_in_turn(&mut self, signature: &SignatureData, offset: u64) {
        self.in_turn.truncate(IN_TURN_MAX - 1);
        self.in_turn
            .push_front((SignatureData { hash_chain: None, chain_path: None, ..signature.clone() }, offset));
    }

    /// A document that this one can be stored as similar to, and the places that differ.
    pub fn similar(&mut self, signature: &SignatureData) -> Option<(&mut Model, Vec<Range<usize>>)> {
        let model = self.models.get_mut(&signer_key(&signature.signature)?)?;
        let differing = differing(&model.signature, &signature.signature)?;
        Some((model, differing))
    }

    /// Remembers a document that was stored whole.
    pub fn insert_whole(&mut self, signature: &SignatureData, offset: u64) {
        self.insert(signature, offset);
        let Some(key) = signer_key(&signature.signature) else { return };
        if self.models.len() >= LOG_SIGNERS_REMEMBERED_MAX {
            self.models.clear();
        }
        let signature = copy(&signature.signature);
        self.models.insert(key, Model { signature, offset, copy: None });
    }

    /// Remembers a document; the oldest is forgotten when there are too many.
    pub fn insert(&mut self, signature: &SignatureData, offset: u64) {
        if self.order.len() >= LOG_DOCUMENTS_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
            && let Some(documents) = self.by_key.get_mut(&oldest)
        {
            documents.remove(0);
            if documents.is_empty() {
                self.by_key.remove(&oldest);
            }
        }
        self.note_in_turn(signature, offset);
        let key = key(&signature.signature);
        self.order.push_back(key);
        self.by_key.entry(key).or_default().push(Document {
            signature: copy(&signature.signature),
            hash_chain_result: signature.hash_chain_result.as_ref().map(copy),
            offset,
        });
    }

    /// Forgets what lies at or behind `offset`: it was taken back.
    pub fn forget_from(&mut self, offset: u64) {
        self.in_turn.clear();
        for documents in self.by_key.values_mut() {
            documents.retain(|document| document.offset < offset);
        }
        self.by_key.retain(|_, documents| !documents.is_empty());
        self.order.clear();
        for (key, documents) in &self.by_key {
            self.order.extend(documents.iter().map(|_| *key));
        }
        self.models.retain(|_, model| model.offset < offset);
        for model in self.models.values_mut() {
            model.copy = model.copy.filter(|copy| *copy < offset);
        }
    }
}

// As long as the one is kept, nothing else can come to stand in its place.
fn is_same_memory(one: &SignatureData, other: &SignatureData) -> bool {
    let place = |bytes: &Bytes| (bytes.as_ptr(), bytes.len());
    place(&one.signature) == place(&other.signature)
        && one.hash_chain_result.as_ref().map(place) == other.hash_chain_result.as_ref().map(place)
}

// A slice of what a peer sent would hold its whole receive buffer.
fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

// The end of a signature document is its OCSP answers, the same for many documents; the signature value
// in the first part is what differs.
fn key(bytes: &[u8]) -> (usize, u32) {
    (bytes.len(), crc32fast::hash(bytes.get(..4096).unwrap_or(bytes)))
}

/// Of a shorter document nothing would be saved.
const SIMILAR_BYTES_MIN: usize = 1024;

// The documents of one signer are of one length and carry its certificate.
fn signer_key(bytes: &[u8]) -> Option<(usize, u32)> {
    const CERTIFICATE: &[u8] = b"X509Certificate>";
    if bytes.len() < SIMILAR_BYTES_MIN {
        return None;
    }
    let at = memmem::find(bytes, CERTIFICATE)? + CERTIFICATE.len();
    Some((bytes.len(), crc32fast::hash(bytes.get(at..at + 256)?)))
}

/// Where two documents of one length differ, in steps of some bytes; `None` when that is no small part of them.
fn differing(one: &[u8], other: &[u8]) -> Option<Vec<Range<usize>>> {
    const STEP: usize = 16;
    if one.len() != other.len() {
        return None;
    }
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, (one, other)) in one.chunks(STEP).zip(other.chunks(STEP)).enumerate() {
        if one == other {
            continue;
        }
        let range = at * STEP..at * STEP + other.len();
        bytes += range.len();
        match ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    (bytes + 8 * ranges.len() <= one.len() / 2).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found_wherever_it_is() {
        let one: Vec<u8> = (0..1000_u32).map(|at| at as u8).collect();
        for at in 0..one.len() {
            let mut other = one.clone();
            other[at] ^= 1;
            let ranges = differing(&one, &other).unwrap();
            assert_eq!(ranges.len(), 1);
            assert!(ranges[0].contains(&at) && ranges[0].len() <= 16);
        }
        assert_eq!(differing(&one, &one), Some(Vec::new()));
        assert_eq!(differing(&one, &one[1..]), None);
        assert_eq!(differing(&one, &vec![0; 1000]), None);
    }
}
