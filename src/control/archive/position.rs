//! How far the archiver has come: one small file beside the log, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ArchiveError, Step, Watch};
use crate::crypto::{sha256, to_hex};

const FILE: &str = "archive-position";
const TEMPORARY: &str = "archive-position.new";

/// Everything that survives a kill. It is written before an archive gets its name, which makes it the one moment from
/// which on the archive's records are archived: before it they are not, after it the name is given at the next start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Every record before this id is archived or left out.
    pub done_below: u64,
    /// The grouping of a batch that is not finished.
    pub grouping: String,
    /// The chain of each group; the name is empty without grouping.
    pub groups: BTreeMap<String, Chain>,
    /// The archive that was finished last, and the name that it gets.
    pub moving: Option<Moving>,
    /// First and last ids of records that are damaged and in no archive.
    pub left_out: Vec<(u64, u64)>,
    /// When the archiver ran last, ms since 1970.
    pub last_run_ms: i64,
}

/// Where a group's chain has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    /// The last digest, hex; empty before the first archive.
    pub digest: String,
    /// The last archive's file name; empty before the first.
    pub file: String,
    /// Every record of the group before this id is archived or left out.
    pub done_below: u64,
}

/// An archive that is complete under a temporary name, unless it has its own name already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moving {
    pub directory: PathBuf,
    pub from: String,
    pub to: String,
}

impl Position {
    /// Reads the position of a log; the beginning when there is none.
    pub fn load(log: &Path) -> Result<Self, ArchiveError> {
        let path = log.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(ArchiveError::file(&path, error)),
        };
        // Beginning anew because of a damaged file would archive everything twice.
        Self::parse(&text).ok_or(ArchiveError::Position { path })
    }

    /// `None` of what is damaged.
    fn parse(text: &str) -> Option<Self> {
        let (line, digest) = text.split_once('\n')?;
        serde_json::from_str(line).ok().filter(|_| digest.trim_end() == digest_of(line))
    }

    /// The id before which something is archived that `other` does not count.
    fn beyond(&self, other: &Self) -> Option<u64> {
        let of = |group| other.groups.get(group).map_or(0, |chain: &Chain| chain.done_below);
        let groups = self.groups.iter().map(|(group, chain)| (chain.done_below, of(group)));
        let all = std::iter::once((self.done_below, other.done_below)).chain(groups);
        all.filter(|(own, other)| own > other).map(|(own, _)| own).max()
    }

    /// Makes this the position, durably.
    pub fn save(&self, log: &Path, watch: &Watch) -> Result<(), ArchiveError> {
        let (path, temporary) = (log.join(FILE), log.join(TEMPORARY));
        let save = || {
            let line = serde_json::to_string(self)?;
            watch(Step::WritePosition)?;
            let mut file = File::create(&temporary)?;
            file.write_all(format!("{line}\n{}\n", digest_of(&line)).as_bytes())?;
            file.sync_all()?;
            watch(Step::ReplacePosition)?;
            fs::rename(&temporary, &path)?;
            watch(Step::SyncPosition)?;
            File::open(log)?.sync_all()
        };
        save().map_err(|error| ArchiveError::file(&path, error))
    }

    /// Whether some groups of a batch are archived further than others.
    pub fn is_within_batch(&self) -> bool {
        self.groups.values().any(|chain| chain.done_below > self.done_below)
    }

    /// Notes a record that cannot be archived.
    pub fn leave_out(&mut self, id: u64) {
        self.left_out.push((id, id));
        self.left_out.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (first, last) in self.left_out.drain(..) {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        self.left_out = merged;
    }
}

/// The id before which records of this log are archived, when that is further than a position file of `other` says: in its
/// place, that one would have records archived twice and the archives' chain begin a second branch. `None` too when the file
/// that is there is damaged, as another one is its mend.
///
/// # Errors
/// The file cannot be read.
pub fn archived_beyond(log: &Path, other: &[u8]) -> Result<Option<u64>, ArchiveError> {
    let other = std::str::from_utf8(other).ok().and_then(Position::parse).unwrap_or_default();
    match Position::load(log) {
        Ok(position) => Ok(position.beyond(&other)),
        Err(ArchiveError::Position { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn digest_of(line: &str) -> String {
    to_hex(&sha256(line.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_left_out_are_kept_as_ranges_and_each_once() {
        let mut position = Position::default();
        [5, 3, 4, 9, 3].into_iter().for_each(|id| position.leave_out(id));
        assert_eq!(position.left_out, [(3, 5), (9, 9)]);
    }

    #[test]
    fn a_position_is_beyond_another_when_any_group_is() {
        let directory = tempfile::tempdir().unwrap();
        let none: Watch = std::sync::Arc::new(|_| Ok(()));
        let position = |done_below, groups: &[(&str, u64)]| Position {
            done_below,
            groups: groups
                .iter()
                .map(|(group, done_below)| {
                    ((*group).to_owned(), Chain { done_below: *done_below, ..Chain::default() })
                })
                .collect(),
            ..Position::default()
        };
        let bytes = |position: &Position| {
            let elsewhere = tempfile::tempdir().unwrap();
            position.save(elsewhere.path(), &none).unwrap();
            fs::read(elsewhere.path().join(FILE)).unwrap()
        };
        let here = position(7, &[("a", 7), ("b", 5)]);
        let beyond = |other: &[u8]| archived_beyond(directory.path(), other).unwrap();
        assert_eq!(beyond(b"?"), None, "nothing is archived here");
        here.save(directory.path(), &none).unwrap();
        assert_eq!(beyond(&bytes(&here)), None);
        assert_eq!(beyond(&bytes(&position(9, &[("a", 9), ("b", 5)]))), None);
        assert_eq!(beyond(&bytes(&position(6, &[("a", 6), ("b", 5)]))), Some(7));
        assert_eq!(beyond(&bytes(&position(7, &[("a", 7), ("b", 4)]))), Some(5));
        assert_eq!(beyond(&bytes(&position(7, &[("a", 7)]))), Some(5), "a chain of its own");
        assert_eq!(beyond(b"?"), Some(7), "damaged in the backup");
        fs::write(directory.path().join(FILE), "?").unwrap();
        assert_eq!(beyond(&bytes(&position(1, &[]))), None, "damaged here: a backup is the mend");
    }

    #[test]
    fn a_damaged_position_is_refused_and_no_new_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let none: Watch = std::sync::Arc::new(|_| Ok(()));
        assert_eq!(Position::load(directory.path()).unwrap(), Position::default());
        let position = Position { done_below: 7, ..Position::default() };
        position.save(directory.path(), &none).unwrap();
        assert_eq!(Position::load(directory.path()).unwrap(), position);
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap().replace('7', "8");
        fs::write(&path, text).unwrap();
        assert!(matches!(Position::load(directory.path()), Err(ArchiveError::Position { .. })));
    }
}
