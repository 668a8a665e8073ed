//! Are the parts of a message what the verified document covers?

use std::sync::{Arc, PoisonError};

use super::super::hash_chain::{ChainInput, ChainPath, ChainRequest, InputValue, read_result, verify_chain};
use super::super::part::{PartName, SIGNATURE_HASH_CHAIN, SIGNATURE_HASH_CHAIN_RESULT};
use super::document::{Read, malformed};
use super::verify::{SignedPart, VerifiedDocument, VerifyMode, VerifyRequest, wrong_value};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::message::{ErrorCode, XRoadError};

/// What was found out about one message of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct CoveredParts {
    /// URIs of covered data that was not at hand.
    pub(super) absent: Vec<String>,
    /// What the message's hash chain says, when it has the usual form.
    pub(super) chain_path: Option<Arc<ChainPath>>,
}

// Every reference must fit what is at hand, and everything at hand, the message always, must be covered.
pub(super) fn check_parts(document: &VerifiedDocument, request: &VerifyRequest<'_>) -> Read<CoveredParts> {
    let references = document.references.as_slice();
    if !request.parts.iter().any(|part| part.name == PartName::Message) {
        return Err(malformed("a signature without its message"));
    }
    if let [(uri, method, digest)] = references
        && uri == SIGNATURE_HASH_CHAIN_RESULT
    {
        let result = request.data.hash_chain_result.as_ref();
        let result = result.ok_or_else(|| malformed("the signature needs a hash chain result"))?;
        let is_known = document.hash_chain_result.as_ref() == Some(result);
        if !is_known && method.digest(result).as_ref() != digest {
            return Err(wrong_value("digest of the hash chain result does not match"));
        }
        return check_hash_chain(document, result, request)
            .map_err(|error| error.within(ErrorCode::MalformedSignature));
    }
    let has_chain = request.data.hash_chain_result.is_some() || request.data.hash_chain.is_some();
    if has_chain && request.mode == VerifyMode::Exchange {
        return Err(malformed("the signature does not refer to the hash chain"));
    }
    let mut absent = Vec::new();
    let mut covered = 0;
    for (uri, method, digest) in references {
        let name = PartName::from_uri(uri).ok_or_else(|| malformed("a reference to something unknown"))?;
        match request.parts.iter().find(|part| part.name == name) {
            Some(part) if part_digest(part, *method)?.as_ref() == digest => covered += 1,
            Some(_) => return Err(wrong_value("digest of a part does not match")),
            None if request.mode == VerifyMode::Container => absent.push(uri.clone()),
            None => {
                let text = format!("the signature refers to {uri}, which is not there");
                return Err(
                    XRoadError::new(ErrorCode::InvalidReference, text).within(ErrorCode::MalformedSignature)
                );
            }
        }
    }
    // Each part and each reference is there once, so counting is comparing.
    if covered < request.parts.len() {
        let error = XRoadError::new(ErrorCode::HashchainUnusedInputs, "a part of the message is not signed");
        return Err(error.within(ErrorCode::MalformedSignature));
    }
    Ok(CoveredParts { absent, chain_path: None })
}

fn part_digest(part: &SignedPart<'_>, method: DigestAlgorithm) -> Read<Digest> {
    if part.digest.algorithm() == method {
        return Ok(part.digest);
    }
    let bytes = part.bytes.ok_or_else(|| wrong_value("a part was digested with another method"))?;
    Ok(method.digest(bytes))
}

fn check_hash_chain(
    document: &VerifiedDocument,
    result: &[u8],
    request: &VerifyRequest<'_>,
) -> Read<CoveredParts> {
    if request.mode == VerifyMode::Exchange
        && let Some(path) = path_from_parts(document, result, request)
    {
        return Ok(CoveredParts { absent: Vec::new(), chain_path: Some(Arc::new(path)) });
    }
    let uris: Vec<_> = request.parts.iter().map(|part| part.name.uri()).collect();
    let in_container = request.mode == VerifyMode::Container;
    let inputs: Vec<ChainInput<'_>> = uris
        .iter()
        .zip(request.parts)
        .map(|(uri, part)| ChainInput {
            uri,
            value: match part.bytes {
                Some(bytes) if in_container => InputValue::Data(bytes),
                _ => InputValue::Digest(part.digest.algorithm(), part.digest.as_ref()),
            },
        })
        .collect();
    let chain = request.data.hash_chain.as_ref().map(|chain| (SIGNATURE_HASH_CHAIN, chain.as_ref()));
    let covered = verify_chain(&ChainRequest {
        result,
        chains: chain.as_slice(),
        inputs: &inputs,
        allow_absent: in_container,
        allow_sha1: request.policy.allow_sha1,
    })?;
    if covered.iter().any(|part| PartName::from_uri(&part.uri).is_none()) {
        return Err(malformed("the hash chain covers something unknown"));
    }
    let absent = covered.into_iter().filter(|part| !part.present).map(|part| part.uri).collect();
    Ok(CoveredParts { absent, chain_path: None })
}

// The chain of nearly every message: in the one usual form, over exactly the parts at hand. Whatever is different is
// left to the strict reader, which says why.
fn path_from_parts(
    document: &VerifiedDocument,
    result: &[u8],
    request: &VerifyRequest<'_>,
) -> Option<ChainPath> {
    let path = ChainPath::read(request.data.hash_chain.as_deref()?, &PartName::Message.uri())?;
    let root = read_result(result, SIGNATURE_HASH_CHAIN)?;
    let digests = path.leaf.digests();
    let mut pairs = digests.iter().zip(request.parts).enumerate();
    let leads = digests.len() == request.parts.len()
        && pairs.all(|(at, (digest, part))| part.name == PartName::at(at) && part.digest == *digest)
        && document.nodes.lock().unwrap_or_else(PoisonError::into_inner).lead(&path, &root);
    leads.then_some(path)
}
