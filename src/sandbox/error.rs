//! Why a sandbox cannot start or go on. Nothing here comes from the network: the reader is the person at the terminal.

use std::path::PathBuf;

/// A sandbox failure, each with what it was doing.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "write", "create".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// There is no place for temporary files.
    #[error("nothing can be written below {} ({source}): set TMPDIR, or choose a directory with --keep", path.display())]
    NoDirectory {
        /// The system's directory for temporary files.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A kept directory holds something that this version cannot start from.
    #[error("cannot start from {}: {reason}", path.display())]
    Kept {
        /// The file that does not fit.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// No free loopback addresses.
    #[error("{0}")]
    Addresses(String),
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {reason}")]
    Pki {
        /// Which key or certificate.
        what: String,
        /// The library's reason.
        reason: String,
    },
    /// A security server did not start, or ended too early.
    #[error("security server {server}: {reason}")]
    Server {
        /// Its server code.
        server: String,
        /// What happened; names the log file.
        reason: String,
    },
    /// An exchange or download failed.
    #[error("{0}")]
    Exchange(String),
    /// The evidence could not be read back.
    #[error("{0}")]
    Evidence(String),
}

impl SandboxError {
    /// A file error with its context.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> SandboxError {
        let path = path.into();
        move |source| SandboxError::File { action, path, source }
    }
}
