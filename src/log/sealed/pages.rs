//! Entries of one length in pages, each with its checksum.

use std::io;

use super::layout::{Head, PAGE_BYTES, PAGE_ENTRY_BYTES, Section};
use super::{Opened, damaged};
use crate::log::format::seeded;

/// Reads entries of a section, a page at a time; the page read last is kept.
pub(super) struct Pages<'o> {
    opened: &'o Opened<'o>,
    tag: u64,
    section: Section,
    entry_bytes: usize,
    per_page: u64,
    page: Box<[u8; PAGE_BYTES]>,
    /// Number of the page that is held.
    held: Option<u64>,
}

impl<'o> Pages<'o> {
    pub fn new(opened: &'o Opened<'o>, head: &Head, section: Section, entry_bytes: usize) -> Self {
        let per_page = per_page(entry_bytes);
        let page = Box::new([0; PAGE_BYTES]);
        Self { opened, tag: head.tag, section, entry_bytes, per_page, page, held: None }
    }

    /// An entry; `None` behind the last.
    pub fn get(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        if at >= self.section.entries {
            return Ok(None);
        }
        let number = at / self.per_page;
        if self.held != Some(number) {
            self.held = None;
            let offset = self.section.offset + number * PAGE_BYTES as u64;
            self.opened.read(self.page.as_mut_slice(), offset)?;
            check(self.page.as_slice(), self.tag, offset).ok_or_else(damaged)?;
            self.held = Some(number);
        }
        let start = (at % self.per_page) as usize * self.entry_bytes;
        Ok(self.page.get(start..start + self.entry_bytes))
    }

    /// How many entries, which are in order, come before those that are not `before`.
    pub fn partition_point(&mut self, before: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.section.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(entry) if before(entry) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

/// Entries of this length in a page.
pub(super) fn per_page(entry_bytes: usize) -> u64 {
    (PAGE_ENTRY_BYTES / entry_bytes) as u64
}

/// Appends entries as pages; `bytes` are the entries one after the other.
pub(super) fn put(out: &mut Vec<u8>, tag: u64, bytes: &[u8], entry_bytes: usize) -> Section {
    let offset = out.len() as u64;
    for entries in bytes.chunks(per_page(entry_bytes) as usize * entry_bytes) {
        let start = out.len();
        out.extend_from_slice(entries);
        out.resize(start + PAGE_ENTRY_BYTES, 0);
        close(out, start, tag);
    }
    let len = out.len() as u64 - offset;
    Section { offset, len, entries: (bytes.len() / entry_bytes) as u64 }
}

/// Appends the checksum of the page that begins at `start`.
pub(super) fn close(out: &mut Vec<u8>, start: usize, tag: u64) {
    let crc = crc(out.get(start..).unwrap_or_default(), tag, start as u64);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Whether a page is what was written at this offset.
pub(super) fn check(page: &[u8], tag: u64, offset: u64) -> Option<()> {
    let (entries, stored) = page.split_last_chunk::<4>()?;
    (crc(entries, tag, offset) == u32::from_le_bytes(*stored)).then_some(())
}

fn crc(bytes: &[u8], tag: u64, offset: u64) -> u32 {
    let mut crc = seeded(tag, &offset.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}
