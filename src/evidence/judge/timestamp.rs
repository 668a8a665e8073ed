//! When the signature of a container existed.

use super::super::asic::Container;
use super::super::hash_chain::{ChainInput, ChainRequest, InputValue, verify_chain};
use super::super::timestamp::{TimestampToken, VerifiedTimestamp};
use super::super::{SIGNATURE_DOCUMENT, TIMESTAMP_HASH_CHAIN};
use super::memory::{Facts, Memory};
use crate::message::{ErrorCode, XRoadError};
use crate::trust::{GlobalConf, Policy};

/// Verifies the container's time-stamp: over the hash chain result when there is one, else over the signature value.
/// `facts` are those of the container's signature document.
pub(super) fn verify(
    container: &Container,
    facts: &Facts,
    global_conf: &GlobalConf,
    policy: &Policy,
    memory: &mut Memory,
) -> Result<VerifiedTimestamp, XRoadError> {
    let token = match (&container.timestamp, &facts.token) {
        (Some(token), None) | (None, Some(token)) => token,
        (Some(_), Some(_)) => {
            return Err(malformed("it has a time-stamp both inside and beside its signature"));
        }
        (None, None) => return Err(malformed("it has no time-stamp")),
    };
    let verify = |data: &[u8]| {
        let parsed = TimestampToken::parse(token)?;
        Ok(parsed.verify(data, global_conf.tsa_certificates(), policy)?)
    };
    let Some(chain) = &container.timestamp_chain else {
        let value = facts.value.as_ref().map_err(Clone::clone);
        return match value {
            Ok(value) => memory.stamp(token, value, || verify(value)),
            // A token that is none is the first thing that is wrong.
            Err(error) => TimestampToken::parse(token).map_err(XRoadError::from).and(Err(error)),
        };
    };
    let verified = memory.stamp(token, &chain.result, || verify(&chain.result))?;
    // The result is what was stamped; only now is it worth following the chain below it.
    let follow = |value| {
        verify_chain(&ChainRequest {
            result: &chain.result,
            chains: &[(TIMESTAMP_HASH_CHAIN, &chain.chain)],
            inputs: &[ChainInput { uri: SIGNATURE_DOCUMENT, value }],
            allow_absent: false,
            allow_sha1: policy.allow_sha1,
        })
    };
    // Most chains have the digest that is known already; another method needs the document.
    follow(InputValue::Digest(facts.digest.algorithm(), facts.digest.as_ref()))
        .or_else(|_| follow(InputValue::Data(&container.signature)))
        .map_err(|error| malformed(&format!("its time-stamp's {error}")))?;
    Ok(verified)
}

fn malformed(what: &str) -> XRoadError {
    XRoadError::new(ErrorCode::MalformedSignature, format!("the container cannot be dated: {what}"))
}
