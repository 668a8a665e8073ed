//! A [`TlsSession`]: rustls's unbuffered connection, and after a handshake of TLS 1.3 its [`Traffic`].

mod states;

use bytes::{Buf, Bytes, BytesMut};
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, Error, HandshakeKind, ProtocolVersion};

use self::states::{Next, Unwritten, close, settle, write};
use super::traffic::Traffic;
use super::{Progress, TlsError, TlsSession};
use crate::worker::buffers;

/// Plaintext of a record at most (RFC 8446 5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// What a record is longer than its plaintext at most, in any suite that is offered; the session says when it is more.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// Ciphertext that may wait to become whole. Handshake messages have at most so much; in fragments of a byte each they
/// would take six times their length.
const REST_BYTES_MAX: usize = 0xffff;

/// A client's or server's session.
pub(crate) struct RustlsSession {
    side: Side,
    /// Ciphertext that is not used up: the start of a record or of a handshake message.
    rest: BytesMut,
    /// What has to be sent before anything else.
    pending: Vec<u8>,
    /// Plaintext that came while something was to be sent; the next [`feed`](TlsSession::feed) gives it.
    early: BytesMut,
    closed: bool,
    /// Why it ended. What is left to be sent is the alert.
    failed: Option<Error>,
}

enum Side {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
    Traffic(Box<Traffic>, Established),
    /// The change to the state before failed.
    Gone,
}

/// What the handshake has found out.
#[derive(Default)]
struct Established {
    certificates: Vec<Bytes>,
    resumed: bool,
    alpn: Option<Vec<u8>>,
    description: String,
}

impl RustlsSession {
    pub(crate) fn client(connection: UnbufferedClientConnection) -> Self {
        Self::new(Side::Client(Box::new(connection)))
    }

    pub(crate) fn server(connection: UnbufferedServerConnection) -> Self {
        Self::new(Side::Server(Box::new(connection)))
    }

    fn new(side: Side) -> Self {
        let (rest, pending, early) = (BytesMut::new(), Vec::new(), BytesMut::new());
        Self { side, rest, pending, early, closed: false, failed: None }
    }

    /// The connection as long as it is rustls's.
    fn state(&self) -> Option<&CommonState> {
        match &self.side {
            Side::Client(connection) => Some(connection),
            Side::Server(connection) => Some(connection),
            Side::Traffic(..) | Side::Gone => None,
        }
    }

    /// Leaves rustls where it has nothing left to do: after a handshake of TLS 1.3, between two records.
    fn enter_traffic(&mut self) -> Result<(), Error> {
        let is_over = |state: &&CommonState| {
            !state.is_handshaking()
                && !state.wants_write()
                && state.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        };
        let Some(state) = self.state().filter(is_over).filter(|_| self.rest.is_empty() && !self.closed)
        else {
            return Ok(());
        };
        let established = Established::of(state);
        let traffic = match std::mem::replace(&mut self.side, Side::Gone) {
            Side::Client(connection) => Traffic::client(*connection)?,
            Side::Server(connection) => Traffic::server(*connection)?,
            Side::Traffic(..) | Side::Gone => return Ok(()),
        };
        self.side = Side::Traffic(Box::new(traffic), established);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn traffic(&mut self) -> Option<&mut Traffic> {
        match &mut self.side {
            Side::Traffic(traffic, _) => Some(traffic),
            _ => None,
        }
    }

    /// Goes through the session's states until it waits for more ciphertext; what it has to send is then `pending`.
    fn advance(&mut self, plaintext: &mut BytesMut) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = loop {
            match self.step(plaintext) {
                Ok(Next::Again) => {}
                Ok(Next::Idle) => break self.enter_traffic(),
                Err(error) => break Err(error),
            }
        };
        result.inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn step(&mut self, plaintext: &mut BytesMut) -> Result<Next, Error> {
        let (pending, closed) = (&mut self.pending, &mut self.closed);
        let (discard, next) = match &mut self.side {
            Side::Client(connection) => {
                settle(connection.process_tls_records(&mut self.rest), plaintext, pending, closed)
            }
            Side::Server(connection) => {
                settle(connection.process_tls_records(&mut self.rest), plaintext, pending, closed)
            }
            Side::Traffic(traffic, _) => {
                *closed |= traffic.open(&mut self.rest, plaintext, pending)?;
                return Ok(Next::Idle);
            }
            Side::Gone => return Err(Error::General("the tls session has ended".into())),
        };
        self.rest.advance(discard.min(self.rest.len()));
        next
    }

    /// Encrypts what [`ciphertext`](TlsSession::ciphertext) gives later.
    #[cfg(test)]
    pub(crate) fn write(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        let mut out = Vec::new();
        self.write_slices(&[Bytes::copy_from_slice(plaintext)], &mut out)?;
        self.pending.append(&mut out);
        Ok(())
    }

    fn encrypt(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        let records = plaintext.len() / RECORD_BYTES_MAX + 1;
        let mut room = plaintext.len() + records * RECORD_OVERHEAD_BYTES;
        loop {
            out.resize(start + room, 0);
            let into = out.get_mut(start..).unwrap_or_default();
            let written = match &mut self.side {
                Side::Client(connection) => {
                    write(connection.process_tls_records(&mut self.rest), plaintext, into)
                }
                Side::Server(connection) => {
                    write(connection.process_tls_records(&mut self.rest), plaintext, into)
                }
                Side::Traffic(..) | Side::Gone => Err(Unwritten::NotReady),
            };
            match written {
                Ok(written) => {
                    out.truncate(start + written);
                    return Ok(());
                }
                Err(Unwritten::Room(required)) if required > room => room = required,
                Err(Unwritten::Room(_) | Unwritten::NotReady) => {
                    out.truncate(start);
                    return Err(Error::General("tls session takes no more".into()));
                }
                Err(Unwritten::Failed(error)) => {
                    out.truncate(start);
                    return Err(error);
                }
            }
        }
    }
}

impl TlsSession for RustlsSession {
    fn feed(&mut self, ciphertext: BytesMut, plaintext: &mut BytesMut) -> Result<Progress, TlsError> {
        if !self.early.is_empty() {
            plaintext.extend_from_slice(&std::mem::take(&mut self.early));
        }
        // Joined without a copy where it was received into what the rest was received into.
        match self.rest.is_empty() {
            true => self.rest = ciphertext,
            false => self.rest.unsplit(ciphertext),
        }
        if !matches!(self.side, Side::Traffic(..)) {
            // No more than what came can be in it; slices of it live as long as the message, and are held by it alone.
            plaintext.reserve(self.rest.len());
        }
        self.advance(plaintext)?;
        if self.rest.len() > REST_BYTES_MAX {
            let error = Error::General("the peer's tls message is too long".into());
            self.failed = Some(error.clone());
            return Err(error.into());
        }
        if self.rest.is_empty() {
            // The receive buffer can be used again.
            self.rest = BytesMut::new();
        }
        Ok(Progress { closed: self.closed })
    }

    fn write_slices(&mut self, plaintext: &[Bytes], out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.ciphertext(out);
        if let Side::Traffic(traffic, _) = &mut self.side {
            return match &self.failed {
                Some(error) => Err(error.clone().into()),
                None => Ok(traffic.seal(plaintext, out)?),
            };
        }
        match plaintext {
            [one] => self.encrypt(one, out)?,
            several => {
                let mut joined = buffers::take();
                several.iter().for_each(|slice| joined.extend_from_slice(slice));
                let encrypted = self.encrypt(&joined, out);
                buffers::give(joined);
                encrypted?;
            }
        }
        Ok(())
    }

    fn ciphertext(&mut self, out: &mut Vec<u8>) {
        let mut early = std::mem::take(&mut self.early);
        // A failure is the next feed's, which reports it again. Its alert is taken out before the session looks at
        // anything that came.
        if self.advance(&mut early).is_err() {
            while self.state().is_some_and(|state| state.wants_write()) && self.step(&mut early).is_ok() {}
        }
        self.early = early;
        out.append(&mut self.pending);
    }

    fn is_handshaking(&self) -> bool {
        self.state().is_some_and(|state| state.is_handshaking())
    }

    fn close(&mut self) {
        if let Side::Traffic(traffic, _) = &mut self.side {
            // What cannot be sealed is not said, and the end is an unclean one.
            let _ = traffic.close(&mut self.pending);
            return;
        }
        let start = self.pending.len();
        self.pending.resize(start + RECORD_OVERHEAD_BYTES, 0);
        let into = self.pending.get_mut(start..).unwrap_or_default();
        let queued = match &mut self.side {
            Side::Client(connection) => close(connection.process_tls_records(&mut self.rest), into),
            Side::Server(connection) => close(connection.process_tls_records(&mut self.rest), into),
            Side::Traffic(..) | Side::Gone => 0,
        };
        self.pending.truncate(start + queued);
    }

    fn peer_certificates(&self) -> Vec<Bytes> {
        self.established(|established| established.certificates.clone())
    }

    fn resumed(&self) -> bool {
        self.established(|established| established.resumed)
    }

    fn alpn(&self) -> Option<Vec<u8>> {
        self.established(|established| established.alpn.clone())
    }

    fn description(&self) -> String {
        self.established(|established| established.description.clone())
    }
}

impl RustlsSession {
    fn established<T>(&self, read: impl FnOnce(&Established) -> T) -> T {
        match &self.side {
            Side::Traffic(_, established) => read(established),
            _ => read(&self.state().map(Established::of).unwrap_or_default()),
        }
    }
}

impl Established {
    fn of(state: &CommonState) -> Self {
        let chain = state.peer_certificates().unwrap_or_default();
        let version = state.protocol_version().and_then(|version| version.as_str());
        let suite = state.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        Self {
            certificates: chain.iter().map(|certificate| Bytes::copy_from_slice(certificate)).collect(),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            alpn: state.alpn_protocol().map(<[u8]>::to_vec),
            description: format!("{} {}", version.unwrap_or("?"), suite.unwrap_or("?")),
        }
    }
}
