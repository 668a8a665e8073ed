//! Takes complete segments out of the log, oldest first.
//!
//! What may go is somebody else's decision, except that the newest segment stays, for its ids must not be given again, and
//! that no segment goes before its records are time-stamped.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::LogError;
use super::handle::LogHandle;
use super::reader::LogReader;
use super::sealed;
use super::segment;

/// Beside the segments: those that were taken out of the log and hold a record that is nowhere else.
pub const SET_ASIDE: &str = "set-aside";

/// A complete segment whose records are all time-stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSegment {
    /// Its number.
    pub number: u32,
    /// Length of its file and of its index, in bytes.
    pub bytes: u64,
    /// First and last id of its message records; `None` without any.
    pub ids: Option<(u64, u64)>,
    /// Latest time of a message record, ms since 1970.
    pub latest_ms: i64,
    /// Whether a place in it was damaged when it was indexed.
    pub damaged: bool,
}

impl LogReader {
    /// The oldest segments, up to the first that is not complete, is the newest, or holds a record that waits for a
    /// time-stamp.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn old_segments(&self) -> Result<Vec<OldSegment>, LogError> {
        let numbers = segment::list(self.directory())?;
        let newest = numbers.last().copied();
        let (sealed, waiting) =
            self.with_catalog(|catalog| (catalog.sealed_from(0), catalog.unstamped().iter().next()));
        let mut old = Vec::new();
        for number in numbers.into_iter().filter(|number| Some(*number) != newest) {
            let Some(sealed) = sealed.iter().find(|sealed| sealed.head.number == number) else { break };
            let head = &sealed.head;
            let ids = (head.messages() > 0).then_some((head.first_message_id, head.last_message_id));
            if waiting.is_some_and(|waiting| ids.is_some_and(|(_, last)| last >= waiting)) {
                break;
            }
            let index = fs::metadata(self.directory().join(sealed::file_name(number)));
            old.push(OldSegment {
                number,
                bytes: head.segment_len + index.map_or(0, |index| index.len()),
                ids,
                latest_ms: head.latest_ms,
                damaged: head.damaged_places() > 0,
            });
        }
        Ok(old)
    }

    /// Bytes of all segments and their indexes.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn bytes(&self) -> Result<u64, LogError> {
        let mut bytes = 0;
        for entry in fs::read_dir(self.directory())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("segment-") {
                // One that has gone meanwhile takes nothing.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(bytes)
    }
}

impl LogHandle {
    /// Takes a segment out of the log: for good, or into the folder [`SET_ASIDE`]. Those before it must have gone.
    ///
    /// # Errors
    /// When it is none of [`LogReader::old_segments`], or a file cannot be removed; then it is found again at the next start.
    pub fn take_out(&self, number: u32, set_aside: bool) -> Result<(), LogError> {
        let reader = self.reader();
        if reader.old_segments()?.first().is_none_or(|first| first.number != number) {
            return Err(LogError::Io(io::Error::other(
                "only the oldest segment can be taken out of the log",
            )));
        }
        let directory = reader.directory();
        let files = [segment::file_name(number), sealed::file_name(number)];
        // Whoever looks a record up from now on does not find it; whoever did before is told that its file is gone.
        reader.forget_segment(number);
        if set_aside {
            let aside = directory.join(SET_ASIDE);
            fs::create_dir_all(&aside)?;
            for file in files {
                not_found_is_fine(fs::rename(directory.join(&file), aside.join(&file)))?;
            }
            sync(&aside)?;
        } else {
            for file in files {
                not_found_is_fine(fs::remove_file(directory.join(file)))?;
            }
        }
        sync(directory)
    }
}

fn not_found_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> Result<(), LogError> {
    Ok(File::open(directory)?.sync_all()?)
}

/// Removes indexes whose segment is not there any more: a kill came between the two.
pub(super) fn remove_lone_indexes(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "idx") && !path.with_extension("log").exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
