//! Batch time-stamps: one token over a tree of many signature documents.

use bytes::Bytes;

use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::hash_chain::{HashTree, Leaf, TreeError};
use crate::evidence::{SIGNATURE_DOCUMENT, TIMESTAMP_HASH_CHAIN};

/// What a batch of signatures needs to be stamped together (`signature.md` 5.1).
///
/// After this no byte of the signature documents may change.
#[derive(Debug)]
pub struct TimestampBatch {
    tree: HashTree,
    result: Bytes,
}

impl TimestampBatch {
    /// Over the digests of complete signature documents, in record order; at least two, all of one algorithm.
    ///
    /// # Errors
    /// [`TreeError`] for less than two or for mixed algorithms.
    pub fn new(signature_digests: &[Digest]) -> Result<Self, TreeError> {
        let tree = HashTree::new(signature_digests.iter().copied().map(Leaf::Single).collect())?;
        let result = tree.result_xml(TIMESTAMP_HASH_CHAIN).into();
        Ok(Self { tree, result })
    }

    /// The value over all signature documents.
    pub fn root(&self) -> &Digest {
        self.tree.root()
    }

    /// `ts-hashchainresult.xml`, the same for all.
    pub fn result(&self) -> &Bytes {
        &self.result
    }

    /// What the time-stamping authority is asked to stamp.
    pub fn imprint(&self, algorithm: DigestAlgorithm) -> Digest {
        algorithm.digest(&self.result)
    }

    /// `ts-hashchain.xml` of the signature document at `index`; `None` when there are not that many.
    pub fn chain(&self, index: usize) -> Option<Bytes> {
        (index < self.tree.len()).then(|| self.tree.chain_xml(index, SIGNATURE_DOCUMENT).into())
    }
}
