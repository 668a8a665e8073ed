//! Signatures, canonical forms and hash chains.

mod canonical;
mod chains;
mod exchange;
mod templates;
