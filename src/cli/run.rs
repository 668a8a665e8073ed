//! `hermod run`: the security server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::appliance::{Appliance, TokenFilter};
use crate::config::{Config, DEFAULT_FILE};
use crate::time::SystemClock;

/// Arguments of `hermod run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The server's configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Stop when standard input is closed, so that the server does not outlive the process that started it
    #[arg(long)]
    exit_on_stdin_close: bool,
}

/// Runs the server: 0 after an orderly stop, 1 when it cannot start.
pub fn run(args: &RunArgs) -> ExitCode {
    run_with(args, Arc::new(|token| token))
}

/// As [`run`], with something in front of the token.
pub fn run_with(args: &RunArgs, filter: TokenFilter) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    super::logging::start(&config.logging.level);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), server = %config.server_id, "hermod starts");
    let appliance = match Appliance::start_with(config, Arc::new(SystemClock), filter) {
        Ok(appliance) => appliance,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = appliance.block_on(until_told(&appliance, args.exit_on_stdin_close)) {
        tracing::error!("signals cannot be received: {error}");
    }
    appliance.stop();
    ExitCode::SUCCESS
}

/// Waits for SIGTERM, SIGINT or, if wanted, the end of standard input. SIGHUP reads the tokens again.
async fn until_told(appliance: &Appliance, watch_stdin: bool) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut closed = stdin_closed(watch_stdin);
    tracing::info!("ready");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                if let Err(error) = appliance.reload() {
                    tracing::error!("reload refused, the old keys stay in force: {error}");
                }
            }
            Ok(()) = &mut closed => break,
        }
    }
    tracing::info!("stopping");
    Ok(())
}

// A thread of its own: a blocking read on standard input would hold up the end of the runtime.
fn stdin_closed(watch: bool) -> tokio::sync::oneshot::Receiver<()> {
    let (closed, told) = tokio::sync::oneshot::channel();
    if watch {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = closed.send(());
        });
    }
    told
}
