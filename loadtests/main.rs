//! `hermod-load`: measures security servers under load, and proves afterwards that every answer was worth something.
//!
//! It starts what it measures (a sandbox) or sends to a given consumer port. A scenario file says what is sent, when
//! and what goes wrong meanwhile.
//!
//! * [`scenario`]: the file. [`arrivals`], [`sizes`], [`seed`]: when and how much.
//! * [`client`], [`message`], [`content`], [`generator`], [`recorder`]: sending, checking answers, latencies.
//! * [`system`], [`server`], [`tamper`]: what is measured, and what can go wrong. [`backend`], [`echo`]: the service
//!   behind it.
//! * [`metrics`], [`process`], [`calls`], [`machine`], [`floor`], [`streaming`]: what it costs.
//! * [`run`], [`sweep`], [`proof`], [`judge`]: the steps of a run, and the judgement of its evidence.
//! * [`null`], [`relay`], [`null_table`]: the same load through relays that neither sign nor log.
//! * [`moment`], [`report`], [`server_report`], [`breakdown`], [`table`], [`page`], [`plot`]: what came of it.

mod arrivals;
mod backend;
mod breakdown;
mod calls;
mod client;
mod content;
mod echo;
mod floor;
mod generator;
mod judge;
mod machine;
mod message;
mod metrics;
mod moment;
mod null;
mod null_table;
mod page;
mod plot;
mod process;
mod proof;
mod recorder;
mod relay;
mod report;
mod run;
mod scenario;
mod seed;
mod server;
mod server_report;
mod sizes;
mod streaming;
mod sweep;
mod system;
mod table;
mod tamper;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures security servers under load and verifies the evidence of every exchange.
#[derive(Debug, Clone, Parser)]
#[command(name = "hermod-load", version)]
struct Args {
    /// The scenario file, such as loadtests/smoke.toml
    scenario: PathBuf,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Write the report as one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Send to this consumer port (http://HOST:PORT) instead of starting servers; needs --client and --service
    #[arg(long, value_name = "URL", requires = "client", requires = "service")]
    against: Option<String>,
    /// Subsystem that sends, with --against: INSTANCE/CLASS/MEMBER/SUBSYSTEM
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// REST echo service that is asked, with --against: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// Multiply all rates of the scenario by this
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Multiply all durations of the scenario by this
    #[arg(long, default_value_t = 1.0)]
    stretch: f64,
    /// Seed of arrivals and sizes, instead of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// Run this binary as the security servers instead of this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the servers' directories, logs included, here
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    hermod::host::set_up_allocator();
    // The sandbox starts this binary again as its security servers.
    if std::env::args_os().nth(1).is_some_and(|word| word == "run") {
        return server::main();
    }
    let args = Args::parse();
    match run::run(&args) {
        Ok(report) => {
            if let Err(error) = publish(&args, &report) {
                eprintln!("hermod-load: {error}");
                return ExitCode::FAILURE;
            }
            if report.valid { ExitCode::SUCCESS } else { ExitCode::from(2) }
        }
        Err(error) => {
            eprintln!("hermod-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(args: &Args, report: &report::Report) -> Result<(), String> {
    eprintln!("{}", table::render(report));
    if let Some(file) = &args.html {
        std::fs::write(file, page::render(report)).map_err(|e| format!("{}: {e}", file.display()))?;
        eprintln!("report: {}", file.display());
    }
    if args.json {
        let text = serde_json::to_string(report).map_err(|e| e.to_string())?;
        // A reader that has gone away changes nothing.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
    Ok(())
}
