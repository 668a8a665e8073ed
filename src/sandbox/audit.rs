//! Every exchange proved again, from the logs alone: each message record becomes a container, and the code of
//! `hermod verify` judges it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::ecosystem::Ecosystem;
use super::error::SandboxError;
use super::plan::ServerPlan;
use super::proof::{Conf, RecordJudge};
use super::report::LogRecords;
use super::tour;
use super::traffic::Traffic;
use crate::crypto;
use crate::log::{Direction, LogReader, StoredRecord};

/// How long the servers may take to time-stamp what they have logged.
const STAMPED_MAX: Duration = Duration::from_secs(120);
const POLL_PAUSE: Duration = Duration::from_millis(250);

/// What the logs say.
#[derive(Debug)]
pub struct Audit {
    /// Exchanges whose request and response verify on both sides.
    pub verified: usize,
    /// Message records of these exchanges.
    pub log_records: LogRecords,
    /// Records that do not verify, one line each.
    pub failures: Vec<String>,
    /// Stamping and verifying.
    pub elapsed: Duration,
    signatures: usize,
}

impl Audit {
    /// Messages per distinct signature document on the consumer's server, in the mean.
    pub fn messages_per_signature(&self) -> f64 {
        self.log_records.consumer as f64 / self.signatures.max(1) as f64
    }
}

/// Waits until everything is time-stamped, stops the security servers and judges their logs.
///
/// # Errors
/// When the time-stamps do not come, a server does not stop or a log cannot be read.
pub async fn run(
    ecosystem: &mut Ecosystem,
    traffic: &Traffic,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Audit, SandboxError> {
    let started = Instant::now();
    let conf = tour::verification_conf(ecosystem, &Client::default()).await?;
    let conf = Arc::new(Conf::load(&conf)?);
    progress("waiting for the time-stamps of all records");
    for server in ecosystem.servers() {
        wait_stamped(server.files().log()).await?;
    }
    ecosystem.stop_servers().await?;

    progress("verifying every request and response from the logs");
    let ids: Arc<HashSet<String>> =
        Arc::new(traffic.outcomes.iter().map(|outcome| outcome.message_id.clone()).collect());
    let mut judged = Vec::new();
    let tasks: Vec<_> = ecosystem
        .servers()
        .iter()
        .map(|server| {
            let (plan, log) = (server.plan().clone(), server.files().log());
            let (conf, ids) = (Arc::clone(&conf), Arc::clone(&ids));
            tokio::task::spawn_blocking(move || judge_log(&plan, &log, &ids, &conf))
        })
        .collect();
    for task in tasks {
        let side = task.await.map_err(|e| SandboxError::Evidence(e.to_string()))??;
        judged.push(side);
    }
    Ok(sum(judged, started.elapsed()))
}

fn sum(sides: Vec<Side>, elapsed: Duration) -> Audit {
    let (mut proofs, mut failures) = (HashMap::<String, [usize; 2]>::new(), Vec::new());
    let mut log_records = LogRecords { consumer: 0, provider: 0 };
    let mut signatures = 0;
    for (index, side) in sides.into_iter().enumerate() {
        if index == 0 {
            log_records.consumer = side.records;
            signatures = side.signatures.len();
        } else {
            log_records.provider += side.records;
        }
        failures.extend(side.failures);
        for (message_id, direction) in side.proved {
            proofs.entry(message_id).or_default()[usize::from(direction == Direction::Response)] += 1;
        }
    }
    // A request and a response, each on the consumer's and on one provider's server.
    let verified = proofs.values().filter(|counts| **counts == [2, 2]).count();
    Audit { verified, log_records, failures, elapsed, signatures }
}

/// What one server's log says.
struct Side {
    records: usize,
    signatures: HashSet<[u8; 32]>,
    proved: Vec<(String, Direction)>,
    failures: Vec<String>,
}

fn judge_log(
    server: &ServerPlan,
    log: &Path,
    ids: &HashSet<String>,
    conf: &Conf,
) -> Result<Side, SandboxError> {
    let mut side = Side { records: 0, signatures: HashSet::new(), proved: Vec::new(), failures: Vec::new() };
    let mut judge = RecordJudge::new(conf);
    for record in open(log)?.iter() {
        let record: StoredRecord = record.map_err(|e| unreadable(log, e))?;
        let summary = &record.summary;
        if !ids.contains(&summary.query_id) {
            continue;
        }
        side.records += 1;
        side.signatures.insert(crypto::sha256(&record.signature.signature));
        match judge.judge(&record) {
            Ok(_) => side.proved.push((summary.query_id.clone(), summary.direction)),
            Err(reason) => side.failures.push(format!(
                "{}: {:?} {} (record {}): {reason}",
                server.code, summary.direction, summary.query_id, summary.id
            )),
        }
    }
    Ok(side)
}

/// Waits until no record of the log lacks a time-stamp.
async fn wait_stamped(log: PathBuf) -> Result<(), SandboxError> {
    let started = Instant::now();
    loop {
        let path = log.clone();
        // Reading the log again from its start is work for a thread that may wait.
        let unstamped = tokio::task::spawn_blocking(move || open(&path).map(|log| log.unstamped_count()));
        let unstamped = unstamped.await.map_err(|e| SandboxError::Evidence(e.to_string()))??;
        if unstamped == 0 {
            return Ok(());
        }
        if started.elapsed() > STAMPED_MAX {
            return Err(SandboxError::Evidence(format!(
                "{unstamped} records of {} have no time-stamp after {} s",
                log.display(),
                STAMPED_MAX.as_secs()
            )));
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

fn open(log: &Path) -> Result<LogReader, SandboxError> {
    LogReader::open(log).map_err(|e| unreadable(log, e))
}

fn unreadable(log: &Path, error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Evidence(format!("the log {} cannot be read: {error}", log.display()))
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
