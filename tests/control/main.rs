//! The control plane against the sandbox's trust services: in memory with paused time, and over loopback.

#![allow(clippy::unwrap_used)]

mod common;
mod configuration;
mod ocsp;
mod tsa;
