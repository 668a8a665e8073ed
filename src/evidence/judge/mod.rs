//! The verdict on a container: who signed what, and when it existed.

pub mod conf;
mod digests;
mod memory;
mod message;
mod timestamp;
mod verdict;

use bytes::Bytes;

pub use self::memory::Judge;
use self::memory::{Facts, Memory};
pub use self::verdict::{Attachments, Verdict, Warning};
use super::asic::Container;
use super::hash_chain::{ChainInput, ChainRequest, InputValue, verify_chain};
use super::timestamp::VerifiedTimestamp;
use super::{
    PartName, SIGNATURE_HASH_CHAIN, SignatureData, SignedPart, VerifiedSignature, VerifyMode, VerifyRequest,
};
use crate::crypto::DigestAlgorithm;
use crate::message::{ErrorCode, XRoadError};
use crate::trust::{GlobalConf, Policy};

/// Judges a container against a configuration, at the time of its own time-stamp (`signature.md` 8.1 and its last
/// section). Opens nothing, and needs an amount of time and memory that the limits bound.
///
/// Everything that the verdict shows was taken from the bytes that were verified; of an invalid container it shows
/// nothing but the reason.
pub fn judge(bytes: &Bytes, global_conf: &GlobalConf, policy: &Policy) -> Verdict {
    let judged = Container::parse(bytes)
        .and_then(|container| examine(&container, global_conf, policy, &mut Memory::default()));
    judged.unwrap_or_else(Verdict::invalid)
}

/// The steps, each with its error.
fn examine(
    container: &Container,
    global_conf: &GlobalConf,
    policy: &Policy,
    memory: &mut Memory,
) -> Result<Verdict, XRoadError> {
    let facts = memory.facts(&container.signature)?;
    if !facts.refers_to_message && !facts.refers_to_chain {
        return Err(malformed("the signature does not refer to the message"));
    }
    let stamp = timestamp::verify(container, &facts, global_conf, policy, memory)?;
    let claim = message::claim(&container.message)?;
    let parts = parts(container);
    let data = signature_data(container);
    let signature = memory
        .signature(&VerifyRequest {
            data: &data,
            parts: &parts,
            signer: &claim.signer,
            at: stamp.time,
            global_conf,
            policy,
            mode: VerifyMode::Container,
        })
        .map_err(|error| {
            chain_fault(container, &facts, policy).filter(|_| is_value_fault(&error)).unwrap_or(error)
        })?;
    refuse_uncovered_entries(container)?;
    Ok(Verdict {
        error: None,
        attachments: attachments(container, &signature)?,
        warnings: warnings(container, &facts, claim.has_duplicate_header, &stamp, &signature),
        signer: Some(claim.signer),
        signing_certificate: Some(signature.sign_certificate().clone()),
        time: Some(stamp.time),
        timestamp_authority: Some(stamp.authority),
    })
}

fn malformed(what: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::MalformedSignature, what)
}

/// The message and all attachments that are there, with their bytes.
fn parts(container: &Container) -> Vec<SignedPart<'_>> {
    let attachments =
        container.attachments.iter().map(|(number, data)| (PartName::Attachment(*number), data));
    std::iter::once((PartName::Message, &container.message))
        .chain(attachments)
        .map(|(name, data)| SignedPart {
            name,
            digest: DigestAlgorithm::Sha512.digest(data),
            bytes: Some(data),
        })
        .collect()
}

fn signature_data(container: &Container) -> SignatureData {
    let files = container.signature_chain.as_ref();
    SignatureData {
        signature: container.signature.clone(),
        hash_chain_result: files.map(|files| files.result.clone()),
        hash_chain: files.map(|files| files.chain.clone()),
        chain_path: None,
    }
}

/// Chain files by any name may lie around unused, as may what the ASiC standard keeps in `META-INF`; everything else
/// would be taken for part of the evidence by whoever opens the container.
fn refuse_uncovered_entries(container: &Container) -> Result<(), XRoadError> {
    match container.other_entries.iter().find(|name| !is_unused_chain(name) && !name.starts_with("META-INF/"))
    {
        None => Ok(()),
        Some(name) => {
            let text = format!("the container has an entry {name:?} that nothing vouches for");
            Err(XRoadError::new(ErrorCode::InvalidReference, text))
        }
    }
}

fn is_unused_chain(name: &str) -> bool {
    matches!(name, "hashchain.xml" | "hashchainresult.xml")
}

/// What was signed, divided into what is there and what is not.
fn attachments(container: &Container, signature: &VerifiedSignature) -> Result<Attachments, XRoadError> {
    let mut absent = Vec::new();
    for uri in signature.absent() {
        match PartName::from_uri(uri) {
            Some(PartName::Attachment(number)) => absent.push(number),
            _ => {
                return Err(XRoadError::new(
                    ErrorCode::InvalidReference,
                    format!("{uri} is signed but not there"),
                ));
            }
        }
    }
    absent.sort_unstable();
    Ok(Attachments { verified: container.attachments.keys().copied().collect(), absent })
}

fn is_value_fault(error: &XRoadError) -> bool {
    error.is(ErrorCode::InvalidSignatureValue)
}

/// What is wrong with the hash chain of a signature whose value does not hold: official servers look at the chain
/// first and name its fault. It has been refused by now; this only finds the better word for it.
fn chain_fault(container: &Container, facts: &Facts, policy: &Policy) -> Option<XRoadError> {
    let files = container.signature_chain.as_ref().filter(|_| facts.refers_to_chain)?;
    let request = ChainRequest {
        result: &files.result,
        chains: &[(SIGNATURE_HASH_CHAIN, &files.chain)],
        inputs: &[ChainInput { uri: "/message.xml", value: InputValue::Data(&container.message) }],
        allow_absent: true,
        allow_sha1: policy.allow_sha1,
    };
    let error = verify_chain(&request).err()?;
    Some(XRoadError::from(error).within(ErrorCode::MalformedSignature))
}

fn warnings(
    container: &Container,
    facts: &Facts,
    has_duplicate_header: bool,
    stamp: &VerifiedTimestamp,
    signature: &VerifiedSignature,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let has_stray_chain = container.other_entries.iter().any(|name| is_unused_chain(name));
    if has_stray_chain || (container.signature_chain.is_some() && !facts.refers_to_chain) {
        warnings.push(Warning::UnusedHashChain);
    }
    let unknown = container.other_entries.iter().filter(|name| !is_unused_chain(name));
    warnings.extend(unknown.cloned().map(Warning::UnknownEntry));
    if has_duplicate_header {
        warnings.push(Warning::DuplicateIdentityHeader);
    }
    if stamp.is_legacy || signature.warnings().iter().any(|warning| *warning != "future_ocsp") {
        warnings.push(Warning::LegacyAlgorithm);
    }
    if signature.warnings().contains(&"future_ocsp") {
        warnings.push(Warning::FutureOcsp);
    }
    warnings
}
