//! What a ZIP writer may still change: the header of the entry at hand is completed when its length is known, everything
//! before it goes on to a target that only takes bytes in order, such as an encrypting process.

use std::cell::Cell;
use std::io::{self, Seek, SeekFrom, Write};
use std::rc::Rc;

/// Shared by the buffer, which a ZIP writer owns, and by who adds entries to that.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Where the bytes written so far end.
    end: Cell<u64>,
    /// Everything before this stays as it is.
    fixed: Cell<u64>,
}

impl Marks {
    /// Where the bytes written so far end.
    pub fn end(&self) -> u64 {
        self.end.get()
    }

    /// What is before this stays as it is.
    pub fn fix(&self, before: u64) {
        self.fixed.set(before);
    }
}

/// Holds bytes until they are fixed.
#[derive(Debug)]
pub(super) struct EntryBuffer<W> {
    target: W,
    marks: Rc<Marks>,
    held: Vec<u8>,
    /// Bytes passed on already.
    passed: u64,
    at: u64,
}

impl<W: Write> EntryBuffer<W> {
    /// A buffer before `target`.
    pub fn new(target: W, marks: Rc<Marks>) -> Self {
        Self { target, marks, held: Vec::new(), passed: 0, at: 0 }
    }

    /// Passes everything on and gives the target back.
    pub fn into_target(mut self) -> io::Result<W> {
        self.marks.fix(u64::MAX);
        self.pass_on()?;
        Ok(self.target)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let fixed = self.marks.fixed.get().saturating_sub(self.passed);
        let count = usize::try_from(fixed).unwrap_or(usize::MAX).min(self.held.len());
        if count > 0 {
            self.target.write_all(self.held.get(..count).unwrap_or_default())?;
            self.held.drain(..count);
            self.passed += count as u64;
        }
        Ok(())
    }
}

impl<W: Write> Write for EntryBuffer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let from = usize::try_from(self.at - self.passed).map_err(io::Error::other)?;
        let over = self.held.len().saturating_sub(from).min(bytes.len());
        let (changed, added) = bytes.split_at(over);
        if let Some(held) = self.held.get_mut(from..from + over) {
            held.copy_from_slice(changed);
        }
        self.held.extend_from_slice(added);
        self.at += bytes.len() as u64;
        self.marks.end.set(self.passed + self.held.len() as u64);
        if self.at == self.marks.end.get() {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.target.flush()
    }
}

impl<W: Write> Seek for EntryBuffer<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.marks.end.get().checked_add_signed(by),
        };
        let within = |at: &u64| (self.passed..=self.passed + self.held.len() as u64).contains(at);
        self.at = to.filter(within).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fixed_goes_on_in_order_and_the_rest_can_be_changed() {
        let marks = Rc::new(Marks::default());
        let mut buffer = EntryBuffer::new(Vec::new(), Rc::clone(&marks));
        buffer.write_all(b"head....data").unwrap();
        let end = marks.end();
        buffer.seek(SeekFrom::Start(4)).unwrap();
        buffer.write_all(b"1234").unwrap();
        assert_eq!(buffer.seek(SeekFrom::End(0)).unwrap(), 12);
        assert!(buffer.target.is_empty());
        marks.fix(end);
        buffer.write_all(b"next").unwrap();
        assert_eq!(buffer.target, b"head1234data");
        assert!(buffer.seek(SeekFrom::Start(3)).is_err(), "that is gone");
        assert_eq!(buffer.into_target().unwrap(), b"head1234datanext");
    }
}
