//! The connection under the channels: one task reads, another writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::ChannelEnd;
use super::channel::Received;
use super::channels::{Channels, Hello, Role};
use super::frame::{Kind, Violation};
use crate::limits::WRITE_BUFFER_BYTES;
use crate::worker::buffers;
use crate::worker::error::HttpError;
use crate::worker::stream::{Stream, StreamWriter};
use crate::worker::tls::TlsSession;

/// How long the other end may take to confirm what it was sent.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take to end its side after this one has.
const LINGER: Duration = Duration::from_secs(2);
/// Records of TLS itself that wait to be written.
const TLS_RECORDS_BYTES_MAX: usize = 64 * 1024;

/// A connection under TLS whose handshake is over.
pub(in crate::worker) struct Established {
    pub(in crate::worker) stream: Stream,
    pub(in crate::worker) tls: Box<dyn TlsSession>,
    /// Plaintext that has arrived.
    pub(in crate::worker) input: BytesMut,
    pub(in crate::worker) peer: SocketAddr,
    pub(in crate::worker) certificates: Rc<[Bytes]>,
}

/// A multiplexed connection at one end.
pub(in crate::worker) struct Session {
    pub(super) channels: RefCell<Channels>,
    tls: RefCell<Box<dyn TlsSession>>,
    /// What the TLS session has to say besides.
    tls_records: RefCell<Vec<u8>>,
    writer: StreamWriter,
    /// Wakes those who wait for channels, for the server's first frame or for the end.
    changed: Notify,
    peer: SocketAddr,
    certificates: Rc<[Bytes]>,
    resumed: bool,
}

impl Session {
    /// Takes over a connection. It ends when it had no channel for so long.
    pub(in crate::worker) fn client(connection: Established, idle: Duration) -> Rc<Self> {
        Self::start(connection, Role::Client, idle)
    }

    /// The same for a server, which says where the client ended up.
    pub(in crate::worker) fn server(connection: Established, hello: Hello, idle: Duration) -> Rc<Self> {
        let session = Self::start(connection, Role::Server, idle);
        let ([a, b], [c, d]) = (hello.worker.to_be_bytes(), hello.workers.to_be_bytes());
        session.channels.borrow_mut().out.frame(Kind::Hello, 0, &[a, b, c, d]);
        session
    }

    fn start(connection: Established, role: Role, idle: Duration) -> Rc<Self> {
        let Established { stream, tls, input, peer, certificates } = connection;
        stream.set_confirmed_within(CONFIRMED_WITHIN);
        let session = Rc::new(Self {
            channels: RefCell::new(Channels::new(role)),
            resumed: tls.resumed(),
            tls: RefCell::new(tls),
            tls_records: RefCell::default(),
            writer: stream.writer(),
            changed: Notify::new(),
            peer,
            certificates,
        });
        let (reading, writing) = (Rc::clone(&session), Rc::clone(&session));
        spawn_local(async move {
            match reading.read(stream, input, idle).await {
                Ok(()) => reading.lost(),
                Err(error) => {
                    tracing::debug!(peer = %reading.peer, %error, "a multiplexed connection ended");
                    // The alert of TLS tells the peer why.
                    reading.channels.borrow_mut().fail();
                    reading.changed.notify_waiters();
                }
            }
        });
        spawn_local(async move {
            match writing.write().await {
                Ok(()) => tokio::time::sleep(LINGER).await,
                Err(error) => tracing::debug!(peer = %writing.peer, %error, "a multiplexed connection ended"),
            }
            writing.lost();
        });
        session
    }

    async fn read(&self, mut stream: Stream, mut input: BytesMut, idle: Duration) -> Result<(), HttpError> {
        loop {
            self.take_frames(&mut input)?;
            self.close_if_done(idle);
            let Ok(bytes) = timeout(idle, stream.read()).await else { continue };
            let bytes = bytes?;
            if bytes.is_empty() {
                return Ok(());
            }
            let (progress, records) = {
                let (mut tls, mut records) = (self.tls.borrow_mut(), self.tls_records.borrow_mut());
                let progress = tls.feed(bytes, &mut input);
                tls.ciphertext(&mut records);
                (progress, records.len())
            };
            if records > 0 {
                self.channels.borrow_mut().out.wake();
            }
            if progress?.closed {
                return Ok(self.take_frames(&mut input)?);
            }
            if records > TLS_RECORDS_BYTES_MAX {
                return Err(Violation("answers are not read").into());
            }
        }
    }

    fn close_if_done(&self, idle: Duration) {
        if self.channels.borrow().is_done(idle) {
            self.close();
        }
    }

    fn take_frames(&self, input: &mut BytesMut) -> Result<(), Violation> {
        let mut channels = self.channels.borrow_mut();
        let taken = channels.receive(input);
        drop(channels);
        if input.is_empty() {
            // The buffer that messages came in is held no longer than by its slices.
            *input = BytesMut::new();
        }
        self.changed.notify_waiters();
        taken
    }

    async fn write(&self) -> Result<(), HttpError> {
        loop {
            poll_fn(|context| {
                let mut channels = self.channels.borrow_mut();
                let woken = channels.lost || channels.closing || !self.tls_records.borrow().is_empty();
                channels.out.poll_any(woken, context)
            })
            .await;
            let (slices, closing) = {
                let mut channels = self.channels.borrow_mut();
                if channels.lost {
                    return Ok(());
                }
                (channels.take_out(), channels.closing)
            };
            self.send(&slices).await?;
            if closing && self.channels.borrow().out.bytes() == 0 {
                self.tls.borrow_mut().close();
                self.send(&[]).await?;
                self.writer.shutdown_write()?;
                return Ok(());
            }
        }
    }

    async fn send(&self, mut slices: &[Bytes]) -> Result<(), HttpError> {
        loop {
            let mut bytes = 0;
            let now = slices.iter().take_while(|slice| {
                bytes += slice.len();
                bytes <= WRITE_BUFFER_BYTES
            });
            let (now, later) = slices.split_at(now.count().max(1).min(slices.len()));
            slices = later;
            let mut ciphertext = buffers::take();
            ciphertext.append(&mut self.tls_records.borrow_mut());
            {
                let mut tls = self.tls.borrow_mut();
                match now.is_empty() {
                    true => tls.ciphertext(&mut ciphertext),
                    false => tls.write_slices(now, &mut ciphertext)?,
                }
            }
            if !ciphertext.is_empty() {
                ciphertext = self.writer.write_buffer(ciphertext).await?;
            }
            buffers::give(ciphertext);
            if slices.is_empty() {
                return Ok(());
            }
        }
    }

    fn lost(&self) {
        self.channels.borrow_mut().lose();
        self.writer.shutdown();
        self.changed.notify_waiters();
    }

    #[cfg(test)]
    pub(in crate::worker) fn lose(&self) {
        self.writer.shutdown();
    }

    #[cfg(test)]
    pub(in crate::worker) fn is_gone(&self) -> bool {
        self.channels.borrow().lost
    }

    /// No channel is opened on it any more. It ends when the last one is left.
    pub(in crate::worker) fn retire(&self) {
        self.channels.borrow_mut().retired = true;
        self.close_if_done(Duration::MAX);
    }

    /// Ends the connection once everything is written. Channels that are left are reset.
    pub(in crate::worker) fn close(&self) {
        let mut channels = self.channels.borrow_mut();
        channels.closing = true;
        channels.out.wake();
    }

    /// Tells the client that no new channels are wanted.
    pub(in crate::worker) fn announce_leaving(&self) {
        self.channels.borrow_mut().out.frame(Kind::Leaving, 0, &[]);
    }

    /// Opens a channel; `None` when there is no room, the server wants none or the connection is gone.
    pub(in crate::worker) fn open(self: &Rc<Self>) -> Option<ChannelEnd> {
        let number = self.channels.borrow_mut().open()?;
        Some(ChannelEnd::new(Rc::clone(self), number))
    }

    /// The next channel that the client has opened; `None` at the end of the connection.
    pub(in crate::worker) async fn accept(self: &Rc<Self>) -> Option<ChannelEnd> {
        self.until(|channels| match channels.accept() {
            Some(number) => Some(Some(number)),
            None => (channels.lost || channels.closing).then_some(None),
        })
        .await
        .map(|number| ChannelEnd::new(Rc::clone(self), number))
    }

    /// What the server said first; `None` when the connection ended before.
    pub(in crate::worker) async fn hello(&self) -> Option<Hello> {
        self.until(|channels| match channels.hello {
            Some(hello) => Some(Some(hello)),
            None => channels.lost.then_some(None),
        })
        .await
    }

    /// How quickly the server's worker gets to it shows how busy it is, and this one: waits for an answer. Was there one?
    pub(in crate::worker) async fn ping(&self) -> bool {
        let ping = self.channels.borrow_mut().ping();
        self.until(|channels| match channels.pongs >= ping {
            true => Some(true),
            false => channels.lost.then_some(false),
        })
        .await
    }

    /// Waits until the client has opened a channel, or the connection is gone.
    pub(in crate::worker) async fn first_channel(&self) {
        self.until(|channels| (channels.lost || channels.had_any()).then_some(())).await;
    }

    /// Waits until the connection is gone.
    pub(in crate::worker) async fn gone(&self) {
        self.until(|channels| channels.lost.then_some(())).await;
    }

    /// Waits until no channel is left, or the connection is gone.
    pub(in crate::worker) async fn none_left(&self) {
        self.until(|channels| (channels.lost || channels.count() == 0).then_some(())).await;
    }

    async fn until<T>(&self, mut found: impl FnMut(&mut Channels) -> Option<T>) -> T {
        loop {
            // Everything is on one thread: nothing changes between the look and the wait.
            if let Some(found) = found(&mut self.channels.borrow_mut()) {
                return found;
            }
            self.changed.notified().await;
        }
    }

    /// Channels at the moment.
    pub(in crate::worker) fn count(&self) -> usize {
        self.channels.borrow().count()
    }

    /// Whether channels can be opened, now or when others are left.
    pub(in crate::worker) fn is_open(&self) -> bool {
        self.channels.borrow().is_open()
    }

    /// Whether a channel can be opened now.
    pub(in crate::worker) fn has_room(&self) -> bool {
        self.channels.borrow().has_room()
    }

    /// The server's first frame, if it has come.
    pub(in crate::worker) fn known_hello(&self) -> Option<Hello> {
        self.channels.borrow().hello
    }

    /// Address of the other end.
    pub(in crate::worker) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Certificates of the other end in DER, leaf first.
    pub(in crate::worker) fn certificates(&self) -> &Rc<[Bytes]> {
        &self.certificates
    }

    /// The TLS session was resumed.
    pub(in crate::worker) fn resumed(&self) -> bool {
        self.resumed
    }

    pub(super) async fn read_channel(&self, number: u32) -> io::Result<Received> {
        poll_fn(|context| self.channels.borrow_mut().poll_read(number, context)).await
    }

    pub(super) async fn write_channel(&self, number: u32, slices: Vec<Bytes>) -> io::Result<()> {
        let mut slices = VecDeque::from(slices);
        poll_fn(|context| self.channels.borrow_mut().poll_write(number, &mut slices, context)).await
    }

    pub(super) fn leave_channel(&self, number: u32) {
        self.channels.borrow_mut().leave(number);
        if self.channels.borrow().retired {
            self.close_if_done(Duration::MAX);
        }
        self.changed.notify_waiters();
    }
}
