//! The archiver: time-stamped records of the message log as ASiC-E containers in ZIP files with a chain of digests, as
//! official tools read them (`signature.md` 7.4).
//!
//! A record is archived when the position says so, and the position is replaced as a whole. In turn: the archive is
//! complete and durable under a temporary name; the position counts its records as archived and knows both names; the
//! archive gets its name. A kill before the second step leaves an unfinished file that is made again, a kill after it an
//! archive that only wants its name.

mod encryption;
mod entry_buffer;
mod file;
mod gpg;
mod name;
mod pace;
mod position;
mod retention;
mod run;
mod status;
#[cfg(feature = "object-store")]
mod store;
#[cfg(not(feature = "object-store"))]
#[path = "store_absent.rs"]
mod store;
mod store_status;
mod task;
#[cfg(test)]
mod tests;
mod transfer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use rustix::fs::{FlockOperation, flock};

use self::encryption::Encryption;
pub use self::encryption::encrypt;
pub use self::pace::Load;
use self::pace::Pace;
pub use self::position::archived_beyond;
use self::position::{Moving, Position};
pub use self::retention::{Cleaned, Retention};
use self::run::Run;
pub use self::status::{ArchiveFigures, ArchiveStatus};
pub use self::store::{ArchiveStore, StoreError};
pub use self::store_status::{StoreFigures, StoreStatus};
pub use self::task::{ArchiverTask, Stop, lower_priority};
use crate::config::{Grouping, Log};
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
    encryption: Option<Encryption>,
    core_percent: u32,
    status: Arc<ArchiveStatus>,
    zone: TimeZone,
    watch: Watch,
}

impl Archiver {
    /// With the settings of the configuration and the time zone of the system.
    ///
    /// # Errors
    /// When the file that maps members to keys cannot be read.
    pub fn new(log: LogReader, settings: &Log) -> Result<Self, ArchiveError> {
        let keys = settings.archive_encryption_keys.clone().unwrap_or_default();
        let encryption = Encryption::of(settings).map_err(|error| ArchiveError::file(&keys, error))?;
        Ok(Self {
            log,
            directory: settings.archive_dir.clone(),
            grouping: settings.archive_grouping,
            file_bytes_max: settings.archive_file_bytes_max,
            transfer_command: settings.archive_transfer_command.clone(),
            encryption,
            core_percent: settings.archive_core_percent,
            status: Arc::default(),
            zone: TimeZone::system(),
            watch: Arc::new(|_| Ok(())),
        })
    }

    /// How it goes, also while it runs.
    pub fn status(&self) -> Arc<ArchiveStatus> {
        Arc::clone(&self.status)
    }

    /// What of the keys for archives is not as it should be, each a line.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn key_problems(settings: &Log) -> io::Result<Vec<String>> {
        Ok(Encryption::of(settings)?.map_or_else(Vec::new, |encryption| encryption.problems()))
    }

    /// Archives every record up to the first that waits for a time-stamp, in the order of their ids. One record at a time
    /// is in memory.
    ///
    /// # Errors
    /// When the log cannot be read, an archive or the position not be written, or another process is at it.
    pub fn run(&self, now: UnixTime, stop: &Stop) -> Result<ArchiveOutcome, ArchiveError> {
        self.run_beside(now, stop, None)
    }

    /// The same beside messages that go first.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_beside(
        &self,
        now: UnixTime,
        stop: &Stop,
        load: Option<&dyn Load>,
    ) -> Result<ArchiveOutcome, ArchiveError> {
        let outcome = self.run_all(now, stop, load);
        match &outcome {
            Ok(_) if !stop.is_set() => self.status.succeeded(now),
            Ok(_) | Err(ArchiveError::Busy) => {}
            Err(_) => self.status.failed(),
        }
        outcome
    }

    fn run_all(
        &self,
        now: UnixTime,
        stop: &Stop,
        load: Option<&dyn Load>,
    ) -> Result<ArchiveOutcome, ArchiveError> {
        let log = self.log.directory();
        let _lock = lock(log)?;
        fs::create_dir_all(&self.directory).map_err(|error| ArchiveError::file(&self.directory, error))?;
        let position = Position::load(log)?;
        let moved = self.finish_moving(&position)?;
        file::remove_unfinished(&self.directory)
            .map_err(|error| ArchiveError::file(&self.directory, error))?;
        let outcome = ArchiveOutcome::default();
        let pace = Pace::new(load, self.core_percent);
        let mut run = Run { archiver: self, stop, pace, position, outcome, to_transfer: moved };
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
