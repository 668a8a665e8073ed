//! What goes into a backup, read while the server runs.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Backup, BackupError, FORMAT, Manifest};
use crate::config::{Config, Pin, Token};
use crate::control::{AuditLog, RegistryDb};
use crate::crypto::{sha256, to_hex};
use crate::log::{LogError, LogReader, begins_behind};
use crate::time::UnixTime;

/// A backup, and what is not in it.
pub struct Gathered {
    /// The backup.
    pub backup: Backup,
    /// Lines for people.
    pub notices: Vec<String>,
}

/// Gathers a backup of the server that `file` configures.
///
/// # Errors
/// What cannot be read.
pub async fn gather(config: &Config, file: &Path, now: UnixTime) -> Result<Gathered, BackupError> {
    let (mut files, mut notices) = (BTreeMap::new(), Vec::new());
    // How far the log goes is read first: everything else is at least as new.
    let log_last_id = log_position(&config.log.dir)
        .map_err(|error| BackupError::about(&config.log.dir.display(), &error))?;
    must(&mut files, "hermod.toml", file)?;
    if let Some(anchor) = &config.globalconf.anchor {
        must(&mut files, "anchor.xml", anchor)?;
    }
    if let Some(Pin::File(pin)) = &config.signer.pin {
        must(&mut files, "pin", pin)?;
    }
    if let Some(folder) = file.parent() {
        may(&mut files, "registry.toml", &folder.join("registry.toml"))?;
    }
    may(&mut files, "internal.p12", &config.tls.internal)?;
    may(&mut files, "archive-position", &config.log.dir.join("archive-position"))?;
    match &config.signer.token {
        Token::Hermod { dir } => keys(&mut files, dir)?,
        Token::Official { keyconf } => notices.push(format!(
            "the keys are those of the official signer at {}: not in this backup",
            keyconf.display()
        )),
    }
    if config.registry.exists() {
        files.insert("registry.sqlite".into(), registry(&config.registry).await?);
    }
    notices.extend(elsewhere(config));
    let audit = AuditLog::new(&config.audit);
    let audited = |error: &dyn std::fmt::Display| BackupError::about(&"audit log", error);
    let lines = audit.snapshot().map_err(|error| audited(&error))?;
    let audit_entries = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    if !lines.is_empty() {
        files.insert("audit.log".into(), lines);
    }
    let hashes = files.iter().map(|(name, bytes)| (name.clone(), to_hex(&sha256(bytes)))).collect();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        server: config.server_id.to_string(),
        made: now.to_rfc3339(),
        log_last_id,
        audit_entries,
        files: hashes,
    };
    Ok(Gathered { backup: Backup { manifest, files }, notices })
}

/// Ids up to this one are given, or were by a log that is lost.
fn log_position(log: &Path) -> Result<u64, LogError> {
    match log.is_dir() {
        true => Ok(LogReader::open(log)?.last_id().max(begins_behind(log)?)),
        false => Ok(0),
    }
}

/// Secrets and keys that the configuration names and the operator keeps: without them evidence or a service is lost.
fn elsewhere(config: &Config) -> impl Iterator<Item = String> {
    let log = &config.log;
    let gpg_home = log.archive_encryption.then(|| log.archive_gpg_home.clone());
    let named = [
        ("the keys of encrypted log records, without which nobody reads them,", log.encryption_keys.clone()),
        ("the OpenPGP keys of archives", gpg_home),
        ("the list of members' OpenPGP keys", log.archive_encryption_keys.clone()),
        ("the secret of the object store", config.archive_store.secret_key_file.clone()),
        ("the password of the database", config.follow_postgresql.password_file.clone()),
    ];
    let said = |(what, path): (&str, Option<PathBuf>)| {
        path.map(|path| format!("{what} are kept at {}: not in this backup", path.display()))
    };
    named.into_iter().filter_map(said)
}

type Files = BTreeMap<String, Vec<u8>>;

fn must(files: &mut Files, name: &str, path: &Path) -> Result<(), BackupError> {
    let bytes = std::fs::read(path).map_err(|error| BackupError::about(&path.display(), &error))?;
    files.insert(name.into(), bytes);
    Ok(())
}

fn may(files: &mut Files, name: &str, path: &Path) -> Result<(), BackupError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        _ => must(files, name, path),
    }
}

// The index names the keys; a key is there before its name is.
fn keys(files: &mut Files, directory: &Path) -> Result<(), BackupError> {
    may(files, "tokens/keys.toml", &directory.join("keys.toml"))?;
    let failed = |error| BackupError::about(&directory.display(), &error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".p12") {
            must(files, &format!("tokens/{name}"), &path)?;
        }
    }
    Ok(())
}

async fn registry(file: &Path) -> Result<Vec<u8>, BackupError> {
    let failed = |error: &dyn std::fmt::Display| BackupError::about(&file.display(), error);
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let copy = folder.path().join("registry.sqlite");
    let mut db = RegistryDb::open(file).await.map_err(|error| failed(&error))?;
    db.copy_to(&copy).await.map_err(|error| failed(&error))?;
    std::fs::read(&copy).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::begin_behind;

    #[test]
    fn a_log_that_was_lost_and_has_no_record_yet_is_as_far_as_its_ids_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(log_position(&log).unwrap(), 0);
        begin_behind(&log, 0, 7, 100).unwrap();
        assert_eq!(log_position(&log).unwrap(), 107);
    }
}
