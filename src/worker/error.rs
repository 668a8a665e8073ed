//! Errors of connections and of starting, by the party at fault.

use std::io;
use std::net::SocketAddr;

use super::tls::TlsError;

/// What was waited for when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A TCP connection or its TLS handshake.
    Connect,
    /// The head of a request or response.
    Head,
    /// The next bytes of a body.
    Body,
    /// Room to write to a peer that does not read.
    Write,
}

/// Why an HTTP exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The peer broke HTTP/1.1 or a limit; `status` is the answer a server gives (400, 408, 413, 414, 417, 431, 501, 505).
    #[error("malformed http message: {reason}")]
    Malformed {
        /// The status a server answers with before it closes.
        status: u16,
        /// The rule that was broken.
        reason: &'static str,
    },
    /// The connection ended inside a message, or without close_notify where TLS demands it (`transport.md` trap 32).
    #[error("connection ended before the message did")]
    Truncated,
    /// The peer closed the connection before the first byte of a message.
    #[error("connection closed by the peer")]
    Closed,
    /// Nothing happened for too long.
    #[error("timed out ({0:?})")]
    Timeout(Wait),
    /// The sender of a body sends, but fewer bytes a second than this, the least.
    #[error("the sender sends less than {0} bytes a second")]
    TooSlow(u64),
    /// No address of the target accepted a connection; the last failure.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// Its failure.
        source: io::Error,
    },
    /// So many messages, the most, wait for a connection to the same address.
    #[error(
        "{0} messages wait for a connection already: this server or that one is overloaded, try again later"
    )]
    Busy(usize),
    /// The host name has no address.
    #[error("unknown host {0}")]
    UnknownHost(String),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system reports a failure of the connection.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// The caller broke the rules of this room (wrong order of calls, more bytes than announced, a line break in a header).
    #[error("misuse of the connection: {0}")]
    Misuse(&'static str),
}

/// Why workers cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another process listens on the address.
    #[error("port in use: {0}")]
    PortInUse(SocketAddr),
    /// The address cannot be bound for another reason (not an own address, a privileged port).
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address of the listener.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// `runtime = "io_uring"` was demanded and the host refuses it.
    #[error("io_uring is not available: {0}")]
    IoUringRefused(String),
    /// A thread or its runtime could not be made.
    #[error("cannot start a worker: {0}")]
    Start(io::Error),
}
