//! The echo service's loop: one thread, epoll, one buffer for all reads. It shares the machine with what is measured, so
//! that it must cost little.

mod large;
mod request;

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memmem;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use rustix::time::Timespec;

use self::large::Large;
use self::request::{Parsed, Request, parse};
use crate::content::Content;
use crate::streaming::Meters;

const READ_BYTES: usize = 64 * 1024;
/// Reads from one connection before others have their turn.
const READS_MAX: usize = 16;
const EVENTS: usize = 256;
/// To copy a body behind its head costs less than to send two pieces.
const COPIED_MAX: usize = 16 * 1024;
/// A buffer that grew beyond this is given back.
const KEPT_BYTES: usize = 1024 * 1024;
const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

struct Connection {
    stream: TcpStream,
    /// What has come of a request that is not whole yet.
    input: Vec<u8>,
    /// What could not be sent at once.
    output: Vec<u8>,
    sent: usize,
    /// A message whose body passes.
    large: Option<Box<Large>>,
    close: bool,
    number: u32,
}

struct Later {
    at: Instant,
    token: u64,
    /// `None`: that of the connection's large message.
    answer: Option<Vec<u8>>,
    close: bool,
}

/// The service.
pub struct Echo {
    epoll: OwnedFd,
    listener: TcpListener,
    _stopped: UnixStream,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    number: u32,
    delay: Duration,
    later: VecDeque<Later>,
    head: Vec<u8>,
    content: Arc<Content>,
    meters: Arc<Meters>,
}

impl Echo {
    /// On a listener that neither blocks nor lets its connections delay what is small, until the other end of `stopped` goes.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn new(
        listener: TcpListener,
        stopped: UnixStream,
        delay: Duration,
        content: Arc<Content>,
        meters: Arc<Meters>,
    ) -> std::io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, &stopped, EventData::new_u64(STOP), EventFlags::IN)?;
        let (connections, free, later, head) = Default::default();
        let (_stopped, number) = (stopped, 0);
        Ok(Self { epoll, listener, _stopped, connections, free, number, delay, later, head, content, meters })
    }

    /// Serves until it is stopped.
    pub fn run(mut self) {
        let mut scratch = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let timeout = self.answer_due();
            let waited =
                epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref());
            match waited {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            for event in events.drain(..) {
                let (token, flags) = (event.data.u64(), event.flags);
                match token {
                    STOP => return,
                    LISTENER => self.accept(),
                    _ => self.serve(token, flags, &mut scratch),
                }
            }
        }
    }

    fn accept(&mut self) {
        loop {
            // In one call, unlike that of the standard library and a second one.
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(stream) => {
                    // One that cannot be set up is dropped, which its client notices.
                    let _ = self.admit(stream.into());
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => {
                    // Out of descriptors: others have to end first.
                    std::thread::sleep(Duration::from_millis(1));
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream) -> std::io::Result<()> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.number = self.number.wrapping_add(1);
        let token = (u64::from(self.number & 0x7fff_ffff) << 32) | slot as u64;
        let added = epoll::add(&self.epoll, &stream, EventData::new_u64(token), EventFlags::IN);
        let number = self.number & 0x7fff_ffff;
        let (input, output, large) = Default::default();
        self.connections[slot] =
            Some(Connection { stream, input, output, sent: 0, large, close: false, number });
        if let Err(error) = added {
            self.end(token);
            return Err(error.into());
        }
        Ok(())
    }

    fn slot(&self, token: u64) -> Option<usize> {
        let (slot, number) = ((token & 0xffff_ffff) as usize, (token >> 32) as u32);
        let connection = self.connections.get(slot)?.as_ref()?;
        (connection.number == number).then_some(slot)
    }

    fn end(&mut self, token: u64) {
        if let Some(slot) = self.slot(token) {
            self.connections[slot] = None;
            self.free.push(slot);
        }
    }

    fn serve(&mut self, token: u64, flags: EventFlags, scratch: &mut [u8]) {
        let Some(slot) = self.slot(token) else { return };
        // Taken out, so that the answer may use the rest.
        let Some(mut connection) = self.connections[slot].take() else { return };
        let mut alive = true;
        if flags.contains(EventFlags::OUT) {
            alive = match connection.large {
                Some(_) => self.send_large(token, &mut connection),
                None => self.flush(token, &mut connection),
            };
        }
        if alive && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            alive = self.receive(token, &mut connection, scratch);
        }
        self.connections[slot] = Some(connection);
        if !alive {
            self.end(token);
        }
    }

    fn receive(&mut self, token: u64, connection: &mut Connection, scratch: &mut [u8]) -> bool {
        for _ in 0..READS_MAX {
            let length = match connection.stream.read(scratch) {
                Ok(0) => return false,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            let read = &scratch[..length];
            if connection.large.is_some() {
                if !self.receive_large(token, connection, read) {
                    return false;
                }
            } else if connection.input.is_empty() {
                // The usual case: requests come whole and are answered from where they were read to.
                let Some(used) = self.answer_all(token, connection, read) else { return false };
                connection.input.extend_from_slice(&read[used..]);
            } else {
                let mut input = std::mem::take(&mut connection.input);
                input.extend_from_slice(read);
                let Some(used) = self.answer_all(token, connection, &input) else { return false };
                input.drain(..used);
                if input.is_empty() && input.capacity() > KEPT_BYTES {
                    input = Vec::new();
                }
                connection.input = input;
            }
            if length < scratch.len() {
                return true;
            }
        }
        true
    }

    /// Answers whole requests; how many bytes they were, or `None` when the connection has to end.
    fn answer_all(&mut self, token: u64, connection: &mut Connection, input: &[u8]) -> Option<usize> {
        let mut used = 0;
        loop {
            match parse(&input[used..]).ok()? {
                Parsed::Whole(request) => {
                    used += request.length;
                    if !self.answer(token, connection, &request) {
                        return None;
                    }
                }
                Parsed::Large(head) => {
                    connection.large = Some(Box::new(Large::begin(&head)?));
                    let begins = &input[used + head.length..];
                    return self.receive_large(token, connection, begins).then_some(input.len());
                }
                Parsed::Partial => return Some(used),
            }
        }
    }

    fn answer(&mut self, token: u64, connection: &mut Connection, request: &Request<'_>) -> bool {
        let renamed;
        let body = if request.content_type.starts_with(b"text/xml") {
            renamed = answer_to(&request.body);
            &renamed
        } else {
            &*request.body
        };
        let mut head = std::mem::take(&mut self.head);
        head.clear();
        head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
        head.extend_from_slice(request.content_type);
        let _ = write!(head, "\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut body = body;
        if body.len() <= COPIED_MAX {
            head.extend_from_slice(body);
            body = b"";
        }
        let alive = if self.delay.is_zero() {
            connection.close |= request.close;
            self.send(token, connection, &head, body)
        } else {
            let answer = Some([&head, body].concat());
            self.later.push_back(Later {
                at: Instant::now() + self.delay,
                token,
                answer,
                close: request.close,
            });
            true
        };
        self.head = head;
        alive
    }

    /// Sends what is due of the delayed answers; the time until the next one.
    fn answer_due(&mut self) -> Option<Timespec> {
        loop {
            let wait = self.later.front()?.at.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                // Rounded up to the milliseconds of the call, or it would be made again and again.
                let wait = wait + Duration::from_micros(999);
                return Timespec::try_from(wait).ok();
            }
            let due = self.later.pop_front()?;
            let Some(slot) = self.slot(due.token) else { continue };
            let Some(mut connection) = self.connections[slot].take() else { continue };
            connection.close |= due.close;
            let alive = match &due.answer {
                Some(answer) => self.send(due.token, &mut connection, answer, b""),
                None => self.answer_large(due.token, &mut connection),
            };
            self.connections[slot] = Some(connection);
            if !alive {
                self.end(due.token);
            }
        }
    }

    /// Sends at once what the socket takes and keeps the rest; whether the connection goes on.
    fn send(&self, token: u64, connection: &mut Connection, head: &[u8], body: &[u8]) -> bool {
        let mut sent = 0;
        if connection.output.is_empty() {
            let stream = &mut connection.stream;
            let written = match body {
                [] => stream.write(head),
                _ => stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]),
            };
            sent = match written {
                Ok(sent) => sent,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(_) => return false,
            };
            if sent == head.len() + body.len() {
                return !connection.close;
            }
            let both = EventFlags::IN | EventFlags::OUT;
            if epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(token), both).is_err() {
                return false;
            }
        }
        connection.output.extend_from_slice(&head[sent.min(head.len())..]);
        connection.output.extend_from_slice(&body[sent.saturating_sub(head.len())..]);
        true
    }

    fn flush(&self, token: u64, connection: &mut Connection) -> bool {
        while connection.sent < connection.output.len() {
            match connection.stream.write(&connection.output[connection.sent..]) {
                Ok(sent) => connection.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        (connection.output, connection.sent) = (Vec::new(), 0);
        let read = EventFlags::IN;
        !connection.close
            && epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(token), read).is_ok()
    }
}

// The answer's header must equal the request's, so that the envelope comes back with its call renamed.
fn answer_to(request: &[u8]) -> Vec<u8> {
    const CALL: &[u8] = b"p:getRandom";
    let mut out = Vec::with_capacity(request.len() + 16);
    let mut rest = request;
    while let Some(at) = memmem::find(rest, CALL) {
        let (before, after) = rest.split_at(at + CALL.len());
        out.extend_from_slice(before);
        out.extend_from_slice(b"Response");
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_call_renamed() {
        let request = b"<e><p:getRandom a='b'><p:data>x</p:data></p:getRandom></e>";
        let answer = answer_to(request);
        assert_eq!(answer, b"<e><p:getRandomResponse a='b'><p:data>x</p:data></p:getRandomResponse></e>");
    }
}
