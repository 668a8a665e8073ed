//! The segments that are being written, or have no index yet: kept in memory, about 80 bytes a record.

use foldhash::HashMap;

use super::ids::Spans;
use super::sealed::{Contents, Row};

/// No earlier record with the same hash of its message id.
const NONE: u32 = u32::MAX;

/// Where the records of one segment are.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub number: u32,
    pub tag: u64,
    /// In the order of ids, each with the one before with the same hash.
    rows: Vec<(Row, u32)>,
    /// By hash of the message id: the newest row; older ones hang on it.
    newest: HashMap<u64, u32>,
    spans: Spans,
    pub timestamp_records: u64,
}

impl Live {
    /// A segment without records.
    pub fn new(number: u32, tag: u64) -> Self {
        Self { number, tag, ..Self::default() }
    }

    /// What a scan found.
    pub fn of(number: u32, tag: u64, contents: Contents) -> Self {
        let mut live = Self::new(number, tag);
        contents.messages.into_iter().for_each(|(row, hash)| live.add_message(row, hash));
        live.spans = contents.spans;
        live.timestamp_records = contents.timestamp_records;
        live
    }

    /// Adds a message record; ids ascend.
    pub fn add_message(&mut self, row: Row, hash: u64) {
        let earlier = self.newest.insert(hash, self.rows.len() as u32).unwrap_or(NONE);
        self.rows.push((row, earlier));
    }

    /// Notes a time-stamp record and what it covers.
    pub fn add_timestamp(&mut self, records: &[u64], offset: u64) {
        self.timestamp_records += 1;
        self.spans.cover(records.iter().copied(), offset);
    }

    /// The id of the newest message record.
    pub fn last_id(&self) -> Option<u64> {
        self.rows.last().map(|(row, _)| row.id)
    }

    /// Earliest and latest time of a message record.
    pub fn times_ms(&self) -> Option<(i64, i64)> {
        let times = || self.rows.iter().map(|(row, _)| row.time_ms);
        times().min().zip(times().max())
    }

    /// Message records.
    pub fn messages(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Message records with an id of at least `id`.
    pub fn messages_from(&self, id: u64) -> u64 {
        (self.rows.len() - self.rows.partition_point(|(row, _)| row.id < id)) as u64
    }

    /// Rows whose message id has this hash, oldest first.
    pub fn candidates(&self, hash: u64) -> Vec<Row> {
        let mut found = Vec::new();
        let mut at = self.newest.get(&hash).copied().unwrap_or(NONE);
        while let Some((row, earlier)) = self.rows.get(at as usize) {
            found.push(*row);
            at = *earlier;
        }
        found.reverse();
        found
    }

    /// At most `limit` rows from the first with an id of at least `id` on.
    pub fn rows_from(&self, id: u64, limit: usize) -> Vec<Row> {
        let start = self.rows.partition_point(|(row, _)| row.id < id);
        self.rows.iter().skip(start).take(limit).map(|(row, _)| *row).collect()
    }

    /// Offset of the time-stamp record in this segment that covers a message record.
    pub fn stamp_of(&self, id: u64) -> Option<u64> {
        self.spans.offset_of(id)
    }

    /// First and last ids of what its time-stamps cover.
    pub fn spans(&self) -> impl Iterator<Item = (u64, u64)> {
        self.spans.iter().map(|(first, last, _)| (first, last))
    }
}
