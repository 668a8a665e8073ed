//! `hermod reload`: the running server takes over its configuration, keys and certificates as they are now.

use std::process::ExitCode;

use clap::Args;

use super::server::ServerArgs;
use crate::appliance::commands::{Command, ask};

/// Arguments of `hermod reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// 0 when what was read is in force, 1 when it was refused and everything is as it was.
pub fn run(args: &ReloadArgs) -> ExitCode {
    let done = args
        .server
        .config()
        .map_err(|error| error.to_string())
        .and_then(|config| ask(&config.root, &Command::Reload));
    match done {
        Ok(done) => {
            say!("{done}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("refused, everything stays as it was: {reason}");
            ExitCode::FAILURE
        }
    }
}
