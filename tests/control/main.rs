//! The control plane against the sandbox's trust services: in memory with paused time, and over loopback.

mod common;
mod ocsp;
