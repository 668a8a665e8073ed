//! The data of several records, joined in the buffer that they were received in.

use bytes::{Buf, BytesMut};

/// Where it is: from the first record's data on.
#[derive(Default)]
pub(super) struct Joined {
    start: usize,
    end: usize,
}

impl Joined {
    /// More of it stands at a place behind.
    pub(super) fn add(&mut self, buffer: &mut [u8], at: usize, length: usize) {
        if length == 0 {
            return;
        }
        if self.end == 0 {
            (self.start, self.end) = (at, at + length);
            return;
        }
        buffer.copy_within(at..at + length, self.end);
        self.end += length;
    }

    /// Appends it; nothing is copied where nothing stood before.
    pub(super) fn move_to(self, mut buffer: BytesMut, plaintext: &mut BytesMut) {
        buffer.truncate(self.end);
        buffer.advance(self.start);
        if buffer.is_empty() {
            return;
        }
        if plaintext.is_empty() {
            *plaintext = buffer;
        } else {
            plaintext.extend_from_slice(&buffer);
        }
    }
}
