//! When the signature of a container existed.

use super::super::asic::Container;
use super::super::hash_chain::{ChainInput, ChainRequest, InputValue, verify_chain};
use super::super::timestamp::{TimestampToken, VerifiedTimestamp, embedded_token, signature_value};
use super::super::{SIGNATURE_DOCUMENT, TIMESTAMP_HASH_CHAIN};
use crate::message::{ErrorCode, XRoadError};
use crate::trust::{GlobalConf, Policy};
use crate::xml::Document;

/// Verifies the container's time-stamp: over the hash chain result when there is one, else over the signature value.
/// `document` is the container's signature document.
pub(super) fn verify(
    container: &Container,
    document: &Document<'_>,
    global_conf: &GlobalConf,
    policy: &Policy,
) -> Result<VerifiedTimestamp, XRoadError> {
    let embedded = embedded_token(document)?;
    let token = match (&container.timestamp, &embedded) {
        (Some(token), None) => token.as_ref(),
        (None, Some(token)) => token.as_slice(),
        (Some(_), Some(_)) => {
            return Err(malformed("it has a time-stamp both inside and beside its signature"));
        }
        (None, None) => return Err(malformed("it has no time-stamp")),
    };
    let token = TimestampToken::parse(token)?;
    let authorities = global_conf.tsa_certificates();
    let Some(chain) = &container.timestamp_chain else {
        return Ok(token.verify(&signature_value(document)?, authorities, policy)?);
    };
    let verified = token.verify(&chain.result, authorities, policy)?;
    // The result is what was stamped; only now is it worth following the chain below it.
    verify_chain(&ChainRequest {
        result: &chain.result,
        chains: &[(TIMESTAMP_HASH_CHAIN, &chain.chain)],
        inputs: &[ChainInput { uri: SIGNATURE_DOCUMENT, value: InputValue::Data(&container.signature) }],
        allow_absent: false,
        allow_sha1: policy.allow_sha1,
    })
    .map_err(|error| malformed(&format!("its time-stamp's {error}")))?;
    Ok(verified)
}

fn malformed(what: &str) -> XRoadError {
    XRoadError::new(ErrorCode::MalformedSignature, format!("the container cannot be dated: {what}"))
}
