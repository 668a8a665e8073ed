//! `hermod log`: searches, shows, exports and checks the message log, also while the server writes it.

mod check;
mod export;
mod filter;
mod print;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use self::filter::Filter;
use crate::appliance::read_record_keys;
use crate::config::{Config, DEFAULT_FILE};
use crate::log::{LogError, LogReader, RecordSummary};

/// Arguments of `hermod log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(subcommand)]
    command: Command,
    /// The server's configuration file, which says where the log is
    #[arg(long, value_name = "FILE", global = true, default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The directory of a log, instead of the one that the configuration names
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the records that everything given applies to, oldest first
    Find {
        #[command(flatten)]
        filter: Filter,
        /// List no more than so many
        #[arg(long, value_name = "COUNT")]
        limit: Option<usize>,
    },
    /// Show one record: its parties, its parts, its signature and time-stamp
    Show {
        /// The record id
        record: u64,
        /// Write the message as it was signed, and nothing else
        #[arg(long)]
        message: bool,
    },
    /// Write records as files: signed containers, or everything that is stored
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Records by id, instead of by what is given
        #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["message_id", "client", "service", "direction", "from", "until"])]
        record: Vec<u64>,
        /// The directory to write to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Write what is stored as JSON instead of containers; also of records without time-stamp
        #[arg(long)]
        records: bool,
    },
    /// Say how much is in the log, segment by segment
    Stat,
    /// Read every byte of the log and check it; judge every record as evidence when there is a configuration
    Verify {
        /// What GET /verificationconf delivers, or a server's global configuration directory
        #[arg(long, value_name = "PATH")]
        conf: Option<PathBuf>,
    },
}

const NOT_ALL: u8 = 1;
const UNREADABLE: u8 = 2;

/// Runs the sub-command: 0 when all is well, 1 when nothing was found or something is wrong with a record, 2 when the
/// log or another file cannot be read or written.
pub fn run(args: &LogArgs) -> ExitCode {
    match execute(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_ALL),
        Err(error) => {
            eprintln!("hermod log: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// A failure that ends the command.
type Failure = Box<dyn std::error::Error>;

fn execute(args: &LogArgs) -> Result<bool, Failure> {
    let (directory, keys) = match &args.dir {
        // The keys of encrypted records are those of the configuration, where it can be read.
        Some(directory) => {
            let config = Config::load(&args.config).ok();
            (directory.clone(), config.map(|config| read_record_keys(&config.log)).transpose()?.flatten())
        }
        None => {
            let settings = Config::load(&args.config)?.log;
            let keys = read_record_keys(&settings)?;
            (settings.dir, keys)
        }
    };
    let log = LogReader::open(&directory)
        .map_err(|error| format!("the log in {} cannot be opened: {error}", directory.display()))?
        .with_keys(keys);
    match &args.command {
        Command::Find { filter, limit } => find(&log, filter, limit.unwrap_or(usize::MAX), args.json),
        Command::Show { record, message } => show(&log, *record, *message, args.json),
        Command::Export { filter, record, out, records } => {
            let ids = if record.is_empty() { matching(&log, filter)? } else { record.clone() };
            export::run(&log, &ids, out, *records, args.json)
        }
        Command::Stat => stat(&log, args.json),
        Command::Verify { conf } => check::run(&log, conf.as_deref(), args.json),
    }
}

fn find(log: &LogReader, filter: &Filter, limit: usize, json: bool) -> Result<bool, Failure> {
    let (mut found, mut damaged) = (0, 0);
    log.search(&filter.query()?, |record| {
        if found == limit {
            return ControlFlow::Break(());
        }
        match record {
            Ok(record) => {
                found += 1;
                match json {
                    true => say!("{}", print::json(&record)),
                    false => say!("{}", print::line(&record)),
                }
            }
            Err(error) => {
                damaged += 1;
                eprintln!("hermod log: {error}");
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(found > 0 && damaged == 0)
}

fn matching(log: &LogReader, filter: &Filter) -> Result<Vec<u64>, Failure> {
    let mut ids = Vec::new();
    log.search(&filter.query()?, |record| {
        match record {
            Ok(RecordSummary { id, .. }) | Err(LogError::Damaged { id, .. }) => ids.push(id),
            Err(error) => eprintln!("hermod log: {error}"),
        }
        ControlFlow::Continue(())
    })?;
    Ok(ids)
}

fn show(log: &LogReader, id: u64, message: bool, json: bool) -> Result<bool, Failure> {
    let record = match log.read(id) {
        Ok(record) => record,
        Err(error @ (LogError::NotFound { .. } | LogError::Damaged { .. })) => {
            eprintln!("hermod log: {error}");
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    if message {
        use std::io::Write as _;
        std::io::stdout().lock().write_all(&record.message)?;
    } else if json {
        say!("{}", print::whole_json(&record));
    } else {
        say!("{}", print::paragraph(&record));
    }
    Ok(true)
}

fn stat(log: &LogReader, json: bool) -> Result<bool, Failure> {
    let segments = log.segments()?;
    let (messages, timestamps) = log.counts();
    let (waiting, damages) = (log.unstamped_count(), log.damages().len());
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    if json {
        segments.iter().for_each(|segment| say!("{}", print::segment_json(segment)));
        say!(
            "{}",
            json!({
                "segments": segments.len(), "bytes": bytes, "messages": messages, "timestamps": timestamps,
                "waiting": waiting, "damaged_places": damages,
            })
        );
    } else {
        segments.iter().for_each(|segment| say!("{}", print::segment_line(segment)));
        let each = bytes.checked_div(messages).unwrap_or(0);
        say!(
            "{messages} messages, {timestamps} time-stamps, {waiting} messages wait for one; {bytes} bytes in {} segments, \
             {each} a message; {damages} damaged places",
            segments.len()
        );
    }
    Ok(damages == 0)
}
