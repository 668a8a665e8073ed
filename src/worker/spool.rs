//! A body on its way: in memory while it is small, in an unlinked temporary file above.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::limits::{READ_BUFFER_BYTES, SPOOL_MEMORY_BYTES_MAX, WRITE_BUFFER_BYTES};

// Slices keep their whole receive buffer alive; smaller ones are copied so that a trickle of them cannot hold
// many buffers.
const SLICE_BYTES_MIN: usize = 1024;

/// Holds a body of any size in bounded memory. File access blocks the thread; the file is on a local disk and
/// mostly in the page cache.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    slices: Vec<Bytes>,
    tail: BytesMut,
    file: Option<Arc<File>>,
    length: u64,
}

impl Spool {
    /// An empty spool; `directory` gets the file, should there be one. The file never has a name, so nothing of it
    /// is left after a crash.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let (slices, tail) = (Vec::new(), BytesMut::new());
        Self { directory: directory.into(), slices, tail, file: None, length: 0 }
    }

    /// Appends.
    pub fn write(&mut self, data: Bytes) -> io::Result<()> {
        self.length += data.len() as u64;
        if self.file.is_none() && self.length > SPOOL_MEMORY_BYTES_MAX as u64 {
            self.move_to_file()?;
        }
        match &self.file {
            Some(file) => (&**file).write_all(&data),
            None if data.len() < SLICE_BYTES_MIN => {
                self.tail.extend_from_slice(&data);
                Ok(())
            }
            None => {
                self.seal_tail();
                self.slices.push(data);
                Ok(())
            }
        }
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.slices.push(self.tail.split().freeze());
        }
    }

    fn move_to_file(&mut self) -> io::Result<()> {
        self.seal_tail();
        let mut file = tempfile::tempfile_in(&self.directory)?;
        for slice in self.slices.drain(..) {
            file.write_all(&slice)?;
        }
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// Bytes written.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The body from its start, as often as wanted.
    pub fn chunks(&mut self) -> SpoolChunks {
        self.seal_tail();
        match &self.file {
            Some(file) => SpoolChunks::File { file: Arc::clone(file), at: 0, end: self.length },
            None => SpoolChunks::Memory(self.slices.clone().into_iter()),
        }
    }

    /// The whole body in one piece. Errors: it is longer than `bytes_max` ([`io::ErrorKind::FileTooLarge`]).
    pub fn into_bytes(mut self, bytes_max: usize) -> io::Result<Bytes> {
        if self.length > bytes_max as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut chunks = self.chunks();
        let first = chunks.next_chunk()?.unwrap_or_default();
        if first.len() as u64 == self.length {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(self.length as usize);
        whole.extend_from_slice(&first);
        while let Some(chunk) = chunks.next_chunk()? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// Pieces of a spooled body in order.
#[derive(Debug)]
pub enum SpoolChunks {
    /// Slices as they were written.
    Memory(std::vec::IntoIter<Bytes>),
    /// Pieces of the file.
    File {
        /// The unlinked file.
        file: Arc<File>,
        /// Offset of the next piece.
        at: u64,
        /// Length of the body.
        end: u64,
    },
}

impl SpoolChunks {
    /// The next piece, `None` after the last.
    pub fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Memory(slices) => Ok(slices.next()),
            Self::File { file, at, end } => {
                if at >= end {
                    return Ok(None);
                }
                let length = (*end - *at).min(WRITE_BUFFER_BYTES.max(READ_BUFFER_BYTES) as u64) as usize;
                let mut piece = BytesMut::zeroed(length);
                file.read_exact_at(&mut piece, *at)?;
                *at += length as u64;
                Ok(Some(piece.freeze()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spool: &mut Spool) -> Vec<u8> {
        let (mut chunks, mut body) = (spool.chunks(), Vec::new());
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            body.extend_from_slice(&chunk);
        }
        body
    }

    #[test]
    fn a_small_body_stays_in_memory() {
        let mut spool = Spool::new("/nonexistent");
        assert!(spool.is_empty());
        for _ in 0..100 {
            spool.write(Bytes::from_static(b"0123456789")).unwrap();
            spool.write(Bytes::from(vec![b'x'; 2000])).unwrap();
        }
        assert_eq!(spool.len(), 201_000);
        let body = [b"0123456789".as_slice(), &[b'x'; 2000]].concat().repeat(100);
        assert_eq!(read(&mut spool), body);
        assert_eq!(read(&mut spool), body);
        assert_eq!(spool.into_bytes(201_000).unwrap(), body);
    }

    #[test]
    fn a_large_body_goes_to_a_file_without_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(directory.path());
        let body: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        for chunk in body.chunks(7001) {
            spool.write(Bytes::copy_from_slice(chunk)).unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(read(&mut spool), body);
        assert_eq!(read(&mut spool), body);
        assert!(spool.into_bytes(999_999).is_err());
    }
}
