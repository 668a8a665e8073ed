//! All channels of a multiplexed connection at one end, without I/O: bytes that came in, frames that are to go out.

mod incoming;

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use foldhash::HashMap;
use tokio::time::Instant;

use super::channel::{Channel, Received};
use super::dictionary::{Receiver, Sender, Sent};
use super::frame::{DATA_BYTES_MAX, Kind};
use super::out::Out;
use crate::limits::{
    CHANNEL_WINDOW_BYTES, CHANNEL_WINDOW_BYTES_MIN, CHANNEL_WINDOWS_GROWTH_BYTES_MAX, CHANNELS_MAX,
    CHANNELS_OUT_BYTES_MAX,
};

/// Answers to frames that nobody reads end the connection when they are so many.
const UNREAD_BYTES_MAX: usize = 4 * CHANNELS_OUT_BYTES_MAX;

/// Which end this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Opens channels.
    Client,
    /// Is told of them.
    Server,
}

/// Where in the server a connection ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::worker) struct Hello {
    /// Number of the worker.
    pub(in crate::worker) worker: u16,
    /// How many there are.
    pub(in crate::worker) workers: u16,
}

/// The state of the connection.
pub(super) struct Channels {
    role: Role,
    open: HashMap<u32, Channel>,
    /// Highest number that a channel has had.
    last: u32,
    pub(super) out: Out,
    sent: Sender,
    entries: Receiver,
    /// A data frame that has not come as a whole: its channel and what is missing.
    partial: Option<(u32, usize)>,
    /// Channels that the other end has opened and nobody has accepted.
    arrived: VecDeque<u32>,
    /// Channels that wait until something was written.
    writers: Vec<u32>,
    /// How often what waited was taken to be written.
    round: u64,
    /// Bytes that came, and those for which references stand.
    came: u64,
    repeated: u64,
    /// Since when there is no channel.
    empty_since: Option<Instant>,
    grown: usize,
    pings: u32,
    /// The last ping that was answered.
    pub(super) pongs: u32,
    /// What the server said first.
    pub(super) hello: Option<Hello>,
    /// No channels are to be opened any more: the server wants none, or the client does not want this connection.
    pub(super) retired: bool,
    /// It is to end as soon as what waits is written.
    pub(super) closing: bool,
    /// The connection is gone.
    pub(super) lost: bool,
}

impl Channels {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            open: HashMap::default(),
            last: 0,
            out: Out::default(),
            sent: Sender::default(),
            entries: Receiver::default(),
            partial: None,
            arrived: VecDeque::new(),
            writers: Vec::new(),
            round: 0,
            came: 0,
            repeated: 0,
            empty_since: Some(Instant::now()),
            grown: 0,
            pings: 0,
            pongs: 0,
            hello: None,
            retired: false,
            closing: false,
            lost: false,
        }
    }

    /// Channels at the moment.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Channels can be opened, now or when others are left.
    pub(super) fn is_open(&self) -> bool {
        !self.retired && !self.closing && !self.lost
    }

    /// There is nothing that it would be kept for.
    pub(super) fn is_done(&self, idle: Duration) -> bool {
        let is_long = |since: Instant| self.retired || since.elapsed() >= idle;
        self.empty_since.is_some_and(is_long)
    }

    /// Whether there has been any.
    pub(super) fn had_any(&self) -> bool {
        self.last > 0
    }

    /// Whether a channel can be opened.
    pub(super) fn has_room(&self) -> bool {
        self.is_open() && self.open.len() < CHANNELS_MAX && self.last < u32::MAX
    }

    /// Opens a channel, if there is room. The other end is told at once: numbers come in their order.
    pub(super) fn open(&mut self) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        self.last += 1;
        self.empty_since = None;
        self.open.insert(self.last, Channel::new(CHANNEL_WINDOW_BYTES, CHANNEL_WINDOW_BYTES_MIN));
        self.out.frame(Kind::Data, self.last, &[]);
        Some(self.last)
    }

    /// Asks for an answer; its number.
    pub(super) fn ping(&mut self) -> u32 {
        self.pings = self.pings.saturating_add(1);
        self.out.frame(Kind::Ping, 0, &self.pings.to_be_bytes());
        self.pings
    }

    /// The next channel that the other end has opened.
    pub(super) fn accept(&mut self) -> Option<u32> {
        let number = self.arrived.pop_front()?;
        let more = self.open.get_mut(&number).map_or(0, Channel::accept);
        if more > 0 {
            self.out.frame(Kind::Credit, number, &(more as u32).to_be_bytes());
        }
        Some(number)
    }

    /// The next bytes of a channel, empty at its end.
    pub(super) fn poll_read(&mut self, number: u32, context: &Context<'_>) -> Poll<io::Result<Received>> {
        let Some(channel) = self.open.get_mut(&number) else { return Poll::Ready(Err(gone())) };
        let before = channel.grown();
        if let Some((bytes, credit)) =
            channel.take(CHANNEL_WINDOWS_GROWTH_BYTES_MAX.saturating_sub(self.grown))
        {
            self.grown += channel.grown() - before;
            if credit > 0 && !channel.reset {
                self.out.frame(Kind::Credit, number, &(credit as u32).to_be_bytes());
            }
            return Poll::Ready(Ok(bytes));
        }
        if channel.ended {
            return Poll::Ready(Ok(Received::Own(BytesMut::new())));
        }
        if channel.reset {
            return Poll::Ready(Err(gone()));
        }
        channel.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// What an idle channel shows: `WouldBlock` is one that can be used.
    pub(super) fn peek(&self, number: u32) -> io::Result<usize> {
        match self.open.get(&number) {
            Some(channel) if channel.has_received() => Ok(1),
            Some(channel) if channel.ended || self.retired || self.closing => Ok(0),
            Some(channel) if !channel.reset => Err(io::ErrorKind::WouldBlock.into()),
            _ => Err(gone()),
        }
    }

    /// Queues slices as a whole, as far as the other end takes them and there is room.
    pub(super) fn poll_write(
        &mut self,
        number: u32,
        slices: &mut VecDeque<Bytes>,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(channel) = self.open.get_mut(&number) else { return Poll::Ready(Err(gone())) };
        while let Some(first) = slices.front() {
            if first.is_empty() {
                slices.pop_front();
                continue;
            }
            if channel.reset || channel.said_end {
                return Poll::Ready(Err(gone()));
            }
            let room = channel.may_say(self.round);
            if room == 0 || self.out.bytes() >= CHANNELS_OUT_BYTES_MAX {
                channel.writer = Some(context.waker().clone());
                if channel.credit > 0 {
                    self.writers.push(number);
                }
                return Poll::Pending;
            }
            let run = cut(slices, room);
            let length = run.iter().map(Bytes::len).sum::<usize>();
            channel.says(length);
            let sent = match run.as_slice() {
                [one] if Sender::takes(one) => self.sent.send(one),
                _ => Sent::Plainly,
            };
            let head = match sent {
                Sent::Plainly => Some((Kind::Data, number)),
                Sent::AsEntry(place) => Some((Kind::Entry, place.into())),
                Sent::ByReference(_) => None,
            };
            if let Some((kind, number)) = head {
                self.out.header(kind, length, number);
                run.iter().for_each(|slice| self.out.content(slice));
            }
            if let Sent::AsEntry(place) | Sent::ByReference(place) = sent {
                self.out.frame(Kind::Repeat, number, &[place]);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// This end says no more on a channel.
    pub(super) fn end(&mut self, number: u32) {
        if let Some(channel) = self.open.get_mut(&number).filter(|channel| !channel.said_end) {
            channel.said_end = true;
            if !channel.reset {
                self.out.frame(Kind::End, number, &[]);
            }
        }
    }

    /// This end leaves a channel.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(channel) = self.open.remove(&number) else { return };
        self.grown -= channel.grown();
        if self.open.is_empty() {
            self.empty_since = Some(Instant::now());
            self.sent.forget();
        }
        if !(channel.reset || self.lost || channel.ended && channel.said_end) {
            self.out.frame(Kind::Reset, number, &[]);
        }
    }

    /// What waits to be written; those go on who waited for that.
    pub(super) fn take_out(&mut self) -> Vec<Bytes> {
        self.round += 1;
        for number in std::mem::take(&mut self.writers) {
            if let Some(channel) = self.open.get_mut(&number) {
                channel.wake_writer();
            }
        }
        self.out.take()
    }

    /// It is to end, and whatever was under way with it. What waits is not said any more.
    pub(super) fn fail(&mut self) {
        self.closing = true;
        self.out.take();
        self.reset_all();
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.reset_all();
    }

    fn reset_all(&mut self) {
        self.arrived.clear();
        self.out.wake();
        for channel in self.open.values_mut() {
            channel.reset = true;
            channel.wake_reader();
            channel.wake_writer();
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Takes what one frame can hold: slices one after the other, or one that the dictionary takes, or the start of a long one.
fn cut(slices: &mut VecDeque<Bytes>, room: usize) -> Vec<Bytes> {
    let room = room.min(DATA_BYTES_MAX);
    let (mut run, mut bytes) = (Vec::new(), 0);
    while let Some(slice) = slices.front_mut() {
        let alone = Sender::takes(slice);
        let fits = bytes + slice.len() <= room;
        if !run.is_empty() && (alone || !fits) {
            break;
        }
        bytes += slice.len();
        if !fits {
            run.push(slice.split_to(room));
            break;
        }
        run.extend(slices.pop_front());
        if alone {
            break;
        }
    }
    run
}
