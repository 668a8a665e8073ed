//! Signatures, hash chains, containers and time-stamps: made and verified.
//!
//! * [`SignatureTemplate`], [`sign_batch`]: XAdES signatures without a DOM.
//! * [`verify`], [`VerificationCache`]: signatures checked in full, or once for a whole batch.
//! * [`hash_chain`]: Merkle trees over a batch and the path of one message through them.
//! * [`asic`]: ASiC-E containers, read strictly and written as official servers write them.
//! * [`judge()`], [`Judge`]: the verdict on a container, or on many, at the time of their time-stamps; [`conf`]: what it is judged by.
//! * [`message_archive`]: containers of many messages in one ZIP, chained or not.
//! * [`timestamp`]: RFC 3161 time-stamps, single and batch.

pub mod asic;
mod base64;
pub mod hash_chain;
mod judge;
pub mod message_archive;
mod part;
mod signature;
pub mod timestamp;

pub use judge::{Attachments, Judge, Verdict, Warning, conf, judge};
pub use part::{
    PartName, SIGNATURE_DOCUMENT, SIGNATURE_HASH_CHAIN, SIGNATURE_HASH_CHAIN_RESULT, TIMESTAMP_HASH_CHAIN,
    TIMESTAMP_HASH_CHAIN_RESULT,
};
pub use signature::{
    Prepared, Reference, SharedVerificationCache, SignatureData, SignatureTemplate, SignedPart, SigningError,
    VerificationCache, VerifiedSignature, VerifyMode, VerifyRequest, sign_batch, verify, verify_by,
};
