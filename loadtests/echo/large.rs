//! A large message at the echo service: its body is compared with what was sent as it comes, and made again for the
//! answer, so that nothing of it is held.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::request::LargeHead;
use super::{Connection, Echo, Later};
use crate::content::Content;
use crate::streaming::Meters;

/// Writes to one connection before others have their turn.
const WRITES_MAX: usize = 16;

/// The message.
pub struct Large {
    index: u32,
    length: u64,
    content_type: Vec<u8>,
    close: bool,
    received: u64,
    /// Where what came is not what was sent.
    differs_at: Option<u64>,
    began: Instant,
    answer: Option<Answer>,
}

struct Answer {
    head: Vec<u8>,
    head_sent: usize,
    /// Of the body.
    length: u64,
    sent: u64,
    began: Instant,
}

/// What has become of an answer.
pub enum Progress {
    /// There is more to send.
    Goes,
    /// All was sent.
    Done {
        /// The client wants no other on this connection.
        close: bool,
    },
}

impl Large {
    /// `None` where no message has such an id.
    pub fn begin(head: &LargeHead<'_>) -> Option<Self> {
        let id = std::str::from_utf8(head.message_id).ok()?;
        Some(Self {
            index: id.rsplit_once('-')?.1.parse().ok()?,
            length: head.body,
            content_type: head.content_type.to_vec(),
            close: head.close,
            received: 0,
            differs_at: None,
            began: Instant::now(),
            answer: None,
        })
    }

    /// Takes bytes of the body; how many of them are.
    pub fn receive(&mut self, content: &Content, bytes: &[u8]) -> usize {
        let left = usize::try_from(self.length - self.received).unwrap_or(usize::MAX);
        let own = &bytes[..bytes.len().min(left)];
        if self.differs_at.is_none() && !content.is_at(self.index, self.received, own) {
            self.differs_at = Some(self.received);
        }
        self.received += own.len() as u64;
        own.len()
    }

    /// The body is all there.
    pub fn is_whole(&self) -> bool {
        self.received == self.length
    }

    /// Begins the answer.
    pub fn answer(&mut self, meters: &Meters) {
        meters.request.add(self.received, self.began.elapsed());
        let (mut head, mut length) = (Vec::new(), 0);
        // Into memory, which takes everything.
        let _ = match self.differs_at {
            None => {
                length = self.length;
                head.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
                head.extend_from_slice(&self.content_type);
                write!(head, "\r\nContent-Length: {length}\r\n\r\n")
            }
            Some(at) => {
                let text = format!("the service got another body than was sent, from byte {at} on");
                let bytes = text.len();
                write!(
                    head,
                    "HTTP/1.1 422 Unprocessable Content\r\nContent-Type: text/plain\r\n\
                     Content-Length: {bytes}\r\n\r\n{text}"
                )
            }
        };
        self.answer = Some(Answer { head, head_sent: 0, length, sent: 0, began: Instant::now() });
    }

    /// Sends as much as the socket takes, and not too much at a time.
    ///
    /// # Errors
    /// When the connection has failed.
    pub fn send(
        &mut self,
        content: &Content,
        stream: &mut TcpStream,
        meters: &Meters,
    ) -> std::io::Result<Progress> {
        // Not whole yet: there is nothing to send.
        let Some(answer) = &mut self.answer else { return Ok(Progress::Goes) };
        for _ in 0..WRITES_MAX {
            let head = &answer.head[answer.head_sent..];
            let next = content.at(self.index, answer.sent);
            let left = usize::try_from(answer.length - answer.sent).unwrap_or(usize::MAX);
            let next = if head.is_empty() { &next[..next.len().min(left)] } else { head };
            if next.is_empty() {
                if answer.length > 0 {
                    meters.response.add(answer.length, answer.began.elapsed());
                }
                return Ok(Progress::Done { close: self.close });
            }
            match stream.write(next) {
                Ok(written) if head.is_empty() => answer.sent += written as u64,
                Ok(written) => answer.head_sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Goes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Progress::Goes)
    }
}

impl Echo {
    /// Takes what has come of the body; whether the connection goes on.
    pub(super) fn receive_large(&mut self, token: u64, connection: &mut Connection, read: &[u8]) -> bool {
        let Some(large) = &mut connection.large else { return false };
        // Nobody sends the next request before the answer.
        if large.receive(&self.content, read) < read.len() {
            return false;
        }
        if !large.is_whole() {
            return true;
        }
        if self.delay.is_zero() {
            return self.answer_large(token, connection);
        }
        let at = Instant::now() + self.delay;
        self.later.push_back(Later { at, token, answer: None, close: false });
        true
    }

    /// Begins the answer to a message whose body is all there; whether the connection goes on.
    pub(super) fn answer_large(&self, token: u64, connection: &mut Connection) -> bool {
        let Some(large) = &mut connection.large else { return false };
        large.answer(&self.meters);
        let both = EventFlags::IN | EventFlags::OUT;
        epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(token), both).is_ok()
            && self.send_large(token, connection)
    }

    /// Goes on with the answer; whether the connection goes on.
    pub(super) fn send_large(&self, token: u64, connection: &mut Connection) -> bool {
        let Some(large) = &mut connection.large else { return true };
        match large.send(&self.content, &mut connection.stream, &self.meters) {
            Ok(Progress::Goes) => true,
            Ok(Progress::Done { close }) => {
                connection.large = None;
                let read = EventFlags::IN;
                !close
                    && epoll::modify(&self.epoll, &connection.stream, EventData::new_u64(token), read).is_ok()
            }
            Err(_) => false,
        }
    }
}
