//! `hermod sandbox`: a whole ecosystem on loopback, for a first look and as a self-test.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::sandbox::{KeyType, RuntimeChoice};

/// Starts a certificate authority, an OCSP responder, a time-stamping authority, a configuration source, example
/// services and two or more security servers on loopback addresses, and sends messages through them.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Send this many messages from 32 callers, time-stamp and verify everything, and end
    #[arg(long, value_name = "N")]
    pub messages: Option<usize>,
    /// Print one JSON object on standard output and everything else on standard error
    #[arg(long, requires = "messages")]
    pub json: bool,
    /// Keep keys, addresses, configuration and logs in this directory, for a second start
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Security servers: one for the consumer, the others for providers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=9))]
    pub servers: u8,
    /// How the security servers do input and output
    #[arg(long, value_enum, default_value_t)]
    pub runtime: RuntimeChoice,
    /// Kind of all keys
    #[arg(long, value_enum, default_value_t)]
    pub key_type: KeyType,
}

/// Runs the sandbox. Success only if every message was exchanged and verified.
pub fn run(args: &SandboxArgs) -> ExitCode {
    let _ = args;
    ExitCode::FAILURE
}
