//! Where the ids of a log begin that was lost: behind those of the one before, so that none is used twice.

use std::io;
use std::path::Path;

const FILE: &str = "begin-behind";

/// Makes the ids of the log in `directory` go on `skip` behind `last_id`, unless it has come so far: `present` is the last id
/// that is there. What is there of an older log must not lead to ids that were given before.
///
/// # Errors
/// The file cannot be written.
pub fn begin_behind(directory: &Path, present: u64, last_id: u64, skip: u64) -> io::Result<()> {
    if last_id <= present {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(FILE), format!("{}\n", last_id.saturating_add(skip)))?;
    std::fs::File::open(directory.join(FILE))?.sync_all()?;
    std::fs::File::open(directory)?.sync_all()
}

/// The id behind which the first record must be; 0 when nothing was lost. An unreadable file is an error: guessing would use
/// ids twice.
pub(super) fn floor(directory: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(directory.join(FILE)) {
        Ok(text) => text.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} of the message log holds no number"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_log_begins_behind_what_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        begin_behind(&log, 0, 0, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 0);
        begin_behind(&log, 0, 7, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 107);
        begin_behind(&log, 9, 9, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 107, "it has come so far");
        begin_behind(&log, 8, 9, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 109, "what is there is older");
        std::fs::write(log.join(FILE), b"?").unwrap();
        assert!(floor(&log).is_err());
    }
}
