//! Where the ids of a log begin that was lost: behind those of the one before, so that none is used twice.

use std::io;
use std::path::Path;

const FILE: &str = "begin-behind";

/// Makes the ids of the log in `directory` go on `skip` behind `last_id`, unless segments are there. 0 as `last_id` needs
/// nothing.
///
/// # Errors
/// The file cannot be written.
pub fn begin_behind(directory: &Path, last_id: u64, skip: u64) -> io::Result<()> {
    let has_segments = std::fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("segment-")
    });
    if last_id == 0 || has_segments {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(FILE), format!("{}\n", last_id.saturating_add(skip)))
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
        begin_behind(&log, 0, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 0);
        begin_behind(&log, 7, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 107);
        std::fs::write(log.join("segment-0000000001.log"), b"").unwrap();
        begin_behind(&log, 9, 100).unwrap();
        assert_eq!(floor(&log).unwrap(), 107);
        std::fs::write(log.join(FILE), b"?").unwrap();
        assert!(floor(&log).is_err());
    }
}
