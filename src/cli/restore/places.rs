//! Where the files of a backup go. Its own configuration says so, and whoever made the backup wrote that: only what the
//! operator has named is written to.

use std::path::{Component, Path, PathBuf};

use super::{Failure, RestoreArgs};
use crate::config::{Config, DEFAULT_FILE, DEFAULT_ROOT, Pin, Token};

/// Where an entry goes.
pub(super) fn of(config: &Config, file: &Path, name: &str) -> Option<PathBuf> {
    Some(match name {
        "hermod.toml" => file.to_owned(),
        "registry.toml" => file.parent()?.join(name),
        "anchor.xml" => config.globalconf.anchor.clone()?,
        "pin" => match &config.signer.pin {
            Some(Pin::File(pin)) => pin.clone(),
            _ => return None,
        },
        "internal.p12" => config.tls.internal.clone(),
        "registry.sqlite" => config.registry.clone(),
        "archive-position" => config.log.dir.join(name),
        "audit.log" => config.audit.clone(),
        _ => match &config.signer.token {
            Token::Hermod { dir } => dir.join(name.strip_prefix("tokens/")?),
            Token::Official { .. } => return None,
        },
    })
}

/// The configuration writes nowhere but into the folder of its file, into folders that the operator has named, and where the
/// configuration that is `present` has the same.
pub(super) fn check(
    args: &RestoreArgs,
    config: &Config,
    present: Option<&Config>,
    files: &[(&str, &Path)],
) -> Result<(), Failure> {
    let folder = args.config.parent().unwrap_or(Path::new("")).to_owned();
    let mut folders = vec![plain(&folder)?];
    for named in &args.into {
        folders.push(plain(named)?);
    }
    if args.config == Path::new(DEFAULT_FILE) {
        folders.push(DEFAULT_ROOT.into());
    }
    let mut known = Vec::new();
    if let Some(present) = present {
        folders.push(plain(&present.root)?);
        known.extend(own(present).into_iter().map(Path::to_owned));
        known.extend(files.iter().filter_map(|(name, _)| of(present, &args.config, name)));
    }
    let mut refused = Vec::<PathBuf>::new();
    for path in own(config).into_iter().chain(files.iter().map(|(_, path)| *path)) {
        let plain = plain(path)?;
        let is_named =
            folders.iter().any(|folder| plain.starts_with(folder)) || known.iter().any(|known| known == path);
        if !is_named && !refused.iter().any(|refused| plain.starts_with(refused)) {
            refused.push(plain);
        }
    }
    match refused.as_slice() {
        [] => Ok(()),
        refused => {
            let refused: Vec<_> = refused.iter().map(|path| path.display().to_string()).collect();
            Err(format!(
                "the backup's configuration leads outside of the folder of the configuration file: {}. --into FOLDER allows another \
                 folder, and may be given several times",
                refused.join(", ")
            )
            .into())
        }
    }
}

/// What a restore writes to besides the files of the backup.
fn own(config: &Config) -> [&Path; 3] {
    [&config.root, &config.log.dir, &config.audit]
}

/// Absolute, without steps back.
fn plain(path: &Path) -> std::io::Result<PathBuf> {
    // An empty path is the working directory.
    let absolute = std::path::absolute(Path::new(".").join(path))?;
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Ok(plain)
}
