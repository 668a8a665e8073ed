//! The tables of the message log: what is kept, archived, followed and time-stamped.

use std::path::PathBuf;

use crate::message::ClientId;
use crate::trust::CostStrategy;

/// Which records share an archive (`archive-grouping`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// All of them.
    #[default]
    None,
    /// Those of a local member.
    Member,
    /// Those of a local subsystem.
    Subsystem,
}

/// `[log]`: the message log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Segments and index. Default `log`.
    pub dir: PathBuf,
    /// Archives. Default `archive`.
    pub archive_dir: PathBuf,
    /// Time between two runs of the archiver, in seconds; 0: none but those of `hermod archive run`. Default 21600.
    pub archive_interval_secs: u64,
    /// An archive is closed when its containers have more bytes than this. Default 33554432.
    pub archive_file_bytes_max: u64,
    /// Which records share an archive. Default `none`: all.
    pub archive_grouping: Grouping,
    /// Run by bash after each archive. Default none.
    pub archive_transfer_command: Option<String>,
    /// What the archiver may take of one core while messages pass, in percent. Default 10.
    pub archive_core_percent: u32,
    /// Encrypt archives by OpenPGP. Default false.
    pub archive_encryption: bool,
    /// Home directory of `gpg`. Default `gpghome`.
    pub archive_gpg_home: PathBuf,
    /// Key that archives are encrypted for where no other is named. Default none: the home's own.
    pub archive_encryption_key: Option<String>,
    /// File that names keys for members. Default none.
    pub archive_encryption_keys: Option<PathBuf>,
    /// Records older than so many days leave the log. Default 30; 0: never.
    pub keep_days: u64,
    /// The oldest records leave the log while it is larger, in bytes. Default 0: it may be of any size.
    pub keep_bytes_max: u64,
    /// Records leave the log only when they are in an archive. Default true.
    pub keep_unarchived: bool,
    /// A segment is closed at this size, in bytes. Default 268435456 (256 MiB).
    pub segment_bytes_max: u64,
    /// Are messages logged? Default true.
    pub records: bool,
    /// Providers for which the opposite of `records` holds. Default none.
    pub records_except: Vec<ClientId>,
    /// Are message bodies logged? Default true.
    pub bodies: bool,
    /// Providers for which the opposite of `bodies` holds. Default none.
    pub bodies_except: Vec<ClientId>,
    /// File of keys for records, lines `NAME = SECRET`. Default none.
    pub encryption_keys: Option<PathBuf>,
    /// Name of the key that new records are encrypted with. Default none: they are not encrypted.
    pub encryption_key: Option<String>,
    /// Largest REST body or attachment that is logged, in bytes. Default 10485760.
    pub body_bytes_max: u64,
    /// Log a larger body cut off instead of refusing the message. Default false.
    pub truncated_body_allowed: bool,
}

/// `[archive_store]`: an S3-compatible object store for archives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveStore {
    /// The bucket. Default none: archives stay in their folder.
    pub bucket: Option<String>,
    /// URL of the store. Default none: that of AWS for the region.
    pub endpoint: Option<String>,
    /// Default `us-east-1`.
    pub region: String,
    /// What names of archives begin with in the bucket. Default empty.
    pub prefix: String,
    /// The bucket is part of the host name. Default false: of the path.
    pub virtual_hosted: bool,
    /// Access key. Default none: what the host gives to its machines.
    pub access_key: Option<String>,
    /// File with the secret key.
    pub secret_key_file: Option<PathBuf>,
    /// Keep archives in the folder `stored` within theirs. Default false.
    pub keep_local: bool,
}

/// `[follow_postgresql]`: the message log again in a database.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FollowPostgresql {
    /// `postgresql://USER@HOST/DATABASE`. Default none.
    pub url: Option<String>,
    /// File with the password. Default none.
    pub password_file: Option<PathBuf>,
}

impl std::fmt::Debug for FollowPostgresql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("FollowPostgresql").field("url", &self.url.is_some()).finish_non_exhaustive()
    }
}

/// `[timestamp]`: time-stamping of the message log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Time-stamping authorities in the order to try. Default empty: all approved ones of the own instance.
    pub urls: Vec<String>,
    /// Stamp each record inside the exchange. Default false.
    pub immediately: bool,
    /// Which authorities are asked, by what they cost. Default `none`: all, in order.
    pub strategy: CostStrategy,
    /// When an authority has not answered for this long, the next is asked too; milliseconds, 0 never. Default 10000.
    pub hedge_ms: u64,
    /// Largest number of records of one time-stamp. Default 10000.
    pub records_max: usize,
    /// After time-stamping has failed for this long, messages are refused; seconds, 0 never. Default 14400.
    pub failure_secs_max: u64,
    /// Time between two runs, in seconds, instead of the global configuration's. Default 0: as configured there,
    /// from 60 to 86400. Meant for tests and sandboxes.
    pub interval_secs: u64,
    /// After a failed run the next is tried after this long (from 60 s unless `interval_secs` is set). Default 60.
    pub retry_secs: u64,
    /// Connecting to an authority may take this long, in milliseconds. Default 20000.
    pub connect_timeout_ms: u64,
    /// An authority's answer may take this long, in milliseconds. Default 60000.
    pub read_timeout_ms: u64,
}
