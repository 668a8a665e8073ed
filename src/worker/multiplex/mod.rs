//! Many exchanges at a time on one connection between two servers of this kind.
//!
//! The client offers [`MULTIPLEXED`](super::tls::MULTIPLEXED) by ALPN (RFC 7301) beside `http/1.1`; a server that does not know it takes no notice, and
//! everything goes on as between official servers. Where both know it, a connection carries channels, in the manner of
//! RFC 4254 5: each is what a connection would be, with the same bytes of HTTP/1.1 in both directions, a window that
//! bounds what may come unread, an end and a reset. What many exchanges say at the same moment, as they do when the
//! signature of a batch is ready, is written, encrypted and read at once, and the signature document that they have in
//! common goes over the connection once or twice in place of many times ([`dictionary`]).

mod channel;
mod channels;
mod dictionary;
mod frame;
mod out;
mod session;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;

use bytes::Bytes;

pub(super) use channel::Received;
pub(super) use channels::Hello;
pub(super) use session::{Established, Session};

use super::error::HttpError;
use frame::Violation;

/// One end of a channel, with what a [`Stream`](super::stream::Stream) does. Dropped, it is left: the other end is told
/// unless both have said their end.
pub(super) struct ChannelEnd {
    session: Rc<Session>,
    number: u32,
}

impl ChannelEnd {
    fn new(session: Rc<Session>, number: u32) -> Self {
        Self { session, number }
    }

    /// The connection that it is on.
    pub(super) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// The next bytes, empty at the end. May be cancelled without loss.
    pub(super) async fn read(&mut self) -> io::Result<Received> {
        self.session.read_channel(self.number).await
    }

    /// Queues slices as a whole; a cancelled write spoils the channel.
    pub(super) async fn write_slices(&mut self, slices: Vec<Bytes>) -> io::Result<()> {
        self.session.write_channel(self.number, slices).await
    }

    /// Says that no more bytes will be sent.
    pub(super) fn shutdown_write(&self) {
        self.session.channels.borrow_mut().end(self.number);
    }

    /// What an idle channel shows, without waiting: `WouldBlock` is one that can be used, 0 bytes its end.
    pub(super) fn peek(&self) -> io::Result<usize> {
        self.session.channels.borrow().peek(self.number)
    }
}

impl Drop for ChannelEnd {
    fn drop(&mut self) {
        self.session.leave_channel(self.number);
    }
}

impl From<Violation> for HttpError {
    fn from(violation: Violation) -> Self {
        Self::Malformed { status: 400, reason: violation.0 }
    }
}
