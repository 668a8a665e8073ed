//! The server's own configuration file, `hermod.toml`.
//!
//! Every key has a default except the identity under `[server]`. Unknown keys, wrong types and values out of range are
//! refused, all at once, each with its line and, where one is close, the key that was probably meant.
//! [`Config::example`] is a complete file with every key, its unit and its default.

mod presets;
mod read;
mod reader;
mod sections;

use std::path::{Path, PathBuf};

use crate::message::SecurityServerId;
pub use presets::PRESETS;
pub(crate) use read::{client_id, http_url, id_parts};
pub use reader::{FileError, Problem, Section, read_toml};
pub use sections::*;

/// Where the configuration is when `--config` does not say.
pub const DEFAULT_FILE: &str = "/etc/hermod/hermod.toml";
/// Where state is kept when the file does not say.
pub const DEFAULT_ROOT: &str = "/var/lib/hermod";
/// The version that Hermod speaks as, in `x-proxy-version`.
pub const XROAD_VERSION: &str = "7.8.0";

/// The whole configuration, checked. All paths are absolute or relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[server]`: who this security server is.
    pub server_id: SecurityServerId,
    /// `root`: the folder of all state. Default `/var/lib/hermod`; a relative one is relative to the file's folder.
    pub root: PathBuf,
    /// `registry`: the registry database. Default `registry.sqlite` (relative to the root).
    pub registry: PathBuf,
    /// `audit`: the log of administrative acts. Default `audit.log` (relative to the root).
    pub audit: PathBuf,
    /// `[listen]`
    pub listen: Listen,
    /// `[admin]`
    pub admin: Admin,
    /// `[health]`
    pub health: Health,
    /// `[countdown]`
    pub countdown: Countdown,
    /// `[worker]`
    pub worker: Worker,
    /// `[signer]`
    pub signer: Signer,
    /// `[log]`
    pub log: Log,
    /// `[archive_store]`
    pub archive_store: ArchiveStore,
    /// `[follow_postgresql]`
    pub follow_postgresql: FollowPostgresql,
    /// `[timestamp]`
    pub timestamp: Timestamp,
    /// `[proxy]`
    pub proxy: Proxy,
    /// `[limits]`
    pub limits: Limits,
    /// `[tls]`
    pub tls: Tls,
    /// `[globalconf]`
    pub globalconf: GlobalConfiguration,
    /// `[ocsp]`
    pub ocsp: Ocsp,
    /// `[monitoring]`
    pub monitoring: Monitoring,
    /// `[logging]`
    pub logging: Logging,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            FileError::whole(&name, format!("cannot be read: {error}; --config names another file"))
        })?;
        Self::parse(&name, file.parent().unwrap_or(Path::new("")), &text)
    }

    /// Checks a text. `name` is how errors name the file; a relative root is relative to `folder`. What the text leaves
    /// out is taken from the preset that it names, then from the program's defaults.
    pub fn parse(name: &str, folder: &Path, text: &str) -> Result<Self, FileError> {
        reader::read_toml_over(name, text, presets::named_in(text), |root| read::config(root, folder))
    }

    /// A complete, commented file: every key with its meaning, unit and default.
    pub fn example() -> &'static str {
        include_str!("example.toml")
    }
}

#[cfg(test)]
mod tests;
