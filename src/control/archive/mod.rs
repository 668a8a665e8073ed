//! The archiver: time-stamped records of the message log as ASiC-E containers in ZIP files with a chain of digests, as
//! official tools read them (`signature.md` 7.4).
//!
//! A record is archived when the position says so, and the position is replaced as a whole. In turn: the archive is
//! complete and durable under a temporary name; the position counts its records as archived and knows both names; the
//! archive gets its name. A kill before the second step leaves an unfinished file that is made again, a kill after it an
//! archive that only wants its name.

mod file;
mod name;
mod position;
mod task;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use rustix::fs::{FlockOperation, flock};

use self::file::{ArchiveFile, Finished};
use self::position::{Moving, Position};
pub use self::task::{ArchiverTask, Stop, lower_priority};
use crate::config::{Grouping, Log};
use crate::limits::ARCHIVE_BATCH_RECORDS;
use crate::log::{LogError, LogReader};
use crate::time::UnixTime;

const LOCK_FILE: &str = "archive-lock";

/// Why a run ended early. What it had finished stays.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file operation failed.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// How far archiving had come is not known.
    #[error(
        "{} is damaged: it says which records are archived. Bring it back from a backup; without it everything in the log is \
         archived again, in a new chain",
        path.display()
    )]
    Position {
        /// The file.
        path: PathBuf,
    },
    /// Another process archives this log now.
    #[error("another process is archiving this log")]
    Busy,
}

impl ArchiveError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }
}

/// What a run does, told before it is done, so that tests can end a run there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    CreateFile,
    AddContainer,
    FinishFile,
    SyncFile,
    WritePosition,
    ReplacePosition,
    SyncPosition,
    MoveFile,
    SyncDirectory,
}

type Watch = Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveOutcome {
    /// Records that are in archives now.
    pub records: usize,
    /// The archives.
    pub files: Vec<PathBuf>,
    /// Damaged records, which are in no archive.
    pub left_out: Vec<u64>,
}

/// Archives one log.
pub struct Archiver {
    log: LogReader,
    directory: PathBuf,
    grouping: Grouping,
    file_bytes_max: u64,
    transfer_command: Option<String>,
    zone: TimeZone,
    watch: Watch,
}

/// Records of one batch by group, and the id behind them.
struct Plan {
    groups: BTreeMap<String, Vec<u64>>,
    next: u64,
    full: bool,
}

/// One run under way.
struct Run<'a> {
    archiver: &'a Archiver,
    stop: &'a Stop,
    position: Position,
    outcome: ArchiveOutcome,
    to_transfer: bool,
}

impl Archiver {
    /// With the settings of the configuration and the time zone of the system.
    pub fn new(log: LogReader, settings: &Log) -> Self {
        Self {
            log,
            directory: settings.archive_dir.clone(),
            grouping: settings.archive_grouping,
            file_bytes_max: settings.archive_file_bytes_max,
            transfer_command: settings.archive_transfer_command.clone(),
            zone: TimeZone::system(),
            watch: Arc::new(|_| Ok(())),
        }
    }

    /// Archives every record up to the first that waits for a time-stamp, in the order of their ids. One record at a time
    /// is in memory.
    ///
    /// # Errors
    /// When the log cannot be read, an archive or the position not be written, or another process is at it.
    pub fn run(&self, now: UnixTime, stop: &Stop) -> Result<ArchiveOutcome, ArchiveError> {
        let log = self.log.directory();
        let _lock = lock(log)?;
        fs::create_dir_all(&self.directory).map_err(|error| ArchiveError::file(&self.directory, error))?;
        let position = Position::load(log)?;
        let moved = self.finish_moving(&position)?;
        file::remove_unfinished(&self.directory)
            .map_err(|error| ArchiveError::file(&self.directory, error))?;
        let outcome = ArchiveOutcome::default();
        let mut run = Run { archiver: self, stop, position, outcome, to_transfer: moved };
        while run.batch()? {}
        if !stop.is_set() {
            run.position.last_run_ms = now.millis();
        }
        run.position.save(log, &self.watch)?;
        run.transfer();
        Ok(run.outcome)
    }

    /// Gives the archive that was finished last its name, unless it has it.
    fn finish_moving(&self, position: &Position) -> Result<bool, ArchiveError> {
        let Some(moving) = &position.moving else { return Ok(false) };
        let from = moving.directory.join(&moving.from);
        if !from.exists() {
            return Ok(false);
        }
        self.rename(moving).map_err(|error| ArchiveError::file(&from, error))?;
        Ok(true)
    }

    fn rename(&self, moving: &Moving) -> io::Result<()> {
        (self.watch)(Step::MoveFile)?;
        fs::rename(moving.directory.join(&moving.from), moving.directory.join(&moving.to))?;
        (self.watch)(Step::SyncDirectory)?;
        File::open(&moving.directory)?.sync_all()
    }
}

impl Run<'_> {
    /// Archives one batch. Whether there may be another.
    fn batch(&mut self) -> Result<bool, ArchiveError> {
        // A batch that a kill interrupted is finished in the grouping in which it was begun.
        let begun = name::grouping(&self.position.grouping).filter(|_| self.position.is_within_batch());
        let grouping = begun.unwrap_or(self.archiver.grouping);
        self.position.grouping = name::word(grouping).to_owned();
        let plan = self.plan(grouping)?;
        let mut next = plan.next;
        for (group, ids) in &plan.groups {
            match self.group(group, ids)? {
                Reached::End => {}
                Reached::Waiting(id) => next = next.min(id),
                Reached::Stopped => return Ok(false),
            }
        }
        if next <= self.position.done_below {
            return Ok(false);
        }
        self.position.done_below = next;
        if plan.full && next == plan.next {
            self.position.save(self.archiver.log.directory(), &self.archiver.watch)?;
            return Ok(true);
        }
        // The end of the run saves it.
        Ok(false)
    }

    fn plan(&mut self, grouping: Grouping) -> Result<Plan, ArchiveError> {
        let log = &self.archiver.log;
        let ids = log.ids_from(self.position.done_below, ARCHIVE_BATCH_RECORDS)?;
        let full = ids.len() == ARCHIVE_BATCH_RECORDS;
        let mut plan = Plan { groups: BTreeMap::new(), next: self.position.done_below, full };
        if grouping == Grouping::None {
            plan.next = ids.last().map_or(plan.next, |id| id + 1);
            plan.groups.insert(String::new(), ids);
            return Ok(plan);
        }
        for id in ids {
            match log.summary(id) {
                Ok(summary) if !summary.stamped => {
                    plan.full = false;
                    break;
                }
                Ok(summary) => {
                    plan.groups.entry(name::group(grouping, &summary.client)).or_default().push(id);
                }
                Err(error) => self.leave_out(id, error)?,
            }
            plan.next = id + 1;
        }
        Ok(plan)
    }

    /// Archives these records of one group, as far as they are not archived.
    fn group(&mut self, group: &str, ids: &[u64]) -> Result<Reached, ArchiveError> {
        let archiver = self.archiver;
        let done_below = self.position.groups.get(group).map_or(0, |chain| chain.done_below);
        let ids: Vec<u64> = ids.iter().copied().filter(|id| *id >= done_below).collect();
        let (mut open, mut reached) = (None::<ArchiveFile>, Reached::End);
        let mut last = done_below;
        for (id, record) in archiver.log.read_each(ids) {
            if self.stop.is_set() {
                reached = Reached::Stopped;
                break;
            }
            let record = match record {
                Ok(record) if record.stamp.is_none() => {
                    reached = Reached::Waiting(id);
                    break;
                }
                Ok(record) => record,
                Err(error) => {
                    self.leave_out(id, error)?;
                    continue;
                }
            };
            let container = match record.container() {
                Ok(container) => container.to_bytes(record.summary.time),
                Err(error) => {
                    self.note_left_out(id, error.text());
                    continue;
                }
            };
            let file = match &mut open {
                Some(file) => file,
                None => {
                    let chain = self.position.groups.entry(group.to_owned()).or_default();
                    let (time, directory) = (record.summary.time, &archiver.directory);
                    let file =
                        ArchiveFile::create(directory, id, chain, time, &archiver.zone, &archiver.watch)?;
                    open.insert(file)
                }
            };
            file.add(&record, &container, &archiver.watch)?;
            last = id + 1;
            if file.container_bytes() > archiver.file_bytes_max
                && let Some(full) = open.take()
            {
                self.close(full, group, last)?;
            }
        }
        match open {
            Some(file) if reached == Reached::Stopped => file.discard(),
            Some(file) => self.close(file, group, last)?,
            None => {}
        }
        Ok(reached)
    }

    fn close(&mut self, file: ArchiveFile, group: &str, done_below: u64) -> Result<(), ArchiveError> {
        let archiver = self.archiver;
        let Finished { temporary, name, digest, containers } = file.finish(group, &archiver.watch)?;
        let chain = self.position.groups.entry(group.to_owned()).or_default();
        chain.digest = digest;
        chain.file = name.clone();
        chain.done_below = done_below;
        let moving = Moving { directory: archiver.directory.clone(), from: temporary, to: name };
        self.position.moving = Some(moving.clone());
        self.position.save(archiver.log.directory(), &archiver.watch)?;
        let path = archiver.directory.join(&moving.to);
        archiver.rename(&moving).map_err(|error| ArchiveError::file(&path, error))?;
        tracing::info!(file = %path.display(), containers, "archive finished");
        self.outcome.records += containers;
        self.outcome.files.push(path);
        self.to_transfer = true;
        self.transfer();
        Ok(())
    }

    /// A record that cannot be read is no reason to archive nothing after it; a disk that cannot be read is.
    fn leave_out(&mut self, id: u64, error: LogError) -> Result<(), ArchiveError> {
        match error {
            LogError::Io(_) | LogError::NotFound { .. } => Err(error.into()),
            error => {
                self.note_left_out(id, &error.to_string());
                Ok(())
            }
        }
    }

    fn note_left_out(&mut self, id: u64, reason: &str) {
        tracing::error!(id, reason, "a record cannot be archived; its segment will not be removed");
        self.position.leave_out(id);
        self.outcome.left_out.push(id);
    }

    fn transfer(&mut self) {
        if let Some(command) = self.archiver.transfer_command.as_ref().filter(|_| self.to_transfer) {
            self.to_transfer = !transfer::run(command, self.stop);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// All are archived or left out.
    End,
    /// This one waits for a time-stamp.
    Waiting(u64),
    /// The run was told to stop.
    Stopped,
}

/// One archiver at a time; the system gives the lock back when the process ends in any way.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started holds the file, too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn lock(log: &Path) -> Result<Lock, ArchiveError> {
    let path = log.join(LOCK_FILE);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| ArchiveError::file(&path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ArchiveError::Busy),
        Err(error) => Err(ArchiveError::file(&path, error.into())),
    }
}
