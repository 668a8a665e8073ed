//! One channel of a multiplexed connection: what has come and may come, and what may be sent.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::frame::Violation;
use crate::limits::{CHANNEL_ROUND_BYTES_MAX, CHANNEL_WINDOW_BYTES, CHANNEL_WINDOW_BYTES_MAX};

/// A data frame of at least so much belongs to a long body.
const LONG_FRAME_BYTES: usize = 16 * 1024;
/// Received bytes up to this are copied, so that a message does not hold the buffer in which it came with others.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// Room for what stands between two entries of the dictionary in a usual message: its head, or 1 KiB and a hash chain.
const USUAL_PIECE_BYTES: usize = 4 * 1024;

/// Bytes that came.
#[derive(Debug)]
pub(in crate::worker) enum Received {
    /// In memory of their own.
    Own(BytesMut),
    /// In memory that other messages share.
    Shared(Bytes),
}

impl Received {
    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Own(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }
}

/// The state of a channel at one end.
#[derive(Debug)]
pub(super) struct Channel {
    /// What has come and was not read.
    received: VecDeque<Received>,
    /// The last of it was copied, and takes more.
    is_copied: bool,
    /// The other end says no more.
    pub(super) ended: bool,
    /// The other end has left, or the connection is gone.
    pub(super) reset: bool,
    /// Who waits for bytes.
    pub(super) reader: Option<Waker>,
    window: usize,
    /// What the other end may still send.
    left: usize,
    /// What was read and the other end was not told of.
    read: usize,
    is_long: bool,
    /// What may be sent.
    pub(super) credit: usize,
    /// Who waits for leave to send.
    pub(super) writer: Option<Waker>,
    /// This end has said that it says no more.
    pub(super) said_end: bool,
    /// The round of writing in which it last said something, and how many bytes in that.
    round: u64,
    said: usize,
}

impl Channel {
    /// A new one: what may come before anybody has accepted it, and what may be sent.
    pub(super) fn new(window: usize, credit: usize) -> Self {
        Self {
            received: VecDeque::new(),
            is_copied: false,
            ended: false,
            reset: false,
            reader: None,
            window,
            left: window,
            read: 0,
            is_long: false,
            credit,
            writer: None,
            round: 0,
            said: 0,
            said_end: false,
        }
    }

    /// How far the window is larger than usual.
    pub(super) fn grown(&self) -> usize {
        self.window.saturating_sub(CHANNEL_WINDOW_BYTES)
    }

    /// Somebody has accepted it: how many bytes more may come.
    pub(super) fn accept(&mut self) -> usize {
        let more = CHANNEL_WINDOW_BYTES.saturating_sub(self.window);
        self.window += more;
        self.left += more;
        more
    }

    /// What it may say in this round; others want to say something, too.
    pub(super) fn may_say(&mut self, round: u64) -> usize {
        if self.round != round {
            (self.round, self.said) = (round, 0);
        }
        CHANNEL_ROUND_BYTES_MAX.saturating_sub(self.said).min(self.credit)
    }

    /// It said so many bytes.
    pub(super) fn says(&mut self, length: usize) {
        self.credit -= length;
        self.said += length;
    }

    /// Something has come that was not read.
    pub(super) fn has_received(&self) -> bool {
        !self.received.is_empty()
    }

    /// Whether so many bytes may come, which they do now.
    pub(super) fn admit(&mut self, length: usize) -> Result<(), Violation> {
        if self.ended {
            return Err(Violation("bytes after the end of a channel"));
        }
        self.left = self.left.checked_sub(length).ok_or(Violation("more bytes than the window has"))?;
        self.is_long |= length >= LONG_FRAME_BYTES;
        Ok(())
    }

    /// Bytes that came, in whatever buffer.
    pub(super) fn receive(&mut self, bytes: BytesMut) {
        if bytes.is_empty() {
            return;
        }
        self.wake_reader();
        if bytes.len() > COPIED_BYTES_MAX {
            self.received.push_back(Received::Own(bytes));
            self.is_copied = false;
        } else if let Some(Received::Own(last)) = self.received.back_mut().filter(|_| self.is_copied) {
            last.extend_from_slice(&bytes);
        } else {
            let mut copy = BytesMut::with_capacity(bytes.len().max(USUAL_PIECE_BYTES));
            copy.extend_from_slice(&bytes);
            self.received.push_back(Received::Own(copy));
            self.is_copied = true;
        }
    }

    /// Bytes that stand for what came.
    pub(super) fn receive_shared(&mut self, bytes: Bytes) {
        self.wake_reader();
        self.received.push_back(Received::Shared(bytes));
        self.is_copied = false;
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// The next bytes, and how many more the other end is to be told that it may send. The window may grow by `growth`.
    pub(super) fn take(&mut self, growth: usize) -> Option<(Received, usize)> {
        let bytes = self.received.pop_front()?;
        self.read += bytes.len();
        if self.ended || 2 * self.read < self.window {
            return Some((bytes, 0));
        }
        let more = match std::mem::take(&mut self.is_long) {
            true => growth.min(self.window).min(CHANNEL_WINDOW_BYTES_MAX - self.window),
            false => 0,
        };
        self.window += more;
        let credit = std::mem::take(&mut self.read) + more;
        self.left += credit;
        Some((bytes, credit))
    }
}
