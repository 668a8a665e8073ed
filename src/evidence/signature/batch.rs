use std::sync::Arc;

use bytes::Bytes;

use super::super::hash_chain::{ChainPath, HashTree, Leaf, TreeError};
use super::super::part::SIGNATURE_HASH_CHAIN;
use super::template::{Reference, SignatureTemplate};
use crate::crypto::{Digest, SignError, SigningKey};
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;

/// The signature parts of one message. Cheap to clone; messages of one batch share the bytes of the signature
/// and of the hash chain result.
#[derive(Debug, Clone, Default)]
pub struct SignatureData {
    /// The signature document.
    pub signature: Bytes,
    /// The hash chain result that it signs, for a batch signature.
    pub hash_chain_result: Option<Bytes>,
    /// The hash chain of this message, for a batch signature.
    pub hash_chain: Option<Bytes>,
    /// What that hash chain says, where it was found out already; its XML can be written again from it.
    pub chain_path: Option<Arc<ChainPath>>,
}

impl PartialEq for SignatureData {
    fn eq(&self, other: &Self) -> bool {
        (&self.signature, &self.hash_chain_result, &self.hash_chain)
            == (&other.signature, &other.hash_chain_result, &other.hash_chain)
    }
}

impl Eq for SignatureData {}

impl SignatureData {
    /// A signature over the message itself.
    pub fn single(signature: Bytes) -> Self {
        Self { signature, ..Self::default() }
    }
}

/// Why a batch could not be signed. All of its requests fail together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The requests make no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The key refused or failed.
    #[error(transparent)]
    Key(#[from] SignError),
}

impl From<SigningError> for XRoadError {
    fn from(error: SigningError) -> Self {
        let code = match &error {
            SigningError::Tree(_) => ErrorCode::InternalError,
            SigningError::Key(SignError::Algorithm) => ErrorCode::UnsupportedSignAlgorithm,
            SigningError::Key(_) => ErrorCode::CannotSign,
        };
        let inner = Self::new(code, error.to_string());
        let inner =
            if code == ErrorCode::InternalError { inner } else { inner.within(ErrorCode::CannotSign) };
        inner.within(ErrorCode::CannotCreateSignature)
    }
}

/// Signs requests together; each is the digests of a message's parts, message first, then the attachments.
///
/// One request of one part gets a signature over the message itself. Otherwise one signature covers the root of
/// a hash tree, and each request gets its own chain (`signature.md` 2.1). The digests should be SHA-512: peers
/// digest parts with what the transport message announces.
pub fn sign_batch(
    template: &SignatureTemplate,
    key: &dyn SigningKey,
    now: UnixTime,
    requests: &[Vec<Digest>],
) -> Result<Vec<SignatureData>, SigningError> {
    if let [request] = requests
        && let [digest] = request.as_slice()
    {
        let signature = sign(template, key, Reference::Message, digest, now)?;
        return Ok(vec![SignatureData::single(signature)]);
    }
    let leaf = |request: &Vec<Digest>| match request.as_slice() {
        [digest] => Leaf::Single(*digest),
        digests => Leaf::Parts(digests.to_vec()),
    };
    let tree = HashTree::new(requests.iter().map(leaf).collect())?;
    let result = Bytes::from(tree.result_xml(SIGNATURE_HASH_CHAIN));
    let digest = template.algorithm().digest().digest(&result);
    let signature = sign(template, key, Reference::HashChainResult, &digest, now)?;
    let data = |index| SignatureData {
        signature: signature.clone(),
        hash_chain_result: Some(result.clone()),
        hash_chain: Some(Bytes::from(tree.chain_xml(index, "/message.xml"))),
        chain_path: Some(Arc::new(tree.chain_path(index))),
    };
    Ok((0..tree.len()).map(data).collect())
}

fn sign(
    template: &SignatureTemplate,
    key: &dyn SigningKey,
    reference: Reference,
    digest: &Digest,
    now: UnixTime,
) -> Result<Bytes, SigningError> {
    if key.algorithm() != template.algorithm() {
        return Err(SigningError::Key(SignError::Algorithm));
    }
    let prepared = template.prepare(reference, digest, now);
    let value = key.sign(prepared.signed_info())?;
    Ok(prepared.finish(&value))
}
