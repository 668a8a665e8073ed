//! What waits to be written to the connection.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::frame::{Header, Kind};

/// Slices up to this are copied to their neighbours; a larger one costs less where it is.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// Frames in their order. What all messages of a moment say goes out together.
#[derive(Debug, Default)]
pub(super) struct Out {
    slices: Vec<Bytes>,
    /// What goes after them.
    small: BytesMut,
    bytes: usize,
    writer: Option<Waker>,
}

impl Out {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A frame without content, or the header of one whose content follows.
    pub(super) fn header(&mut self, kind: Kind, length: usize, number: u32) {
        let before = self.small.len();
        Header::new(kind, length, number).put(&mut self.small);
        self.bytes += self.small.len() - before;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Content of the frame that was begun.
    pub(super) fn content(&mut self, bytes: &Bytes) {
        self.bytes += bytes.len();
        if bytes.len() <= COPIED_BYTES_MAX {
            self.small.extend_from_slice(bytes);
            return;
        }
        if !self.small.is_empty() {
            self.slices.push(self.small.split().freeze());
        }
        self.slices.push(bytes.clone());
    }

    /// A small frame.
    pub(super) fn frame(&mut self, kind: Kind, number: u32, content: &[u8]) {
        self.header(kind, content.len(), number);
        self.small.extend_from_slice(content);
        self.bytes += content.len();
    }

    /// All that waits; nothing when the writer is only to look around.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        if !self.small.is_empty() {
            self.slices.push(self.small.split().freeze());
        }
        self.bytes = 0;
        std::mem::take(&mut self.slices)
    }

    /// Waits until something is there to be taken, or the writer is woken.
    pub(super) fn poll_any(&mut self, woken: bool, context: &Context<'_>) -> Poll<()> {
        if self.bytes > 0 || woken {
            return Poll::Ready(());
        }
        self.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Lets the writer look around.
    pub(super) fn wake(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}
