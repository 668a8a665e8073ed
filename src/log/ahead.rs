//! A look at a log that somebody else still writes, by who is about to take it.

use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};

use super::recovery::{self, Access};
use super::{LogError, LogReader, begins_behind};
use crate::message::SecurityServerId;

/// Finds what [`LogHandle::open`](super::LogHandle::open) would fail at, as far as it is there now. Nothing of the log is
/// changed; its directory is made where there is none.
///
/// # Errors
/// The log is another server's or of another version, it cannot be read, or its directory not be written.
pub fn look_ahead(directory: &Path, server: &SecurityServerId) -> Result<LogReader, LogError> {
    let of_directory = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("{} must be a folder that can be written: {error}", directory.display()),
        )
    };
    std::fs::create_dir_all(directory).map_err(of_directory)?;
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(directory, access).map_err(|error| of_directory(error.into()))?;
    begins_behind(directory)?;
    let found = recovery::scan(directory, Access::Read)?;
    require_of(&server.to_string(), found.server)?;
    Ok(LogReader::new(directory, Arc::new(RwLock::new(found.catalog))))
}

/// The log is that of `server`, or of nobody yet.
pub(super) fn require_of(server: &str, found: Option<String>) -> Result<(), LogError> {
    match found {
        Some(found) if found != server => Err(LogError::OtherServer { found, expected: server.to_owned() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_one_servers_alone() {
        assert!(require_of("LAB/GOV/1/ss1", None).is_ok());
        assert!(require_of("LAB/GOV/1/ss1", Some("LAB/GOV/1/ss1".into())).is_ok());
        let other = require_of("LAB/GOV/1/ss1", Some("LAB/GOV/1/ss2".into()));
        assert!(matches!(other, Err(LogError::OtherServer { .. })));
    }
}
