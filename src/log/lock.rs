//! One writer per log: an advisory lock on a file beside the segments, held as long as it is open.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::LogError;

const LOCK_FILE: &str = "lock";

/// The lock; the system gives it back when the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started holds the file, too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock.
pub(super) fn acquire(directory: &Path) -> Result<Lock, LogError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LogError::Locked { directory: directory.to_owned() }),
        Err(error) => Err(LogError::Io(error.into())),
    }
}

/// Another process, or another part of this one, holds the lock of this log.
pub fn is_in_use(directory: &Path) -> bool {
    matches!(acquire(directory), Err(LogError::Locked { .. }))
}
