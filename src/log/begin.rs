//! Where the ids of a log begin that was lost: behind those of the one before, so that none is used twice.

use std::io::{self, Write as _};
use std::path::Path;

const FILE: &str = "begin-behind";
const TEMPORARY: &str = "begin-behind.new";

/// Makes the ids of the log in `directory` go on `skip` behind `last_id`, unless it has come so far: `present` is the last id
/// that is there. What is there of an older log must not lead to ids that were given before, and what was said once is never
/// taken back.
///
/// # Errors
/// The file cannot be read or written.
pub fn begin_behind(directory: &Path, present: u64, last_id: u64, skip: u64) -> io::Result<()> {
    if last_id <= present {
        return Ok(());
    }
    let behind = last_id.saturating_add(skip).max(begins_behind(directory)?);
    std::fs::create_dir_all(directory)?;
    // A part of a number is a number, too.
    let mut file = std::fs::File::create(directory.join(TEMPORARY))?;
    file.write_all(format!("{behind}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(directory.join(TEMPORARY), directory.join(FILE))?;
    std::fs::File::open(directory)?.sync_all()
}

/// The id behind which the first record must be; 0 when nothing was lost.
///
/// # Errors
/// An unreadable file: guessing would use ids twice.
pub fn begins_behind(directory: &Path) -> io::Result<u64> {
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
        assert_eq!(begins_behind(&log).unwrap(), 0);
        begin_behind(&log, 0, 7, 100).unwrap();
        assert_eq!(begins_behind(&log).unwrap(), 107);
        begin_behind(&log, 9, 9, 100).unwrap();
        assert_eq!(begins_behind(&log).unwrap(), 107, "it has come so far");
        begin_behind(&log, 8, 9, 100).unwrap();
        assert_eq!(begins_behind(&log).unwrap(), 109, "what is there is older");
        begin_behind(&log, 0, 5, 100).unwrap();
        assert_eq!(begins_behind(&log).unwrap(), 109, "an older backup takes nothing back");
        std::fs::write(log.join(FILE), b"?").unwrap();
        assert!(begins_behind(&log).is_err());
    }
}
