//! Backups: everything of a server that cannot be had again, but for the message log, in one zip file that is meant to be
//! encrypted before it reaches a disk.
//!
//! | entry | what |
//! |---|---|
//! | `manifest.json` | server, time, how far the message log went, SHA-256 of every other entry |
//! | `hermod.toml`, `anchor.xml`, `pin`, `registry.toml`, `internal.p12` | configuration |
//! | `registry.sqlite` | the registry, as of one moment |
//! | `tokens/…` | keys and certificates |
//! | `archive-position`, `audit.log` | what goes with the message log |
//!
//! A running server changes files as a whole, so each entry is consistent; the index of keys is read before the keys, the
//! registry is copied by its database, the audit log under its lock.

mod container;
mod gather;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use container::Backup;
pub use gather::{Gathered, gather};

/// Format of [`Manifest`].
pub const FORMAT: u32 = 1;
/// How far record ids go on behind those of a backup when the log itself is lost: no server logs that many between a backup and
/// its loss, and no id is used twice.
pub const RECORD_IDS_SKIPPED: u64 = 1_000_000_000;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the Hermod that made it.
    pub version: String,
    /// The server's identifier, as text.
    pub server: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Largest id that the message log has given, or that was given by one that is lost; 0 of a new one.
    pub log_last_id: u64,
    /// Lines of the audit log.
    pub audit_entries: u64,
    /// SHA-256 of each entry, lower-case hex.
    pub files: BTreeMap<String, String>,
}

/// Which entries are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupPart {
    /// Configuration, anchor, PIN, declaration, internal TLS key.
    Configuration,
    /// The registry database.
    Registry,
    /// Keys and certificates.
    Keys,
    /// What goes with the message log: where archives stand, and the audit log.
    History,
}

impl BackupPart {
    /// Of an entry.
    pub fn of(name: &str) -> Self {
        match name {
            "registry.sqlite" => Self::Registry,
            "archive-position" | "audit.log" => Self::History,
            name if name.starts_with("tokens/") => Self::Keys,
            _ => Self::Configuration,
        }
    }
}

/// Why a backup cannot be made or read: one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackupError(pub String);

impl BackupError {
    fn about(what: &dyn std::fmt::Display, error: &dyn std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}
