//! The digest of a file that is read for something else anyway.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::crypto::{DigestAlgorithm, Hasher};

const READ_CHUNK_BYTES: usize = 256 * 1024;

/// SHA-256 of a file from its beginning to where it has been read.
pub(super) struct FileDigest {
    hasher: Hasher,
    at: u64,
}

impl FileDigest {
    /// Of a file of which nothing has been read.
    pub fn new() -> Self {
        Self { hasher: Hasher::new(DigestAlgorithm::Sha256), at: 0 }
    }

    /// Takes what is new in bytes that were read at an offset; what is missing before them is read.
    pub fn take(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.read(file, offset)?;
        let known = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        self.hasher.update(new);
        self.at += new.len() as u64;
        Ok(())
    }

    /// The digest of the first `len` bytes.
    pub fn finish(mut self, file: &File, len: u64) -> io::Result<[u8; 32]> {
        if self.at > len {
            self = Self::new();
        }
        self.read(file, len)?;
        self.hasher.finish().as_ref().try_into().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn read(&mut self, file: &File, to: u64) -> io::Result<()> {
        let left =
            |at: u64| usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX).min(READ_CHUNK_BYTES);
        let mut buffer = vec![0; left(self.at)];
        while let Some(chunk) = buffer.get_mut(..left(self.at)).filter(|chunk| !chunk.is_empty()) {
            file.read_exact_at(chunk, self.at)?;
            self.hasher.update(chunk);
            self.at += chunk.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_bytes_whatever_was_read_of_them() {
        let bytes: Vec<u8> = (0..3 * READ_CHUNK_BYTES).map(|at| (at % 251) as u8).collect();
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), &bytes).unwrap();
        let file = File::open(path.path()).unwrap();
        let of = |len: usize| crate::crypto::sha256(&bytes[..len]);
        // In a row, twice the same, with a gap, and nothing new.
        let taken = || {
            let mut digest = FileDigest::new();
            for (from, to) in [(0, 100), (50, 200), (200, 200), (5000, 6000), (400, 5500)] {
                digest.take(&file, &bytes[from..to], from as u64).unwrap();
            }
            digest
        };
        for len in [0, 6000, 6001, bytes.len()] {
            assert_eq!(taken().finish(&file, len as u64).unwrap(), of(len), "{len}");
            assert_eq!(FileDigest::new().finish(&file, len as u64).unwrap(), of(len));
        }
        let beyond = taken().finish(&file, bytes.len() as u64 + 1);
        assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
