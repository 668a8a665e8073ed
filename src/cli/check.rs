//! `hermod check`: what would stop this server, in plain words.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::server::ServerArgs;
use crate::appliance::{Finding, examine, examine_beside};
use crate::config::Config;
use crate::time::SystemClock;

/// Arguments of `hermod check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The server runs, or its ports are held by the service manager: do not look at them
    #[arg(long)]
    beside: bool,
}

/// Prints one line for each thing that was looked at: 0 when nothing would stop the server, 1 otherwise.
pub fn run(args: &CheckArgs) -> ExitCode {
    let config = match args.server.config() {
        Ok(config) => config,
        Err(error) => {
            say!("stops   configuration: {error}");
            return ExitCode::FAILURE;
        }
    };
    say!("fine    configuration: {} is complete; this is {}", args.server.file.display(), config.server_id);
    if report(&config, args.beside) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what is found, `beside` a server that runs or not, and the sum; whether nothing would stop the server.
pub(super) fn report(config: &Config, beside: bool) -> bool {
    let look = if beside { examine_beside } else { examine };
    let findings = look(config, Arc::new(SystemClock));
    let mut stops = 0;
    for finding in &findings {
        let word = match finding {
            Finding::Fine(_) => "fine",
            Finding::Warns(_) => "warns",
            Finding::Stops(_) => "stops",
        };
        say!("{word:<7} {}", finding.text());
        stops += usize::from(matches!(finding, Finding::Stops(_)));
    }
    match stops {
        0 => say!("nothing would stop this server"),
        1 => say!("1 thing would stop this server"),
        more => say!("{more} things would stop this server"),
    }
    stops == 0
}
