//! Segments that will not change any more, each with an index beside it, so that opening a log reads the head of
//! each index, and finding a record reads a few pages of it.
//!
//! An index is made from its segment alone and can be made again at any time: a lost or damaged one costs a scan.

mod bloom;
mod build;
mod layout;
mod pages;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;

pub(super) use build::{Contents, build};
pub(super) use layout::{Head, Row, Tables, UNKNOWN, file_name, hash};

use self::bloom::Bloom;
use self::layout::{HASH_BYTES, ROW_BYTES, SPAN_BYTES};
use self::pages::Pages;

/// A segment that is complete, and its index.
#[derive(Debug)]
pub(super) struct Sealed {
    /// What the head of the index says.
    pub head: Head,
    source: Source,
    bloom: OnceLock<Bloom>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Memory(Bytes),
}

/// Where the bytes of an index are read from.
pub(super) enum Opened<'s> {
    File(File),
    Memory(&'s [u8]),
}

impl Opened<'_> {
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        match self {
            Self::File(file) => file.read_exact_at(buffer, offset),
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.get(..buffer.len()));
                buffer.copy_from_slice(from.ok_or_else(damaged)?);
                Ok(())
            }
        }
    }
}

/// The index is not what was written. Whoever sees this makes it again.
fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Whether an error tells that an index is not there any more, or not what was written.
pub(super) fn is_lost(error: &io::Error) -> bool {
    let lost = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof, io::ErrorKind::NotFound];
    lost.contains(&error.kind())
}

impl Sealed {
    /// The index in a file; `None` when it is not there, not whole, or of another version.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut page = vec![0; layout::PAGE_BYTES];
        let read = Opened::File(file).read(&mut page, 0);
        let head = read.ok().and_then(|()| Head::parse(&page));
        Ok(head.map(|head| Self { head, source: Source::File(path.to_owned()), bloom: OnceLock::new() }))
    }

    /// An index that is kept in memory because it cannot, or must not, be written.
    pub fn in_memory(index: Bytes) -> Option<Self> {
        let head = Head::parse(index.get(..layout::PAGE_BYTES)?)?;
        Some(Self { head, source: Source::Memory(index), bloom: OnceLock::new() })
    }

    fn opened(&self) -> io::Result<Opened<'_>> {
        Ok(match &self.source {
            Source::File(path) => Opened::File(File::open(path)?),
            Source::Memory(bytes) => Opened::Memory(bytes),
        })
    }

    /// Bytes of memory that this takes for good.
    pub fn memory(&self) -> usize {
        let index = if let Source::Memory(bytes) = &self.source { bytes.len() } else { 0 };
        size_of::<Self>() + index + self.bloom.get().map_or(0, Bloom::len)
    }

    /// Records that may have this message id, oldest first. `remember` keeps the filter in memory, which is what
    /// makes the next search in a segment without the message id cost next to nothing.
    pub fn candidates(&self, query_id: &str, remember: bool) -> io::Result<Vec<Row>> {
        let hash = layout::hash(self.head.tag, query_id);
        if self.bloom.get().is_none() && remember {
            let bloom = Bloom::read(&self.opened()?, &self.head)?;
            let _ = self.bloom.set(bloom);
        }
        if self.bloom.get().is_some_and(|bloom| !bloom.may_contain(hash)) {
            return Ok(Vec::new());
        }
        let opened = self.opened()?;
        let mut hashes = Pages::new(&opened, &self.head, self.head.hashes, HASH_BYTES);
        let mut at = hashes.partition_point(|entry| layout::hash_entry(entry).0 < hash)?;
        let mut numbers = Vec::new();
        while let Some(entry) = hashes.get(at)? {
            let (found, number) = layout::hash_entry(entry);
            if found != hash {
                break;
            }
            numbers.push(number);
            at += 1;
        }
        let mut rows = Pages::new(&opened, &self.head, self.head.rows, ROW_BYTES);
        let row = |number: u32| Ok(Row::parse(rows.get(number.into())?.ok_or_else(damaged)?));
        numbers.into_iter().map(row).collect()
    }

    /// At most `limit` rows from the first with an id of at least `id` on.
    pub fn rows_from(&self, id: u64, limit: usize) -> io::Result<Vec<Row>> {
        let opened = self.opened()?;
        let mut rows = Pages::new(&opened, &self.head, self.head.rows, ROW_BYTES);
        let start = rows.partition_point(|row| Row::parse(row).id < id)?;
        let mut found = Vec::new();
        for at in start..start + limit as u64 {
            match rows.get(at)? {
                Some(row) => found.push(Row::parse(row)),
                None => break,
            }
        }
        Ok(found)
    }

    /// Message records with an id of at least `id`.
    pub fn messages_from(&self, id: u64) -> io::Result<u64> {
        let opened = self.opened()?;
        let mut rows = Pages::new(&opened, &self.head, self.head.rows, ROW_BYTES);
        Ok(self.head.messages() - rows.partition_point(|row| Row::parse(row).id < id)?)
    }

    /// Shows every row.
    pub fn each_row(&self, mut visit: impl FnMut(&Row)) -> io::Result<()> {
        let opened = self.opened()?;
        let mut rows = Pages::new(&opened, &self.head, self.head.rows, ROW_BYTES);
        for at in 0..self.head.rows.entries {
            visit(&Row::parse(rows.get(at)?.ok_or_else(damaged)?));
        }
        Ok(())
    }

    /// Offset of the time-stamp record in this segment that covers a message record.
    pub fn stamp_of(&self, id: u64) -> io::Result<Option<u64>> {
        if !(self.head.stamped_first..=self.head.stamped_last).contains(&id) {
            return Ok(None);
        }
        let opened = self.opened()?;
        let mut spans = Pages::new(&opened, &self.head, self.head.spans, SPAN_BYTES);
        let behind = spans.partition_point(|span| layout::span(span).0 <= id)?;
        let Some(at) = behind.checked_sub(1) else { return Ok(None) };
        let (_, last, offset) = layout::span(spans.get(at)?.ok_or_else(damaged)?);
        Ok((last >= id).then_some(offset))
    }

    /// Shows first and last id of every row of ids that time-stamps in this segment cover.
    pub fn each_span(&self, mut visit: impl FnMut(u64, u64)) -> io::Result<()> {
        let opened = self.opened()?;
        let mut spans = Pages::new(&opened, &self.head, self.head.spans, SPAN_BYTES);
        for at in 0..self.head.spans.entries {
            let (first, last, _) = layout::span(spans.get(at)?.ok_or_else(damaged)?);
            visit(first, last);
        }
        Ok(())
    }

    /// Clients, services and damaged places.
    pub fn tables(&self) -> io::Result<Tables> {
        let mut bytes = vec![0; usize::try_from(self.head.tables.len).map_err(|_| damaged())?];
        self.opened()?.read(&mut bytes, self.head.tables.offset)?;
        Tables::parse(&bytes, &self.head).ok_or_else(damaged)
    }

    /// Reads every byte of the index; an error when one is not what was written.
    pub fn check(&self) -> io::Result<()> {
        let opened = self.opened()?;
        for (section, entry) in
            [(self.head.rows, ROW_BYTES), (self.head.hashes, HASH_BYTES), (self.head.spans, SPAN_BYTES)]
        {
            let mut pages = Pages::new(&opened, &self.head, section, entry);
            for at in 0..section.entries {
                pages.get(at)?.ok_or_else(damaged)?;
            }
        }
        Bloom::read(&opened, &self.head)?;
        self.tables().map(drop)
    }
}
