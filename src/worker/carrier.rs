//! What carries a connection: a stream of its own, or a channel of one that is multiplexed.

use std::io;

use bytes::Bytes;

use super::multiplex::{ChannelEnd, Received};
use super::stream::Stream;

/// Where the bytes come from and go to. Reads may be cancelled without loss; a cancelled write spoils it.
pub(super) enum Carrier {
    Stream(Stream),
    Channel(ChannelEnd),
}

impl Carrier {
    /// The next bytes, empty at the end.
    pub(super) async fn read(&mut self) -> io::Result<Received> {
        match self {
            Self::Stream(stream) => stream.read().await.map(Received::Own),
            Self::Channel(channel) => channel.read().await,
        }
    }

    /// Writes several slices as a whole.
    pub(super) async fn write_slices(&mut self, slices: Vec<Bytes>) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.write_slices(slices).await,
            Self::Channel(channel) => channel.write_slices(slices).await,
        }
    }

    /// Writes a buffer as a whole and gives it back emptied.
    pub(super) async fn write_buffer(&mut self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Stream(stream) => stream.write_buffer(buffer).await,
            Self::Channel(channel) => {
                channel.write_slices(vec![Bytes::copy_from_slice(&buffer)]).await?;
                buffer.clear();
                Ok(buffer)
            }
        }
    }

    /// Says that no more bytes will be sent.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.shutdown_write(),
            Self::Channel(channel) => {
                channel.shutdown_write();
                Ok(())
            }
        }
    }

    /// Makes the coming drop a reset, which for a channel that has not ended it is anyway.
    pub(super) fn reset_on_close(&self) {
        if let Self::Stream(stream) = self {
            stream.reset_on_close();
        }
    }

    /// What an idle one shows, without waiting: `WouldBlock` is a live one, 0 bytes its end.
    pub(super) fn peek(&mut self) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.peek(),
            Self::Channel(channel) => channel.peek(),
        }
    }
}
