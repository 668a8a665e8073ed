//! Frames: what goes over a multiplexed connection.

use bytes::{BufMut, BytesMut};

/// Octets of a frame's header: kind (1), length of what follows (3), channel or other number (4), big-endian.
pub(super) const HEADER_BYTES: usize = 8;
/// Content of a data frame at most.
pub(super) const DATA_BYTES_MAX: usize = 64 * 1024;
/// Content of an entry at least: a smaller one would cost the receiver more than it spares the sender.
pub(super) const ENTRY_BYTES_MIN: usize = 1200;
/// Content of any other frame at most: that of an entry.
pub(super) const ENTRY_BYTES_MAX: usize = 32 * 1024;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of a channel. The first one on a number that is higher than all before opens the channel.
    Data,
    /// The sender says no more on the channel.
    End,
    /// The sender has left the channel: it says no more and hears no more.
    Reset,
    /// The sender takes so many bytes more on the channel (4 octets).
    Credit,
    /// Bytes for a place of the dictionary; the number is the place.
    Entry,
    /// What is in a place of the dictionary (1 octet) stands here in the channel.
    Repeat,
    /// First frame of the server: number of its worker and how many it has (2 octets each).
    Hello,
    /// The server wants no new channels on this connection.
    Leaving,
    /// The client asks for an answer at once (4 octets).
    Ping,
    /// The answer, with the same content.
    Pong,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Data,
        Self::End,
        Self::Reset,
        Self::Credit,
        Self::Entry,
        Self::Repeat,
        Self::Hello,
        Self::Leaving,
        Self::Ping,
        Self::Pong,
    ];

    /// Whether a frame of this kind may have so much content.
    fn may_have(self, length: usize) -> bool {
        match self {
            Self::Data => length <= DATA_BYTES_MAX,
            Self::Entry => (ENTRY_BYTES_MIN..=ENTRY_BYTES_MAX).contains(&length),
            Self::Credit | Self::Hello | Self::Ping | Self::Pong => length == 4,
            Self::Repeat => length == 1,
            Self::End | Self::Reset | Self::Leaving => length == 0,
        }
    }
}

/// The other end broke a rule of the protocol: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("multiplexed connection: {0}")]
pub(super) struct Violation(pub(super) &'static str);

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) length: usize,
    pub(super) number: u32,
}

impl Header {
    pub(super) fn new(kind: Kind, length: usize, number: u32) -> Self {
        Self { kind, length, number }
    }

    /// Reads the header at the front, if it has come as a whole.
    pub(super) fn read(input: &[u8]) -> Result<Option<Self>, Violation> {
        let Some(&[kind, high, middle, low, a, b, c, d]) = input.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let kind = Kind::ALL.get(usize::from(kind)).copied().ok_or(Violation("unknown kind of frame"))?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if !kind.may_have(length) {
            return Err(Violation("frame of a wrong length"));
        }
        Ok(Some(Self { kind, length, number: u32::from_be_bytes([a, b, c, d]) }))
    }

    /// Writes it.
    pub(super) fn put(self, out: &mut BytesMut) {
        let kind = Kind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        out.put_u32((kind as u32) << 24 | self.length as u32);
        out.put_u32(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        for (kind, length) in
            Kind::ALL.into_iter().zip([DATA_BYTES_MAX, 0, 0, 4, ENTRY_BYTES_MAX, 1, 4, 0, 4, 4])
        {
            let header = Header::new(kind, length, 0x0102_0304);
            let mut out = BytesMut::new();
            header.put(&mut out);
            assert_eq!(Header::read(&out), Ok(Some(header)));
            assert_eq!(Header::read(&out[..HEADER_BYTES - 1]), Ok(None));
            let mut longer = BytesMut::new();
            Header::new(kind, length + 1, 1).put(&mut longer);
            assert!(Header::read(&longer).is_err(), "{kind:?}");
        }
        assert!(Header::read(&[10, 0, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(Header::read(&[0; HEADER_BYTES]).is_ok());
    }
}
