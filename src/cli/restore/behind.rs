//! What has gone on since the backup must not meet state from before: ids, archives and the chain of acts would begin to
//! contradict what is written.

use super::Failure;
use crate::config::Config;
use crate::control::AuditLog;
use crate::control::archive::archived_beyond;
use crate::control::backup::{Backup, RECORD_IDS_SKIPPED};
use crate::log::{LogReader, begins_behind};

/// Refuses a backup that is behind what lies on this machine.
pub(super) fn check(config: &Config, backup: &Backup) -> Result<(), Failure> {
    log(config, backup)?;
    archives(config, backup)?;
    acts(config, backup)
}

fn log(config: &Config, backup: &Backup) -> Result<(), Failure> {
    let directory = &config.log.dir;
    if !directory.is_dir() {
        return Ok(());
    }
    let (shown, backed_up) = (directory.display(), backup.manifest.log_last_id);
    let last = LogReader::open(directory)?.last_id();
    if last > backed_up {
        return Err(format!(
            "the message log in {shown} has gone on to record {last}, the backup was made at record {backed_up}: restoring it whole \
             would go back behind the log. Restore single parts with --only, or take the latest backup"
        )
        .into());
    }
    // A later backup was restored here, and the log that it was made of was lost.
    let behind = begins_behind(directory)?;
    if behind > backed_up.saturating_add(RECORD_IDS_SKIPPED) {
        return Err(format!(
            "the message log in {shown} goes on behind record {behind}, the backup was made at record {backed_up}, before another \
             that was restored here: restoring it whole would go back behind the log. Restore single parts with --only, or take \
             the latest backup"
        )
        .into());
    }
    Ok(())
}

fn archives(config: &Config, backup: &Backup) -> Result<(), Failure> {
    let Some(position) = backup.files.get("archive-position") else { return Ok(()) };
    match archived_beyond(&config.log.dir, position)? {
        None => Ok(()),
        Some(below) => Err(format!(
            "records before {below} are archived according to {}, but not according to the backup: restoring it whole would archive \
             records twice, in a second branch of the archives' chain. Restore single parts with --only, or take the latest \
             backup; where the archives are lost as well, move that file away",
            config.log.dir.join("archive-position").display()
        )
        .into()),
    }
}

fn acts(config: &Config, backup: &Backup) -> Result<(), Failure> {
    let (audit, backed_up) = (AuditLog::new(&config.audit).verify()?, backup.manifest.audit_entries);
    if audit.entries > backed_up {
        return Err(format!(
            "the audit log {} has {} entries, that of the backup {backed_up}: restoring it whole would lose acts. Restore single \
             parts with --only",
            config.audit.display(),
            audit.entries,
        )
        .into());
    }
    Ok(())
}
