//! What a message may hold while it is under way: memory for what is not streamed, disk for bodies.

use std::io::{Error, ErrorKind};

use super::context::Worker;
use super::http_failure::http_failure;
use crate::limits::UNCOUNTED_MESSAGE_BYTES;
use crate::message::{ErrorCode, XRoadError};
use crate::worker::{Budget, HttpError, Share};

/// A message's share of the memory for all messages. It lives as long as the bytes of the message.
#[derive(Debug)]
pub struct Room(Share);

impl Room {
    /// For a message of this worker.
    pub fn new(worker: &Worker) -> Self {
        Self::of(worker.shared.spools.memory())
    }

    fn of(memory: &Budget) -> Self {
        Self(memory.share())
    }

    /// The message holds `bytes` now. Error: `internal_error`, since it is this server that has no room.
    pub fn hold(&mut self, bytes: usize) -> Result<(), XRoadError> {
        self.0.set(bytes.saturating_sub(UNCOUNTED_MESSAGE_BYTES) as u64).map_err(|error| {
            XRoadError::new(
                ErrorCode::InternalError,
                format!("no memory for a message of this size: {error}"),
            )
        })
    }
}

/// A body could not be kept: `internal_error` when bodies under way have used up their disk, else `io_error`.
pub fn cannot_keep(error: Error) -> XRoadError {
    if error.kind() == ErrorKind::QuotaExceeded {
        return XRoadError::new(ErrorCode::InternalError, format!("no room for the message's body: {error}"));
    }
    http_failure(&HttpError::Io(error), "keeping the message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_always_have_room() {
        let memory = Budget::new(1 << 20);
        let mut large = Room::of(&memory);
        large.hold((1 << 20) + UNCOUNTED_MESSAGE_BYTES).unwrap();
        let mut small = Room::of(&memory);
        small.hold(UNCOUNTED_MESSAGE_BYTES).unwrap();
        let refused = small.hold(UNCOUNTED_MESSAGE_BYTES + 1).unwrap_err();
        assert_eq!(refused.code(), "internal_error");
        assert!(refused.text().contains("1048576 bytes"), "{}", refused.text());
        drop(large);
        small.hold(UNCOUNTED_MESSAGE_BYTES + 1).unwrap();
    }

    #[test]
    fn a_full_spool_is_an_error_of_this_server() {
        assert_eq!(cannot_keep(ErrorKind::QuotaExceeded.into()).code(), "internal_error");
        assert_eq!(cannot_keep(ErrorKind::StorageFull.into()).code(), "io_error");
    }
}
