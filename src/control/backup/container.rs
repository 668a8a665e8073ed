//! The zip file of a backup.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;

use super::{BackupError, FORMAT, Manifest};
use crate::crypto::{sha256, to_hex};
use crate::limits::BACKUP_BYTES_MAX;

const MANIFEST: &str = "manifest.json";

/// A whole backup in memory.
#[derive(Debug, Clone)]
pub struct Backup {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its entries.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Backup {
    /// The bytes of the zip file.
    ///
    /// # Errors
    /// When the zip library refuses, which it does not for what is in memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BackupError> {
        let failed = |error: &dyn std::fmt::Display| BackupError::about(&"backup", error);
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        let manifest = serde_json::to_vec_pretty(&self.manifest).map_err(|error| failed(&error))?;
        let entries = self.files.iter().map(|(name, bytes)| (name.as_str(), bytes));
        for (name, bytes) in std::iter::once((MANIFEST, &manifest)).chain(entries) {
            zip.start_file(name, options).map_err(|error| failed(&error))?;
            zip.write_all(bytes).map_err(|error| failed(&error))?;
        }
        Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
    }

    /// Reads a backup and checks every entry against the manifest.
    ///
    /// # Errors
    /// It is no backup, one of another format, or damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, BackupError> {
        let failed = |error: &dyn std::fmt::Display| BackupError::about(&"this is no backup", error);
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| failed(&error))?;
        let (mut files, mut left) = (BTreeMap::new(), BACKUP_BYTES_MAX);
        for at in 0..zip.len() {
            let entry = zip.by_index(at).map_err(|error| failed(&error))?;
            let (name, mut contents) = (entry.name().to_owned(), Vec::new());
            entry.take(left + 1).read_to_end(&mut contents).map_err(|error| failed(&error))?;
            left = left
                .checked_sub(contents.len() as u64)
                .ok_or_else(|| BackupError(format!("the backup is larger than {BACKUP_BYTES_MAX} bytes")))?;
            files.insert(name, contents);
        }
        let manifest = files.remove(MANIFEST).ok_or_else(|| failed(&"it has no manifest"))?;
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| failed(&error))?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            return Err(BackupError(format!("the backup has format {format}, this version knows {FORMAT}")));
        }
        let hashes: BTreeMap<String, String> =
            files.iter().map(|(name, bytes)| (name.clone(), to_hex(&sha256(bytes)))).collect();
        if let Some(name) = files.keys().find(|name| !is_known(name)) {
            return Err(BackupError(format!("the backup has an entry that no backup has: {name:?}")));
        }
        match hashes == manifest.files {
            true => Ok(Self { manifest, files }),
            false => {
                Err(BackupError("the backup is damaged: its entries are not those of its manifest".into()))
            }
        }
    }
}

// Names become paths.
fn is_known(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "hermod.toml",
        "anchor.xml",
        "pin",
        "registry.toml",
        "internal.p12",
        "registry.sqlite",
        "archive-position",
        "audit.log",
    ];
    let is_plain = |name: &str| {
        !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    NAMES.contains(&name)
        || name.strip_prefix("tokens/").is_some_and(|name| !name.is_empty() && is_plain(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(name: &str) -> Backup {
        let files = BTreeMap::from([(name.to_owned(), b"contents".to_vec())]);
        let hashes = files.iter().map(|(name, bytes)| (name.clone(), to_hex(&sha256(bytes)))).collect();
        let manifest = Manifest {
            format: FORMAT,
            version: "0".into(),
            server: "LAB/GOV/1/ss1".into(),
            made: "2026-01-01T00:00:00Z".into(),
            log_last_id: 7,
            audit_entries: 3,
            files: hashes,
        };
        Backup { manifest, files }
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let whole = backup("tokens/keys.toml");
        let read = Backup::read(&whole.to_bytes().unwrap()).unwrap();
        assert_eq!((read.manifest, read.files), (whole.manifest.clone(), whole.files.clone()));
        let mut changed = whole.clone();
        changed.files.insert("tokens/keys.toml".into(), b"others".to_vec());
        assert!(Backup::read(&changed.to_bytes().unwrap()).unwrap_err().to_string().contains("damaged"));
        let mut newer = whole;
        newer.manifest.format = 2;
        assert!(Backup::read(&newer.to_bytes().unwrap()).unwrap_err().to_string().contains("format 2"));
        for name in ["../pin", "tokens/../pin", "tokens/", "etc/passwd"] {
            let error = Backup::read(&backup(name).to_bytes().unwrap()).unwrap_err();
            assert!(error.to_string().contains("no backup has"), "{name}: {error}");
        }
        assert!(Backup::read(b"no zip").is_err());
    }
}
