//! The command line, one file per sub-command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod logging;
pub mod registry;
pub mod sandbox;
pub mod verify;

/// A high-throughput X-Road security server.
#[derive(Debug, Parser)]
#[command(name = "hermod", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show and change local clients, services and access rights
    Registry(registry::RegistryArgs),
    /// Start a whole ecosystem on loopback and send messages through it
    Sandbox(sandbox::SandboxArgs),
    /// Verify containers: who signed what, and when it existed
    Verify(verify::VerifyArgs),
}

/// Parses the command line and runs the chosen sub-command.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Registry(args) => registry::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}
