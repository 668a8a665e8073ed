//! Messages that were verified. Only [`verify`] makes one, and only with one is a message delivered.

use std::time::Instant;

use super::context::Worker;
use super::counters::Phase;
use super::incoming::Incoming;
use super::repeats::{Fingerprint, fingerprint};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::{PartName, SignatureData, SignedPart, VerifiedSignature, VerifyMode, VerifyRequest};
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::trust::TrustSnapshot;

/// A message whose signature covers every part of it and was made by the member that it is said to be from.
#[derive(Debug)]
pub struct Verified<M> {
    /// The message.
    pub message: M,
    /// Its signature, as it is logged.
    pub signature: SignatureData,
    /// Who signed.
    pub signer: VerifiedSignature,
    /// By which a copy of it is known again.
    pub fingerprint: Fingerprint,
    /// SHA-512 of the message part.
    pub message_digest: Digest,
}

/// Step: verifies the signature of a received message against `signer`, for now. Each signature document is verified
/// once; other messages of its batch are checked against the verified root. Error: `signature_verification…`.
pub fn verify<M>(
    worker: &Worker,
    trust: &TrustSnapshot,
    incoming: &Incoming,
    message_bytes: &[u8],
    signer: &ClientId,
    message: M,
) -> Result<Verified<M>, XRoadError> {
    let signature = incoming.signature()?;
    let message_digest = DigestAlgorithm::Sha512.digest(message_bytes);
    let digests = incoming.part_digests(message_digest);
    let parts: Vec<SignedPart<'_>> = digests
        .iter()
        .map(|(name, digest)| SignedPart {
            name: *name,
            digest: *digest,
            bytes: (*name == PartName::Message).then_some(message_bytes),
        })
        .collect();
    let request = VerifyRequest {
        data: &signature,
        parts: &parts,
        signer,
        at: worker.now(),
        global_conf: &trust.global_conf,
        policy: &trust.policy,
        mode: VerifyMode::Exchange,
    };
    let (began, counters) = (Instant::now(), &worker.shared.counters);
    let verified = worker.shared.verified.verify(&request, &trust.global_conf);
    counters.verified(matches!(verified, Ok((_, true))));
    counters.phase(Phase::Verify, began);
    let (signer, _) = verified.map_err(|error| error.within(ErrorCode::SignatureVerification))?;
    let signature = signer.shared(signature.hash_chain);
    let fingerprint = fingerprint(message_digest.as_ref(), signer.signature_value());
    Ok(Verified { message, signature, signer, fingerprint, message_digest })
}
