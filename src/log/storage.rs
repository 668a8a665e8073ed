//! The few file operations that the log's writer needs, behind a trait so that tests can count and fail them.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::path::Path;

/// Opens files for the log's writer.
pub trait Storage: Send + Sync + 'static {
    /// Creates a file that must not exist yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// Opens an existing file, positioned at `len`; what lies behind it is cut off.
    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that only grows, except when a failed write is taken back.
pub trait AppendFile: Send {
    /// Writes some of the bytes at the end and says how many.
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Takes back everything behind `len`.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes everything written durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
}

/// Ordinary files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        use std::os::unix::fs::OpenOptionsExt;
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        AppendFile::truncate(&mut file, len)?;
        Ok(Box::new(file))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl AppendFile for File {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_vectored(slices)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
