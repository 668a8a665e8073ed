//! Which files there are to judge.

use std::path::{Path, PathBuf};

use crate::limits::EVIDENCE_FILES_MAX;

/// Endings of evidence in a directory; other files are left alone.
const ENDINGS: [&str; 3] = ["asice", "zip", "gpg"];

/// The file itself, or all evidence in a directory and its folders, in the order of names. Links are not followed.
///
/// # Errors
/// The operating system's; a directory without evidence, or with too much.
pub fn evidence_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let is_evidence = path.extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one));
            match (kind.is_dir(), kind.is_file() && is_evidence) {
                (true, _) => folders.push(path),
                (_, true) => found.push(path),
                _ => {}
            }
            if found.len() + folders.len() > EVIDENCE_FILES_MAX {
                return Err(std::io::Error::other("too many files"));
            }
        }
    }
    if found.is_empty() {
        return Err(std::io::Error::other("there are no containers (.asice) or archives (.zip) in it"));
    }
    found.sort();
    Ok(found)
}
