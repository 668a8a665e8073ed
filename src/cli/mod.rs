//! The command line, one file per sub-command.

pub mod logging;
pub mod registry;
pub mod sandbox;

/// Parses the command line and runs the chosen sub-command.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
