//! A body on its way: in memory while it is small, in an unlinked temporary file above.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, OutOfBudget, Share};
use crate::limits::{READ_BUFFER_BYTES, SPOOL_MEMORY_BYTES_MAX, WRITE_BUFFER_BYTES};

// Slices keep their whole receive buffer alive; smaller ones are copied so that a trickle of them cannot hold
// many buffers.
const SLICE_BYTES_MIN: usize = 1024;

/// Where bodies are held, and how much all of them may take. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpoolSpace {
    directory: Arc<Path>,
    memory: Budget,
    disk: Budget,
}

impl SpoolSpace {
    /// Files go to `directory`. They never have a name, so nothing of them is left after a crash.
    pub fn new(directory: impl Into<PathBuf>, memory: Budget, disk: Budget) -> Self {
        Self { directory: directory.into().into(), memory, disk }
    }

    /// Memory for all messages.
    pub fn memory(&self) -> &Budget {
        &self.memory
    }

    /// Disk for all messages.
    pub fn disk(&self) -> &Budget {
        &self.disk
    }
}

/// Holds a body of any size in bounded memory. File access blocks the thread; the file is on a local disk and
/// mostly in the page cache.
#[derive(Debug)]
pub struct Spool {
    directory: Arc<Path>,
    memory: Share,
    disk: Share,
    slices: Vec<Bytes>,
    tail: BytesMut,
    file: Option<Arc<File>>,
    length: u64,
}

impl Spool {
    /// An empty spool.
    pub fn new(space: &SpoolSpace) -> Self {
        Self {
            directory: Arc::clone(&space.directory),
            memory: space.memory.share(),
            disk: space.disk.share(),
            slices: Vec::new(),
            tail: BytesMut::new(),
            file: None,
            length: 0,
        }
    }

    /// Appends. Errors: [`io::ErrorKind::QuotaExceeded`] when the disk budget of all messages is used up, and those of
    /// the file.
    pub fn write(&mut self, data: Bytes) -> io::Result<()> {
        let length = self.length + data.len() as u64;
        // Where memory is scarce the body goes to the disk at once.
        let fits = length <= SPOOL_MEMORY_BYTES_MAX as u64;
        if self.file.is_none() && !(fits && self.memory.set(length).is_ok()) {
            self.move_to_file()?;
        }
        if self.file.is_some() {
            self.disk.set(length).map_err(quota)?;
        }
        self.length = length;
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
        self.disk.set(self.length).map_err(quota)?;
        let mut file = tempfile::tempfile_in(&self.directory)?;
        for slice in self.slices.drain(..) {
            file.write_all(&slice)?;
        }
        self.file = Some(Arc::new(file));
        let _ = self.memory.set(0);
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

fn quota(error: OutOfBudget) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, error)
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

    fn space(directory: impl Into<PathBuf>, memory: u64, disk: u64) -> SpoolSpace {
        SpoolSpace::new(directory, Budget::new(memory), Budget::new(disk))
    }

    fn read(spool: &mut Spool) -> Vec<u8> {
        let (mut chunks, mut body) = (spool.chunks(), Vec::new());
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            body.extend_from_slice(&chunk);
        }
        body
    }

    #[test]
    fn a_small_body_stays_in_memory() {
        let space = space("/nonexistent", 1 << 20, 0);
        let mut spool = Spool::new(&space);
        assert!(spool.is_empty());
        for _ in 0..100 {
            spool.write(Bytes::from_static(b"0123456789")).unwrap();
            spool.write(Bytes::from(vec![b'x'; 2000])).unwrap();
        }
        assert_eq!(spool.len(), 201_000);
        let body = [b"0123456789".as_slice(), &[b'x'; 2000]].concat().repeat(100);
        assert_eq!(read(&mut spool), body);
        assert_eq!(read(&mut spool), body);
        assert_eq!((space.memory().taken(), space.disk().taken()), (201_000, 0));
        assert_eq!(spool.into_bytes(201_000).unwrap(), body);
        assert_eq!(space.memory().taken(), 0);
    }

    #[test]
    fn a_large_body_goes_to_a_file_without_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(directory.path(), 1 << 20, 1 << 20);
        let mut spool = Spool::new(&space);
        let body: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        for chunk in body.chunks(7001) {
            spool.write(Bytes::copy_from_slice(chunk)).unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(read(&mut spool), body);
        assert_eq!(read(&mut spool), body);
        assert_eq!((space.memory().taken(), space.disk().taken()), (0, 1_000_000));
        assert!(spool.into_bytes(999_999).is_err());
        assert_eq!(space.disk().taken(), 0);
    }

    #[test]
    fn bodies_go_to_the_disk_where_memory_is_scarce_and_are_refused_where_disk_is() {
        let directory = tempfile::tempdir().unwrap();
        let space = space(directory.path(), 150_000, 1_000_000);
        let piece = Bytes::from(vec![b'x'; 100_000]);
        let (mut one, mut other) = (Spool::new(&space), Spool::new(&space));
        one.write(piece.clone()).unwrap();
        other.write(piece.clone()).unwrap();
        assert_eq!((space.memory().taken(), space.disk().taken()), (100_000, 100_000));
        for _ in 0..9 {
            other.write(piece.clone()).unwrap();
        }
        let refused = other.write(piece.clone()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
        assert!(refused.to_string().contains("1000000 bytes"), "{refused}");
        assert_eq!((read(&mut one).len(), read(&mut other).len()), (100_000, 1_000_000));
        drop(other);
        assert_eq!(space.disk().taken(), 0);
    }
}
