//! The message log: append-only segments, group commit, recovery, search, time-stamping.
//!
//! * [`LogHandle`] appends; [`LogReader`] finds and reads; [`Timestamper`] keeps records time-stamped.
//! * `format` documents every byte of a segment; `segment` reads it, `sink` and `writer` write it. `sealed::layout`
//!   documents the index beside it.
//! * Nothing is answered before one `fdatasync` has made it durable; one such call covers all that waited.
//! * A record id is never used twice, not even after a failed write or a crash.

mod ahead;
mod archiving;
mod audit;
mod begin;
mod body_logging;
mod catalog;
mod chains;
mod container;
mod counters;
mod documents;
mod file_digest;
mod format;
mod handle;
mod ids;
mod live;
mod lock;
mod open_segment;
mod payload;
mod reader;
mod record;
mod recovery;
mod retention;
mod sealed;
mod sealer;
mod sealing;
mod search;
mod segment;
mod sink;
mod status;
mod storage;
#[cfg(test)]
mod tests;
mod timestamper;
mod writer;

use std::io;
use std::path::PathBuf;

pub use ahead::look_ahead;
pub use audit::{SegmentCheck, SegmentSummary};
pub use begin::{begin_behind, begins_behind};
pub use body_logging::{Kept, Policy, reduced_rest_head};
pub use container::encoded_query_id;
pub use counters::LogStatistics;
pub use format::FrameKind;
pub use handle::{LogConfig, LogHandle};
pub use lock::is_in_use;
pub use reader::LogReader;
pub use record::{Body, Damage, Direction, DurableRecord, Record, RecordSummary, Stamp, StoredRecord};
pub use retention::{OldSegment, SET_ASIDE};
pub use search::Query;
pub use status::TimestampStatus;
pub use storage::{AppendFile, Disk, Storage};
pub use timestamper::{StampOutcome, TimestampClient, Timestamper};

use crate::message::{ErrorCode, XRoadError};

/// Why a log cannot be opened or a record not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error("the message log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Another process writes this log.
    #[error("the message log at {} is in use by another process", directory.display())]
    Locked {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The segments belong to another security server.
    #[error("the message log belongs to security server {found}, not to {expected}")]
    OtherServer {
        /// What the segments say.
        found: String,
        /// Who wants to write.
        expected: String,
    },
    /// A segment's header cannot be read, or it is not the segment that its name says.
    #[error("the segment header of {} is damaged", path.display())]
    SegmentHeader {
        /// The segment's file.
        path: PathBuf,
    },
    /// A segment was written in another version of the format.
    #[error(
        "{} is in version {found} of the message log's format, and this server reads version {} only: \
         move the log away, or use the server that wrote it",
        path.display(),
        format::VERSION
    )]
    Version {
        /// The segment's file.
        path: PathBuf,
        /// Its version.
        found: u16,
    },
    /// There is no record with this id.
    #[error("message log record {id} does not exist")]
    NotFound {
        /// The record id.
        id: u64,
    },
    /// The record is encrypted.
    #[error("message log record {id} is encrypted with key {key}, which is not among log.encryption_keys")]
    NoKey {
        /// The record id.
        id: u64,
        /// The name of its key.
        key: String,
    },
    /// The record is there but not whole.
    #[error("message log record {id} is damaged: {reason}")]
    Damaged {
        /// The record id.
        id: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

impl From<LogError> for XRoadError {
    fn from(error: LogError) -> Self {
        let code = match &error {
            LogError::NotFound { .. } => ErrorCode::NotFound,
            LogError::Io(_) => ErrorCode::IoError,
            _ => ErrorCode::InternalError,
        };
        XRoadError::new(code, error.to_string())
    }
}
