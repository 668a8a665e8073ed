//! `hermod sandbox`: a whole ecosystem on loopback, for a first look and as a self-test.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use crate::sandbox::report::Report;
use crate::sandbox::{Ecosystem, KeyType, Options, RuntimeChoice, SandboxError, audit, tour, traffic};

/// Starts a certificate authority, an OCSP responder, a time-stamping authority, a configuration source, example
/// services and two or more security servers on loopback addresses, and sends messages through them.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Send this many messages from 32 callers, time-stamp and verify everything, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub messages: Option<u32>,
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
    match in_runtime(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("hermod sandbox: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(args: &SandboxArgs) -> Result<bool, String> {
    let binary = std::env::current_exe().map_err(|e| format!("cannot find the own binary: {e}"))?;
    let options = Options {
        servers: usize::from(args.servers),
        key_type: args.key_type,
        runtime: args.runtime,
        directory: args.keep.clone(),
        management: true,
        ..Options::new(binary)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        let mut stop = std::pin::pin!(told_to_stop());
        let work = tokio::select! {
            work = sandbox(args, options) => work.map_err(|e| e.to_string())?,
            // Dropping the other branch has stopped everything.
            stopped = &mut stop => return stopped.map(|()| false).map_err(|e| e.to_string()),
        };
        match work {
            Work::Done(complete) => Ok(complete),
            Work::Stays(ecosystem) => {
                stop.await.map_err(|e| e.to_string())?;
                eprintln!("\nstopping");
                ecosystem.stop().await.map(|()| true).map_err(|e| e.to_string())
            }
        }
    })
}

enum Work {
    /// Was everything right?
    Done(bool),
    /// Until it is told to stop.
    Stays(Ecosystem),
}

async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

async fn sandbox(args: &SandboxArgs, options: Options) -> Result<Work, SandboxError> {
    let started = Instant::now();
    let progress = |text: &str| eprintln!("[{:6.2} s] {text}", started.elapsed().as_secs_f64());
    let mut ecosystem = Ecosystem::start_with(options, &progress).await?;
    let start_seconds = started.elapsed().as_secs_f64();
    progress("ready");
    match args.messages {
        Some(count) => {
            let report = counted(&mut ecosystem, count as usize, &progress).await?;
            let report = Report { start_seconds: (start_seconds * 100.0).round() / 100.0, ..report };
            ecosystem.stop().await?;
            print(&report, args.json);
            Ok(Work::Done(report.is_complete()))
        }
        None => {
            say!("\n{}", tour::describe(&ecosystem));
            tour::show(&ecosystem, &|text| say!("{text}")).await?;
            say!("\n{}\n\nCtrl-C stops everything.", tour::curl_lines(&ecosystem)?);
            Ok(Work::Stays(ecosystem))
        }
    }
}

async fn counted(
    ecosystem: &mut Ecosystem,
    count: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Report, SandboxError> {
    progress(&format!("sending {count} messages from {} callers", traffic::CALLERS));
    let (seen, terminal) = (AtomicUsize::new(0), std::io::stderr().is_terminal());
    // Callers report out of order; a line that is rewritten is of use on a terminal only.
    let show = move |done: usize| {
        if terminal && seen.fetch_max(done, Ordering::Relaxed) < done {
            eprint!("\r{done} of {count} sent ");
        }
    };
    let traffic = traffic::send(ecosystem.plan(), count, show).await;
    if terminal {
        eprint!("\r");
    }
    progress(&format!("{count} exchanges in {:.2} s", traffic.elapsed.as_secs_f64()));
    for outcome in traffic.outcomes.iter().filter(|outcome| outcome.error.is_some()).take(5) {
        let reason = outcome.error.as_deref().unwrap_or_default();
        progress(&format!("{} {}: {reason}", outcome.kind.name(), outcome.message_id));
    }
    let audit = audit::run(ecosystem, &traffic, progress).await?;
    for failure in audit.failures.iter().take(5) {
        progress(failure);
    }
    Ok(Report::new(ecosystem, &traffic, &audit))
}

fn print(report: &Report, json: bool) {
    let text = if json {
        serde_json::to_string(report).unwrap_or_default()
    } else {
        let verdict = if report.is_complete() { "everything is right" } else { "NOT everything is right" };
        format!(
            "{} exchanges, {} errors, {} verified from the logs: {verdict}\n\
             {:.2} exchanges/s, {:.2} messages per signature, {} time-stamps, {} OCSP calls, on {}",
            report.exchanges,
            report.errors,
            report.verified,
            report.exchanges_per_second,
            report.messages_per_signature,
            report.tsa_calls,
            report.ocsp_calls,
            report.runtime,
        )
    };
    // A reader that has gone away changes nothing.
    let _ = writeln!(std::io::stdout(), "{text}");
}
