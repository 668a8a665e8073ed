//! `hermod upgrade`: the running server hands its ports and its log over to this version, without losing a message.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::server::ServerArgs;
use crate::appliance::commands::{Command, ask};
use crate::appliance::{Finding, examine_beside};
use crate::time::SystemClock;

/// Arguments of `hermod upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The program to hand over to, instead of this one
    #[arg(long, value_name = "PROGRAM")]
    binary: Option<PathBuf>,
}

/// 0 when the new version runs, 1 when the old one still does, with the reason.
pub fn run(args: &UpgradeArgs) -> ExitCode {
    match upgrade(args) {
        Ok(done) => {
            say!("{done}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("refused, the old version goes on: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn upgrade(args: &UpgradeArgs) -> Result<String, String> {
    let config = args.server.config().map_err(|error| error.to_string())?;
    let program = match &args.binary {
        Some(program) => program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?,
        None => {
            // What this version would stumble over is said before anybody is asked.
            let findings = examine_beside(&config, Arc::new(SystemClock));
            if let Some(Finding::Stops(text)) =
                findings.iter().find(|found| matches!(found, Finding::Stops(_)))
            {
                return Err(text.clone());
            }
            std::env::current_exe().map_err(|error| error.to_string())?
        }
    };
    ask(&config.root, &Command::Upgrade(program))
}
