//! XAdES signatures: written from a template, read, verified.

mod batch;
mod cache;
mod document;
mod names;
mod parts;
mod properties;
mod template;
mod verify;

pub use batch::{SignatureData, SigningError, sign_batch};
pub use cache::{SharedVerificationCache, VerificationCache};
pub use template::{Prepared, Reference, SignatureTemplate};
pub use verify::{SignedPart, VerifiedSignature, VerifyMode, VerifyRequest, verify, verify_by};

#[cfg(test)]
mod tests;
