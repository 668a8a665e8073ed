//! Which parts of an archive are in the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Kept beside the archive while it is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notes {
    /// What the store calls the upload.
    pub upload: String,
    /// What the store calls the parts that it has, in order.
    pub parts: Vec<String>,
    length: u64,
    part_bytes: u64,
}

impl Notes {
    /// Of an upload that begins.
    pub fn new(upload: String, length: u64, part_bytes: u64) -> Self {
        Self { upload, parts: Vec::new(), length, part_bytes }
    }

    /// Of an upload that was begun before, if it was one of the same archive in parts of the same size.
    pub fn read(directory: &Path, name: &str, length: u64, part_bytes: u64) -> Option<Self> {
        let text = fs::read_to_string(path(directory, name)).ok()?;
        let notes: Self = serde_json::from_str(&text).ok()?;
        ((notes.length, notes.part_bytes) == (length, part_bytes)).then_some(notes)
    }

    /// Where the next part begins.
    pub fn next_byte(&self) -> u64 {
        self.parts.len() as u64 * self.part_bytes
    }

    /// Keeps them. They are a help and no evidence: whether they reach the disk does not matter.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<()> {
        let path = path(directory, name);
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, path)
    }

    /// Takes them away.
    pub fn remove(directory: &Path, name: &str) {
        let _ = fs::remove_file(path(directory, name));
    }
}

fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.upload"))
}
