//! Where a body ends.

use bytes::{Bytes, BytesMut};

use super::BodyFraming;
use super::chunked::ChunkedDecoder;
use crate::worker::error::HttpError;

/// What a decoder made of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Body bytes, never empty.
    Data(Bytes),
    /// Nothing before more input.
    NeedMore,
    /// The body is complete.
    End,
}

/// Decoder of one body.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    /// Bytes still to come.
    Length(u64),
    /// Chunks.
    Chunked(ChunkedState),
    /// Everything until the end of the connection.
    UntilClose,
}

/// Keeps the chunk decoder's type private to this folder.
#[derive(Debug)]
pub(crate) struct ChunkedState(ChunkedDecoder);

impl BodyDecoder {
    pub(crate) fn new(framing: BodyFraming) -> Self {
        match framing {
            BodyFraming::None => Self::Length(0),
            BodyFraming::Length(length) => Self::Length(length),
            BodyFraming::Chunked => Self::Chunked(ChunkedState(ChunkedDecoder::new())),
            BodyFraming::UntilClose => Self::UntilClose,
        }
    }

    /// The next slice of the body from the front of `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, HttpError> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Chunked(decoder) => decoder.0.decode(input),
            _ if input.is_empty() => Ok(Decoded::NeedMore),
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                Ok(Decoded::Data(input.split_to(taken).freeze()))
            }
            Self::UntilClose => Ok(Decoded::Data(input.split().freeze())),
        }
    }

    /// The same from bytes that stay where they are; `None` where something else than the body's bytes is due.
    pub(crate) fn take(&mut self, input: &mut Bytes) -> Option<Bytes> {
        match self {
            Self::Length(0) => None,
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= taken as u64;
                Some(input.split_to(taken))
            }
            Self::Chunked(decoder) => decoder.0.take(input),
            Self::UntilClose => Some(std::mem::take(input)),
        }
    }

    /// The body ends with the connection.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilClose)
    }
}
