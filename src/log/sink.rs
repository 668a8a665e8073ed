//! Writes frames: small pieces are gathered, large ones are passed on without a copy.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;

use bytes::{BufMut, Bytes, BytesMut};

use super::format::{self, FrameHead, FrameKind};
use super::storage::AppendFile;
use crate::crypto::RecordCipher;

/// Pieces of at least this length are written from where they are.
const SHARED_BYTES_MIN: usize = 8 * 1024;
/// Gathered bytes are written when there are this many.
const FLUSH_BYTES: usize = 1024 * 1024;
const FLUSH_PIECES: usize = 512;
const COPY_CHUNK_BYTES: usize = 256 * 1024;

/// Gathers pieces for one file.
pub(super) struct Sink<'f> {
    file: &'f mut dyn AppendFile,
    pieces: Vec<Bytes>,
    small: BytesMut,
    gathered: usize,
    offset: u64,
    tag: u64,
}

impl<'f> Sink<'f> {
    /// A sink that goes on at `offset`.
    pub fn new(file: &'f mut dyn AppendFile, offset: u64, tag: u64) -> Self {
        let small = BytesMut::with_capacity(64 * 1024);
        Self { file, pieces: Vec::new(), small, gathered: 0, offset, tag }
    }

    /// Where the next frame starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Starts a frame; `put` and `put_file` must then give exactly `payload_len` bytes.
    pub fn start(&mut self, kind: FrameKind, id: u64, payload_len: u32) -> FrameSink<'_, 'f> {
        let head = FrameHead { kind, id, payload_len };
        let crc = head.encode(self.tag, &mut self.small);
        FrameSink { sink: self, crc, head, left: u64::from(payload_len) }
    }

    /// A frame whose payload is in memory.
    pub fn frame(&mut self, kind: FrameKind, id: u64, payload: &[u8]) -> io::Result<()> {
        let mut frame = self.start(kind, id, payload.len() as u32);
        frame.put_slice(payload);
        frame.end()
    }

    /// Bytes that are no frame (a segment's header).
    pub fn put_raw(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.put_shared(bytes)
    }

    fn put_shared(&mut self, bytes: &Bytes) -> io::Result<()> {
        if bytes.len() < SHARED_BYTES_MIN {
            self.small.put_slice(bytes);
        } else {
            self.gather_small();
            self.gathered += bytes.len();
            self.pieces.push(bytes.clone());
        }
        self.flush_if_large()
    }

    fn flush_if_large(&mut self) -> io::Result<()> {
        if self.gathered + self.small.len() >= FLUSH_BYTES || self.pieces.len() >= FLUSH_PIECES {
            self.flush()?;
        }
        Ok(())
    }

    fn gather_small(&mut self) {
        if !self.small.is_empty() {
            self.gathered += self.small.len();
            self.pieces.push(self.small.split().freeze());
        }
    }

    /// Writes everything gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.gather_small();
        let mut slices: Vec<IoSlice<'_>> = self.pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match self.file.append(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pieces.clear();
        self.gathered = 0;
        Ok(())
    }
}

/// One frame being written.
pub(super) struct FrameSink<'s, 'f> {
    sink: &'s mut Sink<'f>,
    crc: crc32fast::Hasher,
    head: FrameHead,
    left: u64,
}

impl FrameSink<'_, '_> {
    /// Payload bytes that are copied.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.sink.small.put_slice(bytes);
    }

    /// Payload bytes that are shared when they are many.
    pub fn put(&mut self, bytes: &Bytes) -> io::Result<()> {
        self.crc.update(bytes);
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.sink.put_shared(bytes)
    }

    /// The first `len` bytes of a file, encrypted as this part of a record.
    pub fn put_file(
        &mut self,
        file: &File,
        len: u64,
        sealed: Option<(&RecordCipher, u32)>,
    ) -> io::Result<()> {
        let mut at = 0;
        while at < len {
            let want = usize::try_from(len - at).unwrap_or(usize::MAX).min(COPY_CHUNK_BYTES);
            let mut chunk = vec![0; want];
            file.read_exact_at(&mut chunk, at)?;
            if let Some((cipher, part)) = sealed {
                cipher.apply(part, at, &mut chunk).map_err(io::Error::other)?;
            }
            self.put(&Bytes::from(chunk))?;
            at += want as u64;
        }
        Ok(())
    }

    /// Checksum and padding.
    pub fn end(self) -> io::Result<()> {
        assert_eq!(self.left, 0, "a frame must be as long as its head says");
        self.sink.small.put_u32_le(self.crc.finalize());
        self.sink.small.put_bytes(0, format::padding(self.head.payload_len));
        self.sink.offset += self.head.frame_len();
        self.sink.flush_if_large()
    }
}
