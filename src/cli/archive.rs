//! `hermod archive`: puts time-stamped records of the message log into archives, also while the server runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::appliance::read_record_keys;
use crate::config::{Config, DEFAULT_FILE};
use crate::control::archive::{ArchiveOutcome, ArchiveStore, Archiver, Stop, lower_priority};
use crate::log::LogReader;
use crate::time::{Clock, SystemClock};

/// Arguments of `hermod archive`.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Archive now every record up to the first that waits for a time-stamp
    Run {
        /// The server's configuration file, which says where log and archives are
        #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Some records are damaged.
const NOT_ALL: u8 = 1;
const FAILED: u8 = 2;

/// Runs the sub-command: 0 when all is archived that can be, 1 when damaged records are in no archive, 2 when it could not
/// go on.
pub fn run(args: &ArchiveArgs) -> ExitCode {
    let Command::Run { config, json } = &args.command;
    match archive(config) {
        Ok(outcome) => {
            show(&outcome, *json);
            if outcome.left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NOT_ALL) }
        }
        Err(error) => {
            eprintln!("hermod archive: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn archive(config: &std::path::Path) -> Result<ArchiveOutcome, Box<dyn std::error::Error>> {
    let config = Config::load(config)?;
    let settings = config.log;
    super::logging::start("error");
    lower_priority();
    let keys = read_record_keys(&settings)?;
    let log = LogReader::open(&settings.dir)
        .map_err(|error| format!("the log in {} cannot be opened: {error}", settings.dir.display()))?
        .with_keys(keys);
    let outcome = Archiver::new(log, &settings)?.run(SystemClock.now(), &Stop::default())?;
    if let Some(store) = ArchiveStore::new(&config.archive_store, &settings.archive_dir)? {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(store.move_all())?;
    }
    Ok(outcome)
}

fn show(outcome: &ArchiveOutcome, json: bool) {
    if json {
        let files: Vec<_> = outcome.files.iter().map(|file| file.to_string_lossy()).collect();
        say!("{}", json!({ "records": outcome.records, "archives": files, "left_out": outcome.left_out }));
        return;
    }
    outcome.files.iter().for_each(|file| say!("{}", file.display()));
    say!("{} records in {} archives", outcome.records, outcome.files.len());
    for id in &outcome.left_out {
        say!("record {id} is damaged and in no archive");
    }
}
