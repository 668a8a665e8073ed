//! What containers have in common is judged once: a batch's signature document, a time-stamp over many.

use std::sync::Arc;

use bytes::Bytes;

use super::super::asic::Container;
use super::super::timestamp::{VerifiedTimestamp, embedded_token, signature_value};
use super::super::{SIGNATURE_HASH_CHAIN_RESULT, VerificationCache, VerifiedSignature, VerifyRequest};
use super::{Verdict, examine};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::limits;
use crate::message::{ErrorCode, XRoadError};
use crate::trust::{GlobalConf, Policy};
use crate::xml::{Document, Limits, Node};

/// Signature documents and time-stamps whose verdicts are remembered.
const REMEMBERED_MAX: usize = 64;

/// Judges many containers by one configuration, as [`judge()`](super::judge) judges one.
///
/// A verdict is remembered for whole documents: it counts again only where **all** bytes are the same. What ties a
/// message to them (digests, hash chains, the signer that it names) is checked for each container.
#[derive(Debug)]
pub struct Judge {
    pub(super) global_conf: Arc<GlobalConf>,
    pub(super) policy: Policy,
    pub(super) memory: Memory,
}

impl Judge {
    /// Remembers nothing yet.
    pub fn new(global_conf: Arc<GlobalConf>, policy: Policy) -> Self {
        let memory = Memory { global_conf: Some(Arc::clone(&global_conf)), ..Memory::default() };
        Self { global_conf, policy, memory }
    }

    /// The verdict on a container that was never packed. `container` must not have been read more tolerantly than
    /// [`Container::parse`] reads.
    pub fn judge(&mut self, container: &Container) -> Verdict {
        examine(container, &self.global_conf, &self.policy, &mut self.memory).unwrap_or_else(Verdict::invalid)
    }

    /// How many containers needed no public-key operation for their signature.
    pub fn hits(&self) -> u64 {
        self.memory.signatures.hits()
    }
}

/// What has been judged before. Without a configuration signatures are not remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    global_conf: Option<Arc<GlobalConf>>,
    signatures: VerificationCache,
    documents: Recent<Bytes, Arc<Facts>>,
    stamps: Recent<(Bytes, Bytes), VerifiedTimestamp>,
}

impl Memory {
    /// What a signature document says.
    pub fn facts(&mut self, signature: &Bytes) -> Result<Arc<Facts>, XRoadError> {
        if let Some(facts) = self.documents.find(signature) {
            return Ok(Arc::clone(facts));
        }
        let facts = Arc::new(Facts::read(signature)?);
        self.documents.insert(signature.clone(), Arc::clone(&facts));
        Ok(facts)
    }

    /// A signature, in full or what differs from one document's message to the next.
    pub fn signature(&mut self, request: &VerifyRequest<'_>) -> Result<VerifiedSignature, XRoadError> {
        match &self.global_conf {
            Some(global_conf) => self.signatures.verify(request, global_conf),
            None => super::super::verify(request),
        }
    }

    /// A time-stamp over data, verified with `verify` when both were not met before.
    pub fn stamp(
        &mut self,
        token: &Bytes,
        data: &Bytes,
        verify: impl FnOnce() -> Result<VerifiedTimestamp, XRoadError>,
    ) -> Result<VerifiedTimestamp, XRoadError> {
        let key = (token.clone(), data.clone());
        if let Some(stamp) = self.stamps.find(&key) {
            return Ok(stamp.clone());
        }
        let stamp = verify()?;
        self.stamps.insert(key, stamp.clone());
        Ok(stamp)
    }
}

/// What was met lately, the latest last.
#[derive(Debug)]
struct Recent<K, V>(Vec<(K, V)>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Recent<K, V> {
    fn find(&self, key: &K) -> Option<&V> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }
}

/// What a signature document says besides what its verification looks at.
#[derive(Debug)]
pub(super) struct Facts {
    /// It refers to the message itself.
    pub refers_to_message: bool,
    /// It refers to a hash chain result.
    pub refers_to_chain: bool,
    /// The time-stamp in it.
    pub token: Option<Bytes>,
    /// The decoded signature value, which a single time-stamp covers.
    pub value: Result<Bytes, XRoadError>,
    /// Its digest, as hash chains of time-stamps have it.
    pub digest: Digest,
}

impl Facts {
    fn read(signature: &[u8]) -> Result<Self, XRoadError> {
        let limits = Limits::bytes(limits::SIGNATURE_BYTES_MAX);
        let document = Document::parse(signature, &limits).map_err(|error| {
            let text = format!("the signature document is not XML: {error}");
            XRoadError::new(ErrorCode::InvalidXml, text)
        })?;
        Ok(Self {
            refers_to_message: refers_to(&document, "/message.xml"),
            refers_to_chain: refers_to(&document, SIGNATURE_HASH_CHAIN_RESULT),
            token: embedded_token(&document)?.map(Bytes::from),
            value: signature_value(&document).map(Bytes::from).map_err(XRoadError::from),
            digest: DigestAlgorithm::Sha512.digest(signature),
        })
    }
}

fn refers_to(document: &Document<'_>, uri: &str) -> bool {
    let is_reference = |node: Node<'_>| node.local() == "Reference" && node.attribute("URI") == Some(uri);
    document.root().descendants().any(is_reference)
}
