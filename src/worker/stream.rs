//! The one seam between the two runtimes: a TCP stream with owned buffers.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};

use super::runtime::RuntimeKind;
use crate::limits::{LARGE_READ_BUFFER_BYTES, READ_BUFFER_BYTES};

// Below this much room a new buffer is taken.
const READ_ROOM_BYTES_MIN: usize = 4 * 1024;
// TCP keep-alive finds peers that vanished without a FIN.
const KEEPALIVE_SECS: u64 = 60;

type RingRead = Pin<Box<dyn Future<Output = (io::Result<usize>, BytesMut)>>>;

/// A connected TCP stream. Reads may be cancelled without losing data; a cancelled write spoils the stream.
pub(super) struct Stream {
    socket: Socket,
    /// On a ring a read in flight owns its buffer; it stays here when its caller is cancelled, so nothing is lost.
    reading: Option<RingRead>,
    buffer: BytesMut,
    /// How large the next buffer is: more than usual while reads fill theirs.
    buffer_bytes: usize,
    // Bytes on their way out: after a cancelled write the socket must not end as if all had been said.
    writing: bool,
}

/// The way out of a stream, for a task that writes while another one reads.
pub(super) struct StreamWriter(Socket);

#[derive(Clone)]
enum Socket {
    IoUring(Rc<tokio_uring::net::TcpStream>),
    Epoll(Rc<tokio::net::TcpStream>),
}

impl Stream {
    /// Takes over a connected socket.
    pub(super) fn from_std(socket: std::net::TcpStream, kind: RuntimeKind) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        SockRef::from(&socket)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(KEEPALIVE_SECS)))?;
        let socket = match kind {
            RuntimeKind::IoUring => {
                // In non-blocking mode the ring would report EAGAIN instead of waiting.
                socket.set_nonblocking(false)?;
                Socket::IoUring(Rc::new(tokio_uring::net::TcpStream::from_std(socket)))
            }
            RuntimeKind::Epoll => {
                socket.set_nonblocking(true)?;
                Socket::Epoll(Rc::new(tokio::net::TcpStream::from_std(socket)?))
            }
        };
        let (buffer, buffer_bytes) = (BytesMut::new(), READ_BUFFER_BYTES);
        Ok(Self { socket, reading: None, buffer, buffer_bytes, writing: false })
    }

    /// Connects. The wait is epoll's on both runtimes, since a connect operation cannot be taken back from a ring.
    pub(super) async fn connect(address: SocketAddr, kind: RuntimeKind) -> io::Result<Self> {
        let socket = tokio::net::TcpStream::connect(address).await?;
        Self::from_std(socket.into_std()?, kind)
    }

    /// The next bytes, empty at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<BytesMut> {
        match &self.socket {
            Socket::IoUring(socket) => {
                let operation = self.reading.get_or_insert_with(|| {
                    let mut buffer = std::mem::take(&mut self.buffer);
                    make_room(&mut buffer, self.buffer_bytes);
                    let socket = Rc::clone(socket);
                    Box::pin(async move { socket.read(buffer).await })
                });
                let (result, mut buffer) = operation.await;
                self.reading = None;
                let length = result?;
                let bytes = buffer.split_to(length.min(buffer.len()));
                self.buffer = buffer;
                self.buffer_bytes = next_buffer_bytes(bytes.len(), self.buffer.capacity());
                Ok(bytes)
            }
            Socket::Epoll(socket) => loop {
                socket.readable().await?;
                make_room(&mut self.buffer, self.buffer_bytes);
                match socket.try_read_buf(&mut self.buffer) {
                    Ok(_) => {
                        let bytes = self.buffer.split();
                        self.buffer_bytes = next_buffer_bytes(bytes.len(), self.buffer.capacity());
                        return Ok(bytes);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            },
        }
    }

    /// Writes a buffer as a whole and gives it back emptied.
    pub(super) async fn write_buffer(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        self.writing = true;
        let result = self.socket.write_buffer(buffer).await;
        self.writing = false;
        result
    }

    /// Writes several slices as a whole without joining them.
    pub(super) async fn write_slices(&mut self, mut slices: Vec<Bytes>) -> io::Result<()> {
        slices.retain(|slice| !slice.is_empty());
        self.writing = true;
        let result = self.socket.write_slices(slices).await;
        self.writing = false;
        result
    }

    /// The way out, for somebody else; this stream then only reads.
    pub(super) fn writer(&self) -> StreamWriter {
        StreamWriter(self.socket.clone())
    }

    /// A peer that does not confirm what was sent for so long is gone.
    pub(super) fn set_confirmed_within(&self, limit: Duration) {
        let _ = SockRef::from(&self.socket).set_tcp_user_timeout(Some(limit));
    }

    /// Says that no more bytes will be sent (FIN).
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }

    /// Makes the coming close a reset: the peer must not take what was sent so far for the whole.
    pub(super) fn reset_on_close(&self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// What an idle connection shows, without waiting: `WouldBlock` is a live one, 0 bytes its end.
    pub(super) fn peek(&mut self) -> io::Result<usize> {
        if self.reading.is_some() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        SockRef::from(&self.socket).recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
    }
}

impl StreamWriter {
    /// As [`Stream::write_buffer`]; one at a time.
    pub(super) async fn write_buffer(&self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        self.0.write_buffer(buffer).await
    }

    /// Ends both directions at once: operations in flight come back.
    pub(super) fn shutdown(&self) {
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Both);
    }

    /// Says that no more bytes will be sent (FIN).
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.0).shutdown(Shutdown::Write)
    }
}

impl Socket {
    async fn write_buffer(&self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::IoUring(socket) => {
                let (result, back) = socket.write_all(buffer).await;
                result?;
                buffer = back;
            }
            Self::Epoll(socket) => {
                let mut done = 0;
                while let Some(rest) = buffer.get(done..).filter(|rest| !rest.is_empty()) {
                    socket.writable().await?;
                    done += retry_later(socket.try_write(rest))?;
                }
            }
        }
        buffer.clear();
        Ok(buffer)
    }

    async fn write_slices(&self, mut slices: Vec<Bytes>) -> io::Result<()> {
        while let Some(first) = slices.first() {
            let written = match self {
                Self::IoUring(socket) if slices.len() == 1 => socket.write(first.clone()).submit().await.0?,
                Self::IoUring(socket) => {
                    let (result, back) = socket.writev(slices).await;
                    slices = back;
                    result?
                }
                Self::Epoll(socket) => {
                    socket.writable().await?;
                    let parts: Vec<io::IoSlice<'_>> = slices.iter().map(|s| io::IoSlice::new(s)).collect();
                    retry_later(socket.try_write_vectored(&parts))?
                }
            };
            advance(&mut slices, written);
        }
        Ok(())
    }
}

impl AsFd for Socket {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            // SAFETY: the descriptor is open as long as the socket exists, and the socket outlives the borrow of
            // `self`. tokio-uring's streams only lack the AsFd implementation.
            Self::IoUring(socket) => unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) },
            Self::Epoll(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Stream {
    // An operation in flight keeps the descriptor of a ring's socket open after the drop. The shutdown lets it
    // complete; that of the read side alone says nothing to the peer.
    fn drop(&mut self) {
        if matches!(self.socket, Socket::IoUring(_)) {
            if self.writing {
                let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
            } else if self.reading.is_some() {
                let _ = SockRef::from(&self.socket).shutdown(Shutdown::Read);
            }
        }
    }
}

fn make_room(buffer: &mut BytesMut, bytes: usize) {
    if buffer.capacity() - buffer.len() < READ_ROOM_BYTES_MIN.max(bytes / 4) {
        buffer.reserve(bytes);
    }
}

/// A read that left no room has met a body that is longer than messages usually are: fewer and larger reads are cheaper then.
fn next_buffer_bytes(length: usize, room_left: usize) -> usize {
    if room_left == 0 && length >= READ_ROOM_BYTES_MIN { LARGE_READ_BUFFER_BYTES } else { READ_BUFFER_BYTES }
}

fn retry_later(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

fn advance(slices: &mut Vec<Bytes>, mut written: usize) {
    let whole = slices.iter().take_while(|slice| {
        let fits = slice.len() <= written;
        if fits {
            written -= slice.len();
        }
        fits
    });
    let whole = whole.count();
    slices.drain(..whole);
    if let Some(first) = slices.first_mut() {
        let _ = first.split_to(written.min(first.len()));
    }
}
