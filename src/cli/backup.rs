//! `hermod backup`: what cannot be had again, encrypted, while the server runs.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::encryption::{Recipient, encrypt};
use super::server::ServerArgs;
use crate::control::backup::gather;
use crate::time::{Clock as _, SystemClock};

/// Arguments of `hermod backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The backup; a file that is there already is not touched
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Encrypt with age for this recipient: age1…, or a file of recipients
    #[arg(long, value_name = "RECIPIENT", required_unless_present = "gpg", conflicts_with = "gpg")]
    age: Option<String>,
    /// Encrypt with gpg for this recipient: a key of the key ring, or a file with a public key
    #[arg(long, value_name = "KEY")]
    gpg: Option<String>,
}

type Failure = Box<dyn std::error::Error>;

/// Makes the backup: 0 when it is durable, 1 when not, with the reason on standard error.
pub fn run(args: &BackupArgs) -> ExitCode {
    match backup(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hermod backup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let config = args.server.config()?;
    if args.file.exists() {
        return Err(format!("{} is there already", args.file.display()).into());
    }
    // Noted before, so that the backup holds it.
    super::audit::note(&config, "backup", serde_json::json!({ "file": args.file }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let gathered = runtime.block_on(gather(&config, &args.server.file, SystemClock.now()))?;
    super::ownership::hand_over(&config.root);
    let recipient = match (&args.age, &args.gpg) {
        (Some(age), _) => Recipient::Age(age.clone()),
        (None, gpg) => Recipient::Gpg(gpg.clone().unwrap_or_default()),
    };
    let encrypted = encrypt(&recipient, &gathered.backup.to_bytes()?)?;
    write(&args.file, &encrypted)?;
    gathered.notices.iter().for_each(|notice| say!("{notice}"));
    let manifest = &gathered.backup.manifest;
    say!(
        "{}: {} files of {}, {} bytes; the message log went to record {}",
        args.file.display(),
        manifest.files.len(),
        manifest.server,
        encrypted.len(),
        manifest.log_last_id,
    );
    Ok(())
}

// Under its name only when it is whole and durable.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    opened.write_all(bytes)?;
    opened.sync_all()?;
    std::fs::rename(&part, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
