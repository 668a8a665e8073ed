//! A connection: a stream, plain or under TLS, with buffers and timeouts.

use std::cell::OnceCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::buffers;
use super::carrier::Carrier;
use super::error::{HttpError, Wait};
use super::http::{BodyDecoder, Decoded};
use super::limited::within;
use super::multiplex::{ChannelEnd, Established, Received, Session};
use super::stream::Stream;
use super::tls::{MULTIPLEXED, TlsSession};
use crate::limits::WRITE_BUFFER_BYTES;

/// How the peer ended its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With close_notify under TLS, with FIN without.
    Clean,
    /// The TCP stream ended without close_notify.
    Unclean,
}

/// A plain or TLS connection, or a channel of one. Reads may be cancelled without loss; a cancelled write spoils it.
pub(super) struct Connection {
    carrier: Carrier,
    tls: Option<Box<dyn TlsSession>>,
    /// Plaintext that has arrived and is not used up.
    pub(super) input: BytesMut,
    /// Bytes of a body that has arrived in memory which others share; nothing is before them, and nothing after them was
    /// read yet.
    shared: Bytes,
    end: Option<End>,
    ciphertext: Vec<u8>,
    peer: SocketAddr,
    certificates: OnceCell<Rc<[Bytes]>>,
    /// Of the session of TLS that the channel is on.
    resumed: bool,
}

impl Connection {
    pub(super) fn new(stream: Stream, tls: Option<Box<dyn TlsSession>>, peer: SocketAddr) -> Self {
        Self::over(Carrier::Stream(stream), tls, peer)
    }

    /// A channel of another one.
    pub(super) fn of_channel(channel: ChannelEnd) -> Self {
        let session = channel.session();
        let (peer, resumed) = (session.peer(), session.resumed());
        let certificates = OnceCell::from(Rc::clone(session.certificates()));
        Self { certificates, resumed, ..Self::over(Carrier::Channel(channel), None, peer) }
    }

    fn over(carrier: Carrier, tls: Option<Box<dyn TlsSession>>, peer: SocketAddr) -> Self {
        Self {
            carrier,
            tls,
            input: BytesMut::new(),
            shared: Bytes::new(),
            end: None,
            ciphertext: Vec::new(),
            peer,
            certificates: OnceCell::new(),
            resumed: false,
        }
    }

    /// Both ends have agreed to multiplex it.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.alpn().as_deref() == Some(MULTIPLEXED))
    }

    /// The session, if this is a channel of one.
    pub(super) fn session(&self) -> Option<&Rc<Session>> {
        match &self.carrier {
            Carrier::Channel(channel) => Some(channel.session()),
            Carrier::Stream(_) => None,
        }
    }

    /// What it consists of, to be multiplexed; `None` without TLS.
    pub(super) fn into_established(self) -> Option<Established> {
        let (peer, certificates, input) = (self.peer, self.peer_certificates(), self.input);
        match (self.carrier, self.tls) {
            (Carrier::Stream(stream), Some(tls)) => {
                Some(Established { stream, tls, input, peer, certificates })
            }
            _ => None,
        }
    }

    /// A channel on which nothing is under way and which can be used.
    pub(super) fn is_idle_channel(&mut self) -> bool {
        let waits = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        self.waiting() == 0 && self.end.is_none() && self.carrier.peek().is_err_and(waits)
    }

    /// The TLS session was resumed.
    pub(super) fn resumed(&self) -> bool {
        self.resumed || self.tls.as_ref().is_some_and(|tls| tls.resumed())
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn tls(&self) -> Option<&dyn TlsSession> {
        self.tls.as_deref()
    }

    /// Certificates of the peer in DER, leaf first; empty without TLS and before the end of the handshake.
    pub(super) fn peer_certificates(&self) -> Rc<[Bytes]> {
        match &self.tls {
            _ if self.certificates.get().is_some() => self.certificates.get().cloned().unwrap_or_default(),
            Some(tls) if !tls.is_handshaking() => {
                Rc::clone(self.certificates.get_or_init(|| tls.peer_certificates().into()))
            }
            _ => Rc::default(),
        }
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Runs the TLS handshake; nothing to do on a plain connection.
    pub(super) async fn handshake(&mut self) -> Result<(), HttpError> {
        self.flush_tls().await?;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.fill().await?;
            if self.end.is_some() {
                return Err(HttpError::Truncated);
            }
        }
        // Tickets of a server that has just finished.
        self.flush_tls().await
    }

    /// Waits for more plaintext and appends it to `input`; sets `end` instead when there will be none.
    /// A round that brings only TLS records of its own (tickets) changes neither.
    pub(super) async fn fill(&mut self) -> Result<(), HttpError> {
        if self.end.is_some() {
            return Ok(());
        }
        if self.input.is_empty() {
            // The buffer that the last message came in is held no longer than by its slices.
            self.input = BytesMut::new();
        }
        if self.join() {
            return Ok(());
        }
        let bytes = match self.carrier.read().await? {
            Received::Own(bytes) => bytes,
            Received::Shared(bytes) => {
                self.shared = bytes;
                return Ok(());
            }
        };
        if bytes.is_empty() {
            self.end = Some(if self.tls.is_some() { End::Unclean } else { End::Clean });
            return Ok(());
        }
        let Some(tls) = &mut self.tls else {
            if self.input.is_empty() {
                self.input = bytes;
            } else {
                self.input.extend_from_slice(&bytes);
            }
            return Ok(());
        };
        match tls.feed(bytes, &mut self.input) {
            Ok(progress) => {
                if progress.closed {
                    self.end = Some(End::Clean);
                }
                // Answers of the handshake, key updates.
                self.flush_tls().await
            }
            Err(error) => {
                // The alert tells the peer why; that it arrives is not essential.
                let _ = self.flush_tls().await;
                Err(error.into())
            }
        }
    }

    /// Joins what is shared to the input; was there anything?
    fn join(&mut self) -> bool {
        let shared = std::mem::take(&mut self.shared);
        self.input.extend_from_slice(&shared);
        !shared.is_empty()
    }

    /// Bytes that have arrived and are not used up.
    pub(super) fn waiting(&self) -> usize {
        self.input.len() + self.shared.len()
    }

    /// The next slice of a body from what has arrived.
    pub(super) fn decode(&mut self, decoder: &mut BodyDecoder) -> Result<Decoded, HttpError> {
        if !self.shared.is_empty() {
            let taken = if self.input.is_empty() { decoder.take(&mut self.shared) } else { None };
            // What is left is no body's.
            self.join();
            if let Some(taken) = taken {
                return Ok(Decoded::Data(taken));
            }
        }
        decoder.decode(&mut self.input)
    }

    /// As [`fill`](Self::fill), with a limit of time.
    pub(super) fn fill_within(
        &mut self,
        limit: Duration,
        wait: Wait,
    ) -> impl Future<Output = Result<(), HttpError>> {
        within(limit, wait, self.fill())
    }

    /// Writes everything.
    pub(super) async fn write_all(&mut self, slices: Vec<Bytes>) -> Result<(), HttpError> {
        if self.tls.is_none() {
            return Ok(self.carrier.write_slices(slices).await?);
        }
        let mut slices = slices.as_slice();
        while !slices.is_empty() {
            let (now, later) = slices.split_at(round(slices));
            slices = later;
            if let Some(tls) = &mut self.tls {
                if self.ciphertext.capacity() == 0 {
                    self.ciphertext = buffers::take();
                }
                tls.write_slices(now, &mut self.ciphertext)?;
            }
            if self.ciphertext.len() >= WRITE_BUFFER_BYTES {
                self.flush_tls().await?;
            }
        }
        self.flush_tls().await
    }

    async fn flush_tls(&mut self) -> Result<(), HttpError> {
        if let Some(tls) = &mut self.tls {
            tls.ciphertext(&mut self.ciphertext);
            if !self.ciphertext.is_empty() {
                let buffer = std::mem::take(&mut self.ciphertext);
                buffers::give(self.carrier.write_buffer(buffer).await?);
            }
        }
        Ok(())
    }

    /// Ends this side properly: close_notify, then FIN.
    pub(super) async fn close(&mut self) -> Result<(), HttpError> {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        self.flush_tls().await?;
        Ok(self.carrier.shutdown_write()?)
    }

    /// Makes the coming drop visible to the peer as a failure.
    pub(super) fn abort(&mut self) {
        self.carrier.reset_on_close();
    }

    /// Looks whether an idle connection still stands: nothing arrived but TLS records of its own.
    pub(super) async fn is_idle_and_open(&mut self) -> bool {
        loop {
            if self.waiting() > 0 || self.end.is_some() {
                return false;
            }
            match self.carrier.peek() {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Ok(1..) if self.tls.is_some() => {
                    if self.fill().await.is_err() {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
}

// How many slices are encrypted together: at least one, not many more bytes than are written together.
fn round(slices: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = slices.iter().take_while(|slice| {
        bytes += slice.len();
        bytes <= WRITE_BUFFER_BYTES
    });
    fits.count().max(1)
}
