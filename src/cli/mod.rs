//! The command line, one file per sub-command.

/// Prints a line on standard output. A reader that has gone away, such as `head`, changes nothing.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($argument)*);
    }};
}

pub mod archive;
pub mod audit;
pub mod backup;
pub mod check;
mod encryption;
pub mod generate;
pub mod log;
pub mod logging;
pub mod manage;
mod ownership;
pub mod registry;
pub mod reload;
pub mod restore;
pub mod run;
pub mod sandbox;
pub mod server;
pub mod setup;
pub mod status;
pub mod token;
pub mod tune;
pub mod upgrade;
pub mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A high-throughput X-Road security server.
///
/// For a first look: `hermod sandbox`. For a server: `hermod setup` until `hermod check` has nothing to say, then
/// `hermod run`.
#[derive(Debug, Parser)]
#[command(name = "hermod", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a server ready: directories, anchor, token, keys, requests, certificates, first registry
    Setup(Box<setup::SetupArgs>),
    /// Run the security server
    Run(run::RunArgs),
    /// Let the running server take over its configuration, keys and certificates as they are now
    Reload(reload::ReloadArgs),
    /// Let the running server hand over to this version, without losing a message
    Upgrade(upgrade::UpgradeArgs),
    /// Show how the running server is: traffic, and what will stop messages, and when
    Status(status::StatusArgs),
    /// Say what would stop this server: configuration, keys, trust, ports
    Check(check::CheckArgs),
    /// Show and change local clients, services and access rights
    Registry(registry::RegistryArgs),
    /// Show the keys of this server and import new ones
    Token(token::TokenArgs),
    /// Search, show, export and check the message log, also while the server runs
    Log(log::LogArgs),
    /// Put time-stamped records into archives now, also while the server runs
    Archive(archive::ArchiveArgs),
    /// Back up what cannot be had again, encrypted, also while the server runs
    Backup(backup::BackupArgs),
    /// Restore a server from its backup
    Restore(restore::RestoreArgs),
    /// Check and print the log of administrative acts
    Audit(audit::AuditArgs),
    /// Ask the instance's management services: registration, clients, address, maintenance
    Manage(manage::ManageArgs),
    /// Write man pages and shell completions, for packages
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
    /// Start a whole ecosystem on loopback and send messages through it
    Sandbox(sandbox::SandboxArgs),
    /// Say what the host could do for speed, and print the files that set it
    Tune(tune::TuneArgs),
    /// Verify containers: who signed what, and when it existed
    Verify(verify::VerifyArgs),
}

/// Parses the command line and runs the chosen sub-command.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Upgrade(args) => upgrade::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Registry(args) => registry::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Log(args) => log::run(&args),
        Command::Archive(args) => archive::run(&args),
        Command::Manage(args) => manage::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
