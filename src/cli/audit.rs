//! `hermod audit`: the log of administrative acts; and how the other sub-commands write into it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ownership;
use super::server::ServerArgs;
use crate::config::Config;
use crate::control::AuditLog;
use crate::time::{Clock as _, SystemClock};

/// Arguments of `hermod audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no line of the audit log was changed, removed or inserted
    Verify {
        /// The hash of the last line, as it was noted elsewhere: shows what was cut off from the end
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// Print the audit log, one JSON object a line, while it verifies
    Show,
}

/// Runs the sub-command: 0 when the log is whole, 1 when it is not, with the first broken line on standard error.
pub fn run(args: &AuditArgs) -> ExitCode {
    match execute(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod audit: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(args: &AuditArgs) -> Result<(), Box<dyn std::error::Error>> {
    let log = AuditLog::new(args.server.config()?.audit);
    match &args.command {
        Command::Show => log.read(|line| say!("{line}")).map(|_| ())?,
        Command::Verify { head } => {
            let mut seen = Vec::new();
            let wanted = head.as_deref().map(str::to_lowercase);
            let summary = log.read(|line| {
                if wanted.is_some() {
                    seen.push(crate::crypto::to_hex(&crate::crypto::sha256(line.as_bytes())));
                }
            })?;
            say!("{} entries, whole; hash of the last: {}", summary.entries, summary.head);
            if let Some(wanted) = wanted
                && !seen.contains(&wanted)
            {
                return Err(format!("no line has the hash {wanted}: the end was cut off").into());
            }
        }
    }
    Ok(())
}

/// Who runs this process, for the audit log: the user, and who became root by sudo.
pub fn actor() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = user_name(uid).unwrap_or_default();
    match std::env::var("SUDO_USER") {
        Ok(before) if uid == 0 => format!("{name} (uid {uid}, sudo by {before})"),
        _ => format!("{name} (uid {uid})"),
    }
}

fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let wanted = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_owned())
    })
}

/// Notes an act that was done. A log that cannot be written is told on standard error; the act stays done.
pub fn note(config: &Config, act: &str, details: Value) {
    write(config, act, "done", &details);
}

/// Notes an act, done or refused with its reason, and gives the result back.
pub fn noted<T, E: std::fmt::Display>(
    config: &Config,
    act: &str,
    mut details: Value,
    result: Result<T, E>,
) -> Result<T, E> {
    if let Err(error) = &result {
        details["reason"] = Value::String(error.to_string());
    }
    write(config, act, if result.is_ok() { "done" } else { "refused" }, &details);
    result
}

fn write(config: &Config, act: &str, outcome: &str, details: &Value) {
    let log = AuditLog::new(&config.audit);
    if let Err(error) = log.append(act, outcome, details, &actor(), SystemClock.now()) {
        eprintln!("audit log {}: {error}", log.path().display());
    }
    ownership::hand_over_file(&config.root, log.path());
}
