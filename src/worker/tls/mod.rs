//! TLS behind one small trait: ciphertext in, plaintext out, and back.
//!
//! rustls with aws-lc-rs, TLS 1.3 and 1.2; the records of TLS 1.3 after the handshake are this server's own work. What the configurations accept at TLS level is little on purpose: the
//! protocol judges registration, chain and OCSP per message (on resumed sessions no verifier is called at all), so
//! callers take [`peer_certificates`](super::PeerInfo) and check them themselves.

pub mod cbc;
mod client;
pub(super) mod handshakes;
mod identity;
mod provider;
mod resumption;
mod server;
mod session;
mod traffic;
mod verify;

use bytes::{Bytes, BytesMut};

pub use client::TlsClient;
pub use handshakes::{Handshakes, handshakes};
pub use identity::{IdentitySource, TlsIdentity, fixed_identity};
pub use provider::{TlsVersions, crypto_provider};
pub use server::{AcceptCertificate, ClientAuth, IssuerHints, TlsServer};

/// Name in ALPN (RFC 7301) of what [`multiplex`](super::multiplex) speaks; offered before `http/1.1`.
pub(super) const MULTIPLEXED: &[u8] = b"hermod/1";

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The handshake or a record failed; the alert is sent before the connection is dropped.
    #[error("tls failed: {0}")]
    Protocol(#[from] rustls::Error),
    /// This side has no key and certificate to show (token not logged in).
    #[error("no tls key and certificate is available")]
    NoIdentity,
    /// The host is no name and no address.
    #[error("invalid server name {0:?}")]
    ServerName(String),
}

/// What one round of [`TlsSession::feed`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The peer ended its side with close_notify.
    pub(super) closed: bool,
}

/// A TLS session without I/O.
pub(super) trait TlsSession {
    /// Takes ciphertext; plaintext is appended to `plaintext`. After an error [`ciphertext`](Self::ciphertext)
    /// holds the alert.
    fn feed(&mut self, ciphertext: BytesMut, plaintext: &mut BytesMut) -> Result<Progress, TlsError>;
    /// Encrypts the slices, joined, into as few records as can be, and appends them to `out` after what had to be sent
    /// before.
    fn write_slices(&mut self, plaintext: &[Bytes], out: &mut Vec<u8>) -> Result<(), TlsError>;
    /// Appends what has to be sent besides.
    fn ciphertext(&mut self, out: &mut Vec<u8>);
    /// The handshake is not finished.
    fn is_handshaking(&self) -> bool;
    /// Queues close_notify.
    fn close(&mut self);
    /// The peer's chain in DER, leaf first; also on resumed sessions.
    fn peer_certificates(&self) -> Vec<Bytes>;
    /// The session was resumed.
    fn resumed(&self) -> bool;
    /// What both ends agreed on by ALPN (RFC 7301).
    fn alpn(&self) -> Option<Vec<u8>>;
    /// Protocol and cipher suite, for logs and counters.
    fn description(&self) -> String;
}

pub(super) use session::RustlsSession;
