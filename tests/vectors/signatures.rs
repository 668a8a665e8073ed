//! Signatures, canonical forms and hash chains.

mod canonical;
mod chains;
mod exchange;
mod hostile;
mod templates;
mod verify;
