//! Vectors and captured traffic of official servers, decoded, verified and re-made.
//! They are read from `../shared/vectors` when it is there; a test that skips says so.

#![allow(clippy::unwrap_used)]

mod captures;
mod common;
mod configuration_client;
mod containers;
mod crypto;
mod message;
mod registry;
mod signatures;
mod signer;
mod signer_selection;
mod transport;
mod traps;
mod trust;
