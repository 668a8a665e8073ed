//! An index from what is in a segment.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::BufMut;

use super::bloom::Bloom;
use super::layout::{
    DamagedPlace, HASH_BYTES, Head, PAGE_BYTES, ROW_BYTES, Row, SPAN_BYTES, Section, Tables, UNKNOWN,
};
use super::{layout, pages};
use crate::log::format::SegmentHeader;
use crate::log::ids::Spans;
use crate::log::record::{Damage, Direction, RecordSummary};
use crate::message::{ClientId, ServiceId};

/// What a scan found in a segment.
#[derive(Debug, Default)]
pub(in crate::log) struct Contents {
    /// Message records in the order of ids, each with the hash of its message id.
    pub messages: Vec<(Row, u64)>,
    /// Which of its time-stamp records cover which message records.
    pub spans: Spans,
    /// Time-stamp records.
    pub timestamp_records: u64,
    /// Frames.
    pub frames: u64,
    /// Places that were stepped over.
    pub damages: Vec<Damage>,
    /// The largest id that the segment speaks of.
    pub last_id: u64,
    clients: Numbered<ClientId>,
    services: Numbered<ServiceId>,
}

impl Contents {
    /// Adds a message record of the segment with this tag.
    pub fn add_message(&mut self, tag: u64, summary: &RecordSummary, offset: u64) {
        let consumer = summary.consumer.as_ref().map_or(UNKNOWN, |client| self.clients.number(client));
        let row = Row {
            id: summary.id,
            offset,
            time_ms: summary.time.millis(),
            client: self.clients.number(&summary.client),
            consumer,
            service: summary.service.as_ref().map_or(UNKNOWN, |service| self.services.number(service)),
            is_response: summary.direction == Direction::Response,
            metadata_only: summary.metadata_only,
        };
        self.messages.push((row, layout::hash(tag, &summary.query_id)));
    }
}

/// Values by the order in which they were met.
#[derive(Debug)]
struct Numbered<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }
}

/// The index of a segment of so many bytes with this digest. `done_below`: no record before this id waits for a
/// time-stamp.
pub(in crate::log) fn build(
    header: &SegmentHeader,
    segment_len: u64,
    segment_sha256: [u8; 32],
    contents: Contents,
    done_below: u64,
) -> Vec<u8> {
    let Contents { messages, spans, timestamp_records, frames, damages, last_id, clients, services } =
        contents;
    let tag = header.tag;
    let times = || messages.iter().map(|(row, _)| row.time_ms);
    let mut head = Head {
        number: header.number,
        tag,
        segment_len,
        segment_sha256,
        frames,
        timestamp_records,
        last_id,
        first_message_id: messages.first().map_or(1, |(row, _)| row.id),
        last_message_id: messages.last().map_or(0, |(row, _)| row.id),
        earliest_ms: times().min().unwrap_or(0),
        latest_ms: times().max().unwrap_or(0),
        done_below,
        stamped_first: spans.iter().next().map_or(1, |(first, ..)| first),
        stamped_last: spans.iter().last().map_or(0, |(_, last, _)| last),
        server: header.server.clone(),
        ..Head::default()
    };
    let mut out = vec![0; PAGE_BYTES];
    let mut entries = Vec::with_capacity(messages.len() * ROW_BYTES);
    messages.iter().for_each(|(row, _)| row.put(&mut entries));
    head.rows = pages::put(&mut out, tag, &entries, ROW_BYTES);

    let mut hashes: Vec<(u64, u32)> = (0..).zip(&messages).map(|(at, (_, hash))| (*hash, at)).collect();
    hashes.sort_unstable();
    entries.clear();
    for (hash, number) in &hashes {
        entries.put_u64_le(*hash);
        entries.put_u32_le(*number);
    }
    head.hashes = pages::put(&mut out, tag, &entries, HASH_BYTES);

    entries.clear();
    for (first, last, offset) in spans.iter() {
        [first, last, offset].into_iter().for_each(|value| entries.put_u64_le(value));
    }
    head.spans = pages::put(&mut out, tag, &entries, SPAN_BYTES);

    let bloom = Bloom::new(hashes.iter().map(|(hash, _)| *hash));
    head.bloom = put(&mut out, bloom.bytes());
    head.bloom_crc = crc32fast::hash(bloom.bytes());
    let place = |damage: Damage| DamagedPlace {
        offset: damage.offset,
        len: damage.len,
        record_id: damage.record_id,
        reason: damage.reason.into_owned(),
    };
    let damages: Vec<DamagedPlace> = damages.into_iter().map(place).collect();
    let damaged_places = damages.len() as u64;
    let tables = Tables { clients: clients.values, services: services.values, damages }.encode();
    head.tables = Section { entries: damaged_places, ..put(&mut out, &tables) };
    head.tables_crc = crc32fast::hash(&tables);
    let first = head.encode();
    if let Some(place) = out.get_mut(..first.len()) {
        place.copy_from_slice(&first);
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Section {
    let offset = out.len() as u64;
    out.extend_from_slice(bytes);
    Section { offset, len: bytes.len() as u64, entries: 0 }
}
