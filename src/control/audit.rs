//! The audit log: one line of JSON for each administrative act, each with the hash of the line before it.
//!
//! ```text
//! {"n":2,"time":"2026-11-26T01:02:03Z","act":"registry.apply","by":"root (uid 0)","outcome":"done","details":{...},"previous":"9f86…"}
//! ```
//!
//! `previous` is the SHA-256 of the line before, without its line feed; 64 zeros in the first line. A changed, removed or
//! inserted line breaks the chain at the next one; what was cut off from the end shows by the hash of the last line, which is
//! told to the journal with each act. Several processes may write: the file is locked meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::crypto::{sha256, to_hex};
use crate::limits::AUDIT_LINE_BYTES_MAX;
use crate::time::UnixTime;

const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The log of one server.
#[derive(Debug, Clone)]
pub struct AuditLog {
    file: PathBuf,
}

/// What a whole log comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSummary {
    /// Number of lines.
    pub entries: u64,
    /// Hash of the last line; zeros of an empty log.
    pub head: String,
}

/// Why a log does not verify.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

impl AuditLog {
    /// The log in this file, which the first act makes (mode 0640).
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Adds an act, durable when it returns, and gives the hash of its line. `act` is a word such as `registry.apply`,
    /// `outcome` `done` or `refused`.
    ///
    /// # Errors
    /// The file cannot be written, or its last line is no line of an audit log.
    pub fn append(
        &self,
        act: &str,
        outcome: &str,
        details: &Value,
        by: &str,
        now: UnixTime,
    ) -> io::Result<String> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o640);
        // Root writes here too, in a folder of the server's user, who could lead it elsewhere.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&self.file)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        let (number, previous, torn) = last(&mut file)?;
        if torn {
            file.write_all(b"\n")?;
        }
        let entry = json!({
            "n": number + 1,
            "time": now.to_rfc3339(),
            "act": act,
            "by": by,
            "outcome": outcome,
            "details": details,
            "previous": previous,
        });
        let line = entry.to_string();
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_data()?;
        let head = to_hex(&sha256(line.as_bytes()));
        tracing::info!(act, outcome, by, %details, head, "administrative act");
        Ok(head)
    }

    /// The whole log of one moment; empty when there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn snapshot(&self) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockShared)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks the chain from the first line to the last. A log that is not there yet is empty.
    ///
    /// # Errors
    /// The first line that does not fit.
    pub fn verify(&self) -> Result<AuditSummary, AuditError> {
        self.read(|_| ())
    }

    /// As [`Self::verify`], showing each line to `each`.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn read(&self, mut each: impl FnMut(&str)) -> Result<AuditSummary, AuditError> {
        let failed = |source| AuditError::Io { path: self.file.clone(), source };
        let mut summary = AuditSummary { entries: 0, head: FIRST.to_owned() };
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(summary),
            Err(error) => return Err(failed(error)),
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read =
                (&mut reader).take(AUDIT_LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                return Ok(summary);
            }
            let broken =
                |reason| AuditError::Broken { path: self.file.clone(), line: summary.entries + 1, reason };
            if line.pop() != Some(b'\n') {
                return Err(broken("the line is cut off"));
            }
            let entry: Value = serde_json::from_slice(&line).map_err(|_| broken("this is no JSON"))?;
            if entry["n"] != json!(summary.entries + 1) {
                return Err(broken("its number is not the next one: lines are missing or were added"));
            }
            if entry["previous"] != json!(summary.head) {
                return Err(broken("it does not follow the line before it, one of the two was changed"));
            }
            each(&String::from_utf8_lossy(&line));
            summary = AuditSummary { entries: summary.entries + 1, head: to_hex(&sha256(&line)) };
        }
    }
}

// Number and hash of the last line, and whether a crash has left it without its line feed.
fn last(file: &mut File) -> io::Result<(u64, String, bool)> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(AUDIT_LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    (&mut *file).take(AUDIT_LINE_BYTES_MAX).read_to_end(&mut tail)?;
    let torn = !tail.is_empty() && tail.last() != Some(&b'\n');
    let text = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let line = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.is_empty() {
        return Ok((0, FIRST.to_owned(), false));
    }
    let entry: Value = serde_json::from_slice(line).unwrap_or_default();
    match entry["n"].as_u64() {
        Some(number) => Ok((number, to_hex(&sha256(line)), torn)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the last line of the audit log is damaged; `hermod audit verify` says more",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, AuditLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::new(folder.path().join("state/audit.log"));
        for act in ["setup", "registry.apply", "server.start"] {
            log.append(act, "done", &json!({ "file": "x" }), "root", UnixTime::from_secs(1)).unwrap();
        }
        (folder, log)
    }

    fn change(log: &AuditLog, change: impl FnOnce(Vec<String>) -> Vec<String>) -> String {
        let text = std::fs::read_to_string(log.path()).unwrap();
        let lines = change(text.lines().map(str::to_owned).collect());
        std::fs::write(log.path(), lines.join("\n") + "\n").unwrap();
        log.verify().unwrap_err().to_string()
    }

    #[test]
    fn a_whole_log_verifies_and_an_empty_one_too() {
        let (folder, log) = log();
        let summary = log.verify().unwrap();
        assert_eq!(summary.entries, 3);
        let mut acts = Vec::new();
        assert_eq!(log.read(|line| acts.push(line.to_owned())).unwrap(), summary);
        assert!(acts[1].contains("registry.apply"));
        let head = log.append("backup", "done", &json!({}), "root", UnixTime::from_secs(2)).unwrap();
        assert_eq!(log.verify().unwrap(), AuditSummary { entries: 4, head });
        assert_eq!(AuditLog::new(folder.path().join("none")).verify().unwrap().entries, 0);
    }

    #[test]
    fn what_was_changed_is_found() {
        let (_folder, log) = log();
        assert!(
            change(&log, |mut lines| {
                lines[1] = lines[1].replace("\"x\"", "\"y\"");
                lines
            })
            .contains(":3: it does not follow")
        );
        let (_folder, log) = self::log();
        assert!(
            change(&log, |mut lines| {
                lines.remove(1);
                lines
            })
            .contains(":2: its number")
        );
        let (_folder, log) = self::log();
        assert!(
            change(&log, |lines| vec![lines[0].clone(), "no json".into()]).contains(":2: this is no JSON")
        );
        let error = log.append("x", "done", &json!({}), "root", UnixTime::from_secs(2)).unwrap_err();
        assert!(error.to_string().contains("damaged"));
    }
}
