//! `hermod run`: the security server, until it is told to stop.

mod service;
mod signals;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use self::service::Service;
use crate::appliance::TokenFilter;
use crate::cli::server::ServerArgs;

/// Exit code when something has to be mended before a start can succeed: `EX_CONFIG` of `sysexits.h`. A service manager
/// must not try again by itself.
pub const MUST_BE_MENDED: u8 = 78;

/// Arguments of `hermod run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Whose configuration.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Stop when standard input is closed, so that the server does not outlive the process that started it
    #[arg(long)]
    exit_on_stdin_close: bool,
    /// Go on where the server ends whose child this is
    #[arg(long, hide = true)]
    take_over: bool,
}

/// Runs the server: 0 after an orderly stop, 1 when it cannot start now, [`MUST_BE_MENDED`] when it never will.
pub fn run(args: &RunArgs) -> ExitCode {
    run_with(args, Arc::new(|token| token))
}

/// As [`run`], with something in front of the token.
pub fn run_with(args: &RunArgs, filter: TokenFilter) -> ExitCode {
    match Service::new(args, filter).and_then(Service::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => ExitCode::from(code),
    }
}
