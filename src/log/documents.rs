//! Signature documents that the current segment already holds, so that a batch's document is stored once.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::evidence::SignatureData;
use crate::limits::LOG_DOCUMENTS_REMEMBERED_MAX;

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
}

impl Documents {
    /// Where this document is, if it was stored in this segment lately.
    pub fn offset_of(&self, signature: &SignatureData) -> Option<u64> {
        let same = |document: &&Document| {
            document.signature == signature.signature
                && document.hash_chain_result == signature.hash_chain_result
        };
        self.by_key.get(&key(signature))?.iter().find(same).map(|document| document.offset)
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
        let key = key(signature);
        self.order.push_back(key);
        self.by_key.entry(key).or_default().push(Document {
            signature: signature.signature.clone(),
            hash_chain_result: signature.hash_chain_result.clone(),
            offset,
        });
    }

    /// Forgets what lies at or behind `offset`: it was taken back.
    pub fn forget_from(&mut self, offset: u64) {
        for documents in self.by_key.values_mut() {
            documents.retain(|document| document.offset < offset);
        }
        self.by_key.retain(|_, documents| !documents.is_empty());
        self.order.clear();
        for (key, documents) in &self.by_key {
            self.order.extend(documents.iter().map(|_| *key));
        }
    }
}

// The end of a signature document is its OCSP answers, the same for many documents; the signature value
// in the first part is what differs.
fn key(signature: &SignatureData) -> (usize, u32) {
    let bytes = &signature.signature;
    (bytes.len(), crc32fast::hash(bytes.get(..4096).unwrap_or(bytes)))
}
