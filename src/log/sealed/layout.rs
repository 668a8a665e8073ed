//! The bytes of an index file, `segment-….idx`, and the code that reads and writes them.
//!
//! All integers are little endian. Pages are 4096 bytes: 4092 of entries or zeros, and a CRC-32 of the segment's
//! tag, the page's offset and the bytes before it.
//!
//! ```text
//! head (one page)                                       rows (pages), in the order of ids
//!   0   8  magic "HERMODIX"                               0  8  record id
//!   8   2  format version, 1                              8  8  offset of its frame in the segment
//!  10   2  zero                                          16  8  time in ms
//!  12   4  segment number                                24  4  number of the local party
//!  16   8  tag of the segment                            28  4  number of the consumer, 0xFFFFFFFF: not known
//!  24   8  length of the segment in bytes                32  4  number of the service, 0xFFFFFFFF: not known
//!  32  32  SHA-256 of the segment                        36  4  flags: 1 response, 2 metadata only
//!  64   8  frames
//!  72   8  time-stamp records                           hashes (pages), in their order
//!  80   8  largest id that the segment speaks of          0  8  hash of the message id
//!  88   8  first and                                      8  4  number of its row
//!  96   8  last id of a message record, 1 and 0: none
//! 104   8  earliest and                                 spans (pages), in the order of ids
//! 112   8  latest time of a message record, ms            0  8  first and
//! 120   8  no record before this id waits for a           8  8  last of message record ids in a row that
//!          time-stamp                                    16  8  the time-stamp record at this offset covers
//! 128   8  first and
//! 136   8  last id covered by its time-stamps,
//!          1 and 0: none
//! 144 120  five sections: u64 offset, u64 length, u64 entries: rows, hashes, spans, filter (0), tables
//!          (number of damaged places)
//! 264   4  CRC-32 of the filter
//! 268   4  CRC-32 of the tables
//! 272   …  u16 length and UTF-8: server id, as in the segment
//! ```
//!
//! The hash of a message id is the first eight bytes, big endian, of the SHA-256 of the segment's tag (eight bytes,
//! little endian) and the id: nobody who chooses message ids can choose hashes.
//!
//! Filter: blocks of 64 bytes. The block of a hash is hash × blocks / 2^64; its bits there are six numbers of nine bits
//! each, the lowest first; bit n is bit n mod 8 of byte n / 8.
//!
//! Tables: u32 count and clients; u32 count and services; u32 count and damaged places. A client is `client`, a
//! service `client`, `text`, `text?` as in the segment's format; a damaged place u64 offset, u64 length, u64 record id
//! (0: not known) and `text` reason. Rows name clients and services by their number, from 0.

use bytes::{BufMut, BytesMut};

use super::pages;
use crate::crypto;
use crate::log::format::{self, Fields};
use crate::log::payload;
use crate::message::{ClientId, ServiceId};

/// Length of a page.
pub(super) const PAGE_BYTES: usize = 4096;
/// Bytes of a page before its checksum.
pub(super) const PAGE_ENTRY_BYTES: usize = PAGE_BYTES - 4;
/// Length of a row.
pub(super) const ROW_BYTES: usize = 40;
/// Length of a hash entry.
pub(super) const HASH_BYTES: usize = 12;
/// Length of a span.
pub(super) const SPAN_BYTES: usize = 24;
/// The number of a client or service that is not known.
pub(in crate::log) const UNKNOWN: u32 = u32::MAX;

const MAGIC: &[u8; 8] = b"HERMODIX";
const VERSION: u16 = 1;

/// The file name of the index of a segment.
pub(in crate::log) fn file_name(number: u32) -> String {
    format!("segment-{number:010}.idx")
}

/// The hash of a message id in the segment with this tag.
pub(in crate::log) fn hash(tag: u64, query_id: &str) -> u64 {
    let mut bytes = Vec::with_capacity(8 + query_id.len());
    bytes.extend_from_slice(&tag.to_le_bytes());
    bytes.extend_from_slice(query_id.as_bytes());
    crypto::sha256(&bytes).first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// A part of an index file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub offset: u64,
    pub len: u64,
    pub entries: u64,
}

/// What the first page of an index says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::log) struct Head {
    pub number: u32,
    pub tag: u64,
    pub segment_len: u64,
    pub segment_sha256: [u8; 32],
    pub frames: u64,
    pub timestamp_records: u64,
    pub last_id: u64,
    pub first_message_id: u64,
    pub last_message_id: u64,
    pub earliest_ms: i64,
    pub latest_ms: i64,
    pub done_below: u64,
    pub stamped_first: u64,
    pub stamped_last: u64,
    pub(super) rows: Section,
    pub(super) hashes: Section,
    pub(super) spans: Section,
    pub(super) bloom: Section,
    pub(super) tables: Section,
    pub(super) bloom_crc: u32,
    pub(super) tables_crc: u32,
    pub server: String,
}

impl Head {
    /// Message records in the segment.
    pub fn messages(&self) -> u64 {
        self.rows.entries
    }

    /// Damaged places that a scan stepped over.
    pub fn damaged_places(&self) -> u64 {
        self.tables.entries
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE_BYTES);
        out.extend_from_slice(MAGIC);
        out.put_u16_le(VERSION);
        out.put_u16_le(0);
        out.put_u32_le(self.number);
        out.put_u64_le(self.tag);
        out.put_u64_le(self.segment_len);
        out.extend_from_slice(&self.segment_sha256);
        let ids = [self.frames, self.timestamp_records, self.last_id, self.first_message_id];
        ids.into_iter().for_each(|value| out.put_u64_le(value));
        out.put_u64_le(self.last_message_id);
        out.put_i64_le(self.earliest_ms);
        out.put_i64_le(self.latest_ms);
        let ids = [self.done_below, self.stamped_first, self.stamped_last];
        ids.into_iter().for_each(|value| out.put_u64_le(value));
        for section in [self.rows, self.hashes, self.spans, self.bloom, self.tables] {
            let fields = [section.offset, section.len, section.entries];
            fields.into_iter().for_each(|value| out.put_u64_le(value));
        }
        out.put_u32_le(self.bloom_crc);
        out.put_u32_le(self.tables_crc);
        out.put_u16_le(self.server.len() as u16);
        out.extend_from_slice(self.server.as_bytes());
        out.resize(PAGE_ENTRY_BYTES, 0);
        pages::close(&mut out, 0, self.tag);
        out
    }

    pub(super) fn parse(page: &[u8]) -> Option<Self> {
        let mut fields = Fields(page);
        if fields.take(8)? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        fields.u16()?;
        let (number, tag, segment_len) = (fields.u32()?, fields.u64()?, fields.u64()?);
        pages::check(page, tag, 0)?;
        let segment_sha256 = fields.take(32)?.try_into().ok()?;
        let (frames, timestamp_records, last_id) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (first_message_id, last_message_id) = (fields.u64()?, fields.u64()?);
        let (earliest_ms, latest_ms) = (fields.i64()?, fields.i64()?);
        let (done_below, stamped_first, stamped_last) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let mut section =
            || Some(Section { offset: fields.u64()?, len: fields.u64()?, entries: fields.u64()? });
        let (rows, hashes, spans) = (section()?, section()?, section()?);
        let (bloom, tables) = (section()?, section()?);
        let (bloom_crc, tables_crc) = (fields.u32()?, fields.u32()?);
        let server = fields.text()?.to_owned();
        Some(Self {
            number,
            tag,
            segment_len,
            segment_sha256,
            frames,
            timestamp_records,
            last_id,
            first_message_id,
            last_message_id,
            earliest_ms,
            latest_ms,
            done_below,
            stamped_first,
            stamped_last,
            rows,
            hashes,
            spans,
            bloom,
            tables,
            bloom_crc,
            tables_crc,
            server,
        })
    }
}

/// What an index says of one message record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct Row {
    pub id: u64,
    pub offset: u64,
    pub time_ms: i64,
    pub client: u32,
    pub consumer: u32,
    pub service: u32,
    pub is_response: bool,
    pub metadata_only: bool,
}

impl Row {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.id);
        out.put_u64_le(self.offset);
        out.put_i64_le(self.time_ms);
        out.put_u32_le(self.client);
        out.put_u32_le(self.consumer);
        out.put_u32_le(self.service);
        out.put_u32_le(u32::from(self.is_response) | u32::from(self.metadata_only) << 1);
    }

    /// From an entry of the right length; a shorter one, which there is not, reads as zeros.
    pub(super) fn parse(entry: &[u8]) -> Self {
        let mut fields = Fields(entry);
        let id = fields.u64().unwrap_or_default();
        let (offset, time_ms) = (fields.u64().unwrap_or_default(), fields.i64().unwrap_or_default());
        let mut number = || fields.u32().unwrap_or_default();
        let (client, consumer, service, flags) = (number(), number(), number(), number());
        let (is_response, metadata_only) = (flags & 1 != 0, flags & 2 != 0);
        Self { id, offset, time_ms, client, consumer, service, is_response, metadata_only }
    }
}

/// Hash and row number of a hash entry.
pub(super) fn hash_entry(entry: &[u8]) -> (u64, u32) {
    let mut fields = Fields(entry);
    (fields.u64().unwrap_or_default(), fields.u32().unwrap_or_default())
}

/// First id, last id and offset of a span.
pub(super) fn span(entry: &[u8]) -> (u64, u64, u64) {
    let mut fields = Fields(entry);
    let mut next = || fields.u64().unwrap_or_default();
    (next(), next(), next())
}

/// A damaged place, as an index remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::log) struct DamagedPlace {
    pub offset: u64,
    pub len: u64,
    pub record_id: Option<u64>,
    pub reason: String,
}

/// Clients, services and damaged places of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::log) struct Tables {
    pub clients: Vec<ClientId>,
    pub services: Vec<ServiceId>,
    pub damages: Vec<DamagedPlace>,
}

impl Tables {
    pub(super) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u32_le(self.clients.len() as u32);
        self.clients.iter().for_each(|client| payload::put_client(&mut out, client));
        out.put_u32_le(self.services.len() as u32);
        for service in &self.services {
            payload::put_client(&mut out, &service.client());
            format::put_text(&mut out, service.service_code());
            format::put_optional_text(&mut out, service.service_version());
        }
        out.put_u32_le(self.damages.len() as u32);
        for damage in &self.damages {
            out.put_u64_le(damage.offset);
            out.put_u64_le(damage.len);
            out.put_u64_le(damage.record_id.unwrap_or(0));
            format::put_text(&mut out, &damage.reason);
        }
        out
    }

    pub(super) fn parse(bytes: &[u8], head: &Head) -> Option<Self> {
        if crc32fast::hash(bytes) != head.tables_crc {
            return None;
        }
        let mut fields = Fields(bytes);
        let count = fields.u32()?;
        let clients = (0..count).map(|_| payload::client(&mut fields)).collect::<Option<_>>()?;
        let count = fields.u32()?;
        let services = (0..count)
            .map(|_| {
                let provider = payload::client(&mut fields)?;
                ServiceId::new(&provider, fields.text()?, fields.optional_text()?).ok()
            })
            .collect::<Option<_>>()?;
        let count = fields.u32()?;
        let damages = (0..count)
            .map(|_| {
                let (offset, len, id) = (fields.u64()?, fields.u64()?, fields.u64()?);
                let record_id = Some(id).filter(|id| *id != 0);
                Some(DamagedPlace { offset, len, record_id, reason: fields.text()?.to_owned() })
            })
            .collect::<Option<_>>()?;
        Some(Self { clients, services, damages })
    }
}
