//! XAdES signatures: written from a template, read, verified.

mod batch;
mod names;
mod template;

pub use batch::{SignatureData, SigningError, sign_batch};
pub use template::{Prepared, Reference, SignatureTemplate};

#[cfg(test)]
mod tests;
