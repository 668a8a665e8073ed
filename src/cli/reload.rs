//! `hermod reload`: the running server takes over its configuration, keys and certificates as they are now.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::appliance::commands::{Command, ask};
use crate::config::{Config, DEFAULT_FILE};

/// Arguments of `hermod reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// The server's configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// 0 when what was read is in force, 1 when it was refused and everything is as it was.
pub fn run(args: &ReloadArgs) -> ExitCode {
    let done = Config::load(&args.config)
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
