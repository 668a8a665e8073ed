//! Reading the log: by message id, by record id, or all of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use super::format::{Fields, FrameKind};
use super::index::{Entry, Index};
use super::payload;
use super::record::{Covered, Damage, Direction, RecordSummary, Stamp, StoredRecord};
use super::segment::{self, Segment};
use super::{LogError, recovery};
use crate::crypto::Digest;
use crate::evidence::SignatureData;
use crate::evidence::timestamp::TimestampBatch;
use crate::message::ClientId;

/// Reads a log while it is written, or a log that nobody writes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {
    directory: Arc<PathBuf>,
    index: Arc<RwLock<Index>>,
    last_stamp: Arc<Mutex<Option<Arc<LastStamp>>>>,
}

impl LogReader {
    pub(super) fn new(directory: &Path, index: Arc<RwLock<Index>>) -> Self {
        Self { directory: Arc::new(directory.to_owned()), index, last_stamp: Arc::default() }
    }

    /// Reads a log as it is now, without its lock and without changing a byte of it.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        let recovered = recovery::scan(directory)?;
        Ok(Self::new(directory, Arc::new(RwLock::new(recovered.index))))
    }

    /// Records of this local party with this message id, oldest first.
    pub fn find(
        &self,
        client: &ClientId,
        query_id: &str,
        direction: Option<Direction>,
    ) -> Result<Vec<RecordSummary>, LogError> {
        let candidates = self.with_index(|index| index.candidates(query_id));
        let mut found = Vec::new();
        for entry in candidates {
            if direction.is_some_and(|wanted| wanted != entry.direction) {
                continue;
            }
            let summary = self.summary_at(&entry)?;
            if summary.query_id == query_id && summary.client == *client {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// The head of one record.
    pub fn summary(&self, id: u64) -> Result<RecordSummary, LogError> {
        self.summary_at(&self.entry(id)?)
    }

    /// One whole record, every part checked.
    pub fn read(&self, id: u64) -> Result<StoredRecord, LogError> {
        self.read_with(id, &mut Last::default())
    }

    fn read_with(&self, id: u64, last: &mut Last) -> Result<StoredRecord, LogError> {
        let entry = self.entry(id)?;
        let segment = match last.segment.take().filter(|segment| segment.header.number == entry.segment) {
            Some(segment) => segment,
            None => self.segment(entry.segment)?,
        };
        let payload = self.frame(&segment, &entry, FrameKind::MessageRecord, entry.offset)?;
        let damaged = || LogError::Damaged { id, reason: "its fields cannot be read" };
        let record = payload::message(&payload, id).ok_or_else(damaged)?;
        let place = (entry.segment, record.head.document_offset);
        if last.document.as_ref().is_none_or(|document| document.place != place) {
            let (signature, hash_chain_result) = document(&segment, place.1)?
                .ok_or(LogError::Damaged { id, reason: "its signature document is damaged" })?;
            last.document = Some(LastDocument { place, signature, hash_chain_result });
        }
        let document = last.document.as_ref().ok_or_else(damaged)?;
        let (signature, hash_chain_result) = (document.signature.clone(), document.hash_chain_result.clone());
        last.segment = Some(segment);
        let mut summary = record.head.summary;
        summary.stamped = entry.stamp.is_some();
        Ok(StoredRecord {
            summary,
            message: record.message,
            signature: SignatureData { signature, hash_chain_result, hash_chain: record.hash_chain },
            attachments: record.attachments,
            stamp: self.stamp(&entry)?,
        })
    }

    /// These records, one at a time: neighbours share what they have in common.
    pub(super) fn read_each(
        &self,
        ids: Vec<u64>,
    ) -> impl Iterator<Item = (u64, Result<StoredRecord, LogError>)> {
        let mut last = Last::default();
        ids.into_iter().map(move |id| (id, self.read_with(id, &mut last)))
    }

    /// Every message record from id `from` on. Records that cannot be read come as errors.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = Result<StoredRecord, LogError>> + '_ {
        let (mut next, mut last) = (Some(from), Last::default());
        std::iter::from_fn(move || {
            let entry = self.with_index(|index| index.at_or_after(next?))?;
            next = entry.id.checked_add(1);
            Some(self.read_with(entry.id, &mut last))
        })
    }

    /// Every message record.
    pub fn iter(&self) -> impl Iterator<Item = Result<StoredRecord, LogError>> + '_ {
        self.iter_from(0)
    }

    /// Ids of message records without a time-stamp, oldest first, at most `limit`.
    pub fn unstamped(&self, limit: usize) -> Vec<u64> {
        self.with_index(|index| index.unstamped(limit))
    }

    /// Message records without a time-stamp.
    pub fn unstamped_count(&self) -> usize {
        self.with_index(Index::unstamped_count)
    }

    /// Message records and time-stamp records in the log.
    pub fn counts(&self) -> (u64, u64) {
        self.with_index(Index::counts)
    }

    /// Damaged places that were stepped over when the log was opened.
    pub fn damages(&self) -> Vec<Damage> {
        self.with_index(|index| index.damages().to_vec())
    }

    pub(super) fn give_up_stamping(&self, id: u64) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).give_up_stamping(id);
    }

    fn with_index<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn entry(&self, id: u64) -> Result<Entry, LogError> {
        self.with_index(|index| index.get(id)).ok_or(LogError::NotFound { id })
    }

    fn segment(&self, number: u32) -> Result<Segment, LogError> {
        let path = self.directory.join(segment::file_name(number));
        Segment::open(&path)?.ok_or(LogError::SegmentHeader { path })
    }

    fn frame(
        &self,
        segment: &Segment,
        entry: &Entry,
        kind: FrameKind,
        offset: u64,
    ) -> Result<Bytes, LogError> {
        let frame = segment.frame(offset)?.filter(|(head, _)| head.kind == kind);
        let reason = match kind {
            FrameKind::TimestampRecord => "its time-stamp record is damaged",
            _ => "its frame is damaged",
        };
        frame.map(|(_, payload)| payload).ok_or(LogError::Damaged { id: entry.id, reason })
    }

    fn summary_at(&self, entry: &Entry) -> Result<RecordSummary, LogError> {
        let segment = self.segment(entry.segment)?;
        let start = segment.payload_start(entry.offset)?;
        let head = start.and_then(|(_, start)| payload::message_head(&mut Fields(&start), entry.id));
        let mut summary = match head {
            Some(head) => head.summary,
            None => {
                let payload = self.frame(&segment, entry, FrameKind::MessageRecord, entry.offset)?;
                let head = payload::message_head(&mut Fields(&payload), entry.id);
                head.ok_or(LogError::Damaged { id: entry.id, reason: "its fields cannot be read" })?.summary
            }
        };
        summary.stamped = entry.stamp.is_some();
        Ok(summary)
    }

    fn stamp(&self, entry: &Entry) -> Result<Option<Stamp>, LogError> {
        let Some(place) = entry.stamp else { return Ok(None) };
        let damaged = LogError::Damaged { id: entry.id, reason: "its time-stamp record cannot be read" };
        let known = self.last_stamp.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = match known.filter(|last| last.place == place) {
            Some(last) => last,
            None => {
                let segment = self.segment(place.0)?;
                let payload = self.frame(&segment, entry, FrameKind::TimestampRecord, place.1)?;
                let Some(last) = LastStamp::of(place, &payload) else { return Err(damaged) };
                let last = Arc::new(last);
                *self.last_stamp.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&last));
                last
            }
        };
        last.stamp_of(entry.id).map(Some).ok_or(damaged)
    }
}

/// A signature document, whole or made from the one that it is like; `None` when it is damaged.
fn document(segment: &Segment, offset: u64) -> Result<Option<(Bytes, Option<Bytes>)>, LogError> {
    let whole = |offset| {
        let frame = segment.frame(offset)?.filter(|(head, _)| head.kind == FrameKind::SignatureDocument);
        Ok::<_, LogError>(frame.and_then(|(_, payload)| payload::document(&payload)))
    };
    let Some((head, payload)) = segment.frame(offset)? else { return Ok(None) };
    if head.kind != FrameKind::SimilarDocument {
        return whole(offset);
    }
    let Some(similar) = payload::similar_document(&payload) else { return Ok(None) };
    for like in similar.like {
        if let Some((other, _)) = whole(like)? {
            return Ok(similar.over(&other).map(|signature| (signature, similar.hash_chain_result.clone())));
        }
    }
    Ok(None)
}

/// What records in a row have in common.
#[derive(Default)]
struct Last {
    segment: Option<Segment>,
    document: Option<LastDocument>,
}

struct LastDocument {
    place: (u32, u64),
    signature: Bytes,
    hash_chain_result: Option<Bytes>,
}

/// The time-stamp record that was read last: thousands of message records in a row share one.
#[derive(Debug)]
struct LastStamp {
    place: (u32, u64),
    token: Bytes,
    /// The tree, and the place of each record in it; `None` for a single time-stamp.
    batch: Option<(TimestampBatch, HashMap<u64, usize>)>,
    single: Option<u64>,
}

impl LastStamp {
    fn of(place: (u32, u64), payload: &Bytes) -> Option<Self> {
        let (_, record) = payload::timestamp(payload)?;
        let token = record.token;
        let leaves = match record.covered {
            Covered::Single(id) => return Some(Self { place, token, batch: None, single: Some(id) }),
            Covered::Batch { root, leaves } => {
                let digests: Vec<Digest> = leaves.iter().map(|(_, digest)| *digest).collect();
                let batch = TimestampBatch::new(&digests).ok()?;
                // What was stamped is the root: another one would be no evidence.
                (*batch.root() == root)
                    .then(|| (batch, leaves.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect()))?
            }
        };
        Some(Self { place, token, batch: Some(leaves), single: None })
    }

    fn stamp_of(&self, id: u64) -> Option<Stamp> {
        let token = self.token.clone();
        let Some((batch, places)) = &self.batch else {
            return (self.single == Some(id)).then_some(Stamp::Single { token });
        };
        let hash_chain = batch.chain(*places.get(&id)?)?;
        Some(Stamp::Batch { token, hash_chain_result: batch.result().clone(), hash_chain })
    }
}
