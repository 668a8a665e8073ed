//! `hermod restore`: a server from its backup, on the same machine or another.

mod behind;
mod places;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::encryption::decrypt;
use crate::config::{Config, DEFAULT_FILE};
use crate::control::backup::{Backup, BackupPart, RECORD_IDS_SKIPPED};
use crate::limits::BACKUP_BYTES_MAX;
use crate::log::{LogReader, begin_behind, is_in_use};

/// Arguments of `hermod restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup; "-" reads one that was decrypted already from standard input
    file: PathBuf,
    /// The server's configuration file; relative paths in it are relative to its folder
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// File with the age identity that opens the backup
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Let the backup's configuration put files into this folder, too; may be given several times
    ///
    /// Without it they go into the folder of the configuration file, /var/lib/hermod where that is the default one, and where the
    /// configuration that is there already has them.
    #[arg(long, value_name = "FOLDER")]
    into: Vec<PathBuf>,
    /// Restore this part alone, whatever the message log has done since; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Replace files that are there; they stay beside the new ones, as NAME.before-restore
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Configuration, anchor, PIN, declaration, internal TLS key
    Configuration,
    /// Clients, services, rights
    Registry,
    /// Keys and certificates
    Keys,
}

type Failure = Box<dyn std::error::Error>;

/// Restores: 0 when done, 1 when refused, with the reason on standard error and nothing changed.
pub fn run(args: &RestoreArgs) -> ExitCode {
    match restore(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod restore: {error}");
            ExitCode::FAILURE
        }
    }
}

fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let backup = Backup::read(&decrypt(read(&args.file)?, args.identity.as_deref())?)?;
    let config = configuration(args, &backup)?;
    let manifest = &backup.manifest;
    if config.server_id.to_string() != manifest.server {
        return Err(
            format!("the backup is of {}, this server is {}", manifest.server, config.server_id).into()
        );
    }
    let whole = args.only.is_empty();
    let wanted = |name: &str| match BackupPart::of(name) {
        BackupPart::History => whole,
        BackupPart::Configuration => whole || args.only.contains(&Part::Configuration),
        BackupPart::Registry => whole || args.only.contains(&Part::Registry),
        BackupPart::Keys => whole || args.only.contains(&Part::Keys),
    };
    let mut files = Vec::new();
    for (name, bytes) in backup.files.iter().filter(|(name, _)| wanted(name)) {
        let path = places::of(&config, &args.config, name)
            .ok_or_else(|| format!("{name}: the configuration has no place for it"))?;
        files.push((name.as_str(), path, bytes));
    }
    // Before anything in these places is looked at.
    let present = Config::load(&args.config).ok();
    let wanted: Vec<_> = files.iter().map(|(name, path, _)| (*name, path.as_path())).collect();
    places::check(args, &config, present.as_ref(), &wanted)?;
    if std::iter::once(&config).chain(&present).any(|config| is_in_use(&config.log.dir)) {
        return Err("the server runs: stop it first".into());
    }
    if whole {
        behind::check(&config, &backup)?;
    }
    let differs =
        |path: &Path, bytes: &[u8]| path.exists() && std::fs::read(path).ok().as_deref() != Some(bytes);
    let there: Vec<String> = files
        .iter()
        .filter(|(_, path, bytes)| differs(path, bytes))
        .map(|(_, path, _)| path.display().to_string())
        .collect();
    if !there.is_empty() && !args.replace {
        return Err(format!(
            "these files are there, and are others; --replace moves them aside: {}",
            there.join(", ")
        )
        .into());
    }
    for (_, path, bytes) in &files {
        put(path, bytes, differs(path, bytes))?;
    }
    if whole {
        let present = match config.log.dir.is_dir() {
            true => LogReader::open(&config.log.dir)?.last_id(),
            false => 0,
        };
        begin_behind(&config.log.dir, present, manifest.log_last_id, RECORD_IDS_SKIPPED)?;
    }
    let details = serde_json::json!({
        "made": manifest.made, "version": manifest.version, "files": files.len(), "whole": whole,
    });
    crate::cli::audit::note(&config, "restore", details);
    crate::cli::ownership::hand_over(&config.root);
    for (_, path, _) in files.iter().filter(|(_, path, _)| !path.starts_with(&config.root)) {
        let is_written =
            *path == config.audit || *path == config.registry || path.starts_with(&config.log.dir);
        crate::cli::ownership::share(&config.root, path, is_written);
    }
    say!("{} files of the backup of {} restored; next: hermod check", files.len(), manifest.made);
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(BACKUP_BYTES_MAX).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let opened = std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    opened.take(BACKUP_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The backup's configuration as it will be in force, or the one that stays.
fn configuration(args: &RestoreArgs, backup: &Backup) -> Result<Config, Failure> {
    if !args.only.is_empty() && !args.only.contains(&Part::Configuration) {
        return Ok(Config::load(&args.config)?);
    }
    let text = backup.files.get("hermod.toml").ok_or("the backup holds no hermod.toml")?;
    let folder = args.config.parent().unwrap_or(Path::new(""));
    Ok(Config::parse("hermod.toml of the backup", folder, std::str::from_utf8(text)?)?)
}

fn put(path: &Path, bytes: &[u8], set_aside: bool) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(failed)?;
    }
    // What an earlier restore has set aside stays.
    let free = |ending: &str| {
        let numbered = (1..).map(|number| match number {
            1 => beside(&format!("{ending}.before-restore")),
            number => beside(&format!("{ending}.before-restore-{number}")),
        });
        numbered.into_iter().find(|name| !name.exists())
    };
    if set_aside && let Some(name) = free("") {
        std::fs::rename(path, name).map_err(failed)?;
    }
    // The write-ahead log of a database belongs to the one that was there.
    for ending in ["-wal", "-shm"] {
        if beside(ending).exists()
            && let Some(name) = free(ending)
        {
            std::fs::rename(beside(ending), name).map_err(failed)?;
        }
    }
    let part = beside(".part");
    // Never what somebody else has put there, be it a link.
    let _ = std::fs::remove_file(&part);
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(0o600).open(&part).map_err(failed)?;
    opened.write_all(bytes).map_err(failed)?;
    opened.sync_all().map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}
