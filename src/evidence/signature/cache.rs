use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};

use super::verify::{VerifiedDocument, VerifiedSignature, VerifyRequest, verify, verify_again};
use crate::limits::VERIFIED_SIGNATURES_MAX;
use crate::message::XRoadError;
use crate::time::UnixTime;
use crate::trust::{GlobalConf, Policy};

/// Signature documents that were verified a short while ago.
///
/// All messages of a peer's batch carry the same document; for all but the first, only the digests of the parts
/// and the hash chain are left to check. A document counts as the same when **all** of its bytes are the same and
/// the same member must have signed; it counts for as long as its certificates and OCSP responses do, under the
/// same configuration and policy. Refusals are not remembered.
#[derive(Debug)]
pub struct VerificationCache {
    // Held, so that another configuration cannot come to stand at the same address.
    global_conf: Option<Arc<GlobalConf>>,
    policy: Policy,
    // Two generations: when the younger is full, the older is dropped.
    young: HashMap<Document, Entry>,
    old: HashMap<Document, Entry>,
    generation_max: usize,
    hits: u64,
}

impl Default for VerificationCache {
    fn default() -> Self {
        Self::with_room(VERIFIED_SIGNATURES_MAX)
    }
}

#[derive(Debug, Clone)]
struct Entry {
    verified: Arc<VerifiedDocument>,
    verified_at: UnixTime,
}

/// Equal only when all bytes are; the hash, which only finds candidates, looks at a window.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Document(Bytes);

impl Hash for Document {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Where official servers and this one have the digests and the signature value.
        const WINDOW: std::ops::Range<usize> = 768..1792;
        self.0.len().hash(state);
        let window = self.0.get(WINDOW.start..WINDOW.end.min(self.0.len()));
        state.write(window.unwrap_or(&self.0));
    }
}

// A document with many certificates is rare, and would crowd out the others.
const REMEMBERED_BYTES_MAX: usize = 32 * 1024;

impl VerificationCache {
    /// An empty cache; one for each worker.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_room(documents: usize) -> Self {
        Self {
            global_conf: None,
            policy: Policy::default(),
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: documents / 2,
            hits: 0,
        }
    }

    /// As [`verify`], doing only what depends on the message when the document was verified before.
    /// `global_conf` must be what `request.global_conf` refers to; otherwise nothing is remembered.
    pub fn verify(
        &mut self,
        request: &VerifyRequest<'_>,
        global_conf: &Arc<GlobalConf>,
    ) -> Result<VerifiedSignature, XRoadError> {
        if !std::ptr::eq(Arc::as_ptr(global_conf), request.global_conf) {
            return verify(request);
        }
        match self.known(request, global_conf) {
            Some(verified) => verify_again(&verified, request),
            None => self.verify_first(request),
        }
    }

    /// The document of `request`, if it was verified before.
    fn known(
        &mut self,
        request: &VerifyRequest<'_>,
        global_conf: &Arc<GlobalConf>,
    ) -> Option<Arc<VerifiedDocument>> {
        let same_conf = self.global_conf.as_ref().is_some_and(|held| Arc::ptr_eq(held, global_conf));
        if !same_conf || self.policy != *request.policy {
            self.young.clear();
            self.old.clear();
            self.global_conf = Some(global_conf.clone());
            self.policy = *request.policy;
        }
        let found = self.find(&Document(request.data.signature.clone()), request)?;
        self.hits += 1;
        Some(found)
    }

    /// Verifies all of it, and remembers the document under the configuration of the last [`known`](Self::known).
    fn verify_first(&mut self, request: &VerifyRequest<'_>) -> Result<VerifiedSignature, XRoadError> {
        let verified = verify(request)?;
        let key = Document(verified.document.bytes.clone());
        if key.0.len() <= REMEMBERED_BYTES_MAX {
            self.insert(key, Entry { verified: verified.document.clone(), verified_at: request.at });
        }
        Ok(verified)
    }

    /// How many messages needed no public-key operation.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    fn find(&mut self, key: &Document, request: &VerifyRequest<'_>) -> Option<Arc<VerifiedDocument>> {
        let entry = match self.young.get(key) {
            Some(entry) => entry.clone(),
            None => {
                let (key, entry) = self.old.remove_entry(key)?;
                self.insert(key, entry.clone());
                entry
            }
        };
        let in_time = entry.verified_at <= request.at && request.at <= entry.verified.valid_until;
        (in_time && entry.verified.member == request.signer.member()).then_some(entry.verified)
    }

    fn insert(&mut self, key: Document, entry: Entry) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

const SHARDS: usize = 16;

/// A [`VerificationCache`] for many threads.
///
/// The messages of a batch arrive at all workers at once. The first one verifies the document while the others wait
/// for it, which costs them less than doing the same work beside it; what depends on the message is checked outside
/// of the lock. A document that takes long holds up only those that share its shard.
#[derive(Debug)]
pub struct SharedVerificationCache {
    shards: [Mutex<VerificationCache>; SHARDS],
}

impl Default for SharedVerificationCache {
    fn default() -> Self {
        let shard = |_| Mutex::new(VerificationCache::with_room(VERIFIED_SIGNATURES_MAX / SHARDS));
        Self { shards: std::array::from_fn(shard) }
    }
}

impl SharedVerificationCache {
    /// As [`VerificationCache::verify`]; also says whether the document was known.
    pub fn verify(
        &self,
        request: &VerifyRequest<'_>,
        global_conf: &Arc<GlobalConf>,
    ) -> Result<(VerifiedSignature, bool), XRoadError> {
        if !std::ptr::eq(Arc::as_ptr(global_conf), request.global_conf) {
            return Ok((verify(request)?, false));
        }
        let mut cache = self.shard(&request.data.signature).lock().unwrap_or_else(PoisonError::into_inner);
        match cache.known(request, global_conf) {
            Some(verified) => {
                drop(cache);
                Ok((verify_again(&verified, request)?, true))
            }
            None => Ok((cache.verify_first(request)?, false)),
        }
    }

    fn shard(&self, document: &[u8]) -> &Mutex<VerificationCache> {
        // A few bytes where the signature value stands tell documents apart.
        let sample = document.get(1024..1040).unwrap_or(document);
        let sum = sample
            .iter()
            .fold(document.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        &self.shards[sum % SHARDS]
    }
}
