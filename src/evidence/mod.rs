//! Signatures, hash chains, containers and time-stamps: made and verified.
//!
//! * [`hash_chain`]: Merkle trees over a batch and the path of one message through them.

mod base64;
pub mod hash_chain;
mod part;

pub use part::{
    PartName, SIGNATURE_DOCUMENT, SIGNATURE_HASH_CHAIN, SIGNATURE_HASH_CHAIN_RESULT, TIMESTAMP_HASH_CHAIN,
    TIMESTAMP_HASH_CHAIN_RESULT,
};
