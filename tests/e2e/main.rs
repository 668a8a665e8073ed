//! End to end: messages through the real binary, in an ecosystem of its own on loopback.
//!
//! Every test starts the servers that it needs and goes through a list of cases; what fails names its case. The flows
//! run on both runtimes; where the host refuses io_uring the test says *skipped* and why.

#![allow(clippy::unwrap_used)]

mod archive;
mod backend;
mod backup;
mod captures;
mod connections;
mod countdowns;
mod durability;
mod errors;
mod failover;
mod federation;
mod http;
mod log_command;
mod management;
mod monitoring;
mod operation;
mod outages;
mod policy;
mod selection;
mod service;
mod setup;
mod soap;
mod traps;
mod world;
