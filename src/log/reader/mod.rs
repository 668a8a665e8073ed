//! Reading the log: by message id, by record id, or all of it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use super::catalog::{Catalog, Place};
use super::format::{Fields, FrameKind};
use super::live::Live;
use super::record::{Covered, Damage, Direction, DurableRecord, RecordSummary, Stamp, StoredRecord};
use super::recovery::Access;
use super::sealed::{self, Sealed};
use super::segment::{self, Segment};
use super::{LogError, payload, recovery, sealing};
use crate::crypto::RecordKeys;
use crate::evidence::SignatureData;
use crate::evidence::timestamp::TimestampBatch;
use crate::limits::LOG_FILTER_BYTES_MAX;
use crate::message::ClientId;

/// Reads a log while it is written, or a log that nobody writes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {
    directory: Arc<PathBuf>,
    catalog: Arc<RwLock<Catalog>>,
    keys: Option<Arc<RecordKeys>>,
    last_stamp: Arc<Mutex<Option<Arc<LastStamp>>>>,
}

/// Rows that are taken from an index at once.
const ROWS_AT_ONCE: usize = 512;

impl LogReader {
    pub(super) fn new(directory: &Path, catalog: Arc<RwLock<Catalog>>) -> Self {
        Self { directory: Arc::new(directory.to_owned()), catalog, keys: None, last_stamp: Arc::default() }
    }

    /// With the keys of encrypted records.
    pub fn with_keys(self, keys: Option<Arc<RecordKeys>>) -> Self {
        Self { keys, ..self }
    }

    /// Reads a log as it is now, without its lock and without changing a byte of it.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        let recovered = recovery::scan(directory, Access::Read)?;
        Ok(Self::new(directory, Arc::new(RwLock::new(recovered.catalog))))
    }

    /// Records of this local party with this message id, oldest first.
    pub fn find(
        &self,
        client: &ClientId,
        query_id: &str,
        direction: Option<Direction>,
    ) -> Result<Vec<RecordSummary>, LogError> {
        let mut found = self.find_all(query_id)?;
        found.retain(|summary| {
            summary.client == *client && direction.is_none_or(|wanted| wanted == summary.direction)
        });
        Ok(found)
    }

    /// Records of any local party with this message id, oldest first.
    pub fn find_all(&self, query_id: &str) -> Result<Vec<RecordSummary>, LogError> {
        let (sealed, mut room, live) = self.with_catalog(|catalog| {
            let of_live = |live: &Live| {
                let rows = live.candidates(sealed::hash(live.tag, query_id));
                rows.into_iter().map(|row| Place { segment: live.number, row }).collect::<Vec<_>>()
            };
            let live: Vec<Place> = catalog.lives().flat_map(of_live).collect();
            let room = LOG_FILTER_BYTES_MAX.saturating_sub(catalog.sealed_memory());
            (catalog.sealed_from(0), room, live)
        });
        let mut places = Vec::new();
        for sealed in &sealed {
            let before = sealed.memory();
            let rows = self.sealed(sealed, |sealed| sealed.candidates(query_id, room > 0))?;
            room = room.saturating_sub(sealed.memory().saturating_sub(before));
            places.extend(rows.into_iter().map(|row| Place { segment: sealed.head.number, row }));
        }
        places.extend(live);
        let mut found = Vec::new();
        for place in &places {
            let summary = self.summary_at(place)?;
            if summary.query_id == query_id {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// The head of one record.
    pub fn summary(&self, id: u64) -> Result<RecordSummary, LogError> {
        self.summary_at(&self.place(id)?)
    }

    /// One whole record, every part checked.
    pub fn read(&self, id: u64) -> Result<StoredRecord, LogError> {
        self.read_with(&self.place(id)?, &mut Last::default())
    }

    fn read_with(&self, place: &Place, last: &mut Last) -> Result<StoredRecord, LogError> {
        let id = place.row.id;
        let segment = self.segment_with(place, last)?;
        let payload = self.frame(&segment, id, FrameKind::MessageRecord, place.row.offset)?;
        let damaged = || LogError::Damaged { id, reason: "its fields cannot be read" };
        let mut record = payload::message(&payload, id).ok_or_else(damaged)?;
        sealing::open(&mut record, id, self.keys.as_deref())?;
        let (signature, hash_chain_result) =
            document_with(&segment, (place.segment, record.head.document_offset), id, last)?;
        last.segment = Some(segment);
        let stamp = self.stamp(place)?;
        let mut summary = record.head.summary;
        summary.stamped = stamp.is_some();
        Ok(StoredRecord {
            summary,
            message: record.message,
            signature: SignatureData { signature, hash_chain_result, hash_chain: record.hash_chain },
            attachments: record.attachments,
            stamp,
        })
    }

    fn segment_with(&self, place: &Place, last: &mut Last) -> Result<Segment, LogError> {
        match last.segment.take().filter(|segment| segment.header.number == place.segment) {
            Some(segment) => Ok(segment),
            None => self.segment(place.segment),
        }
    }

    /// The signature documents of these records, whose ids ascend. Of a record only its head is read and checked:
    /// what its time-stamp covers is the document alone.
    pub(super) fn documents_each(
        &self,
        ids: Vec<u64>,
    ) -> impl Iterator<Item = (u64, Result<Bytes, LogError>)> {
        self.each(ids, |this, place, last| {
            let id = place.row.id;
            let segment = this.segment_with(place, last)?;
            let first = segment.first_bytes(place.row.offset)?;
            let first = first.filter(|(head, _)| head.kind == FrameKind::MessageRecord);
            let offset = first.and_then(|(_, first)| payload::document_offset(&first));
            let offset = offset.ok_or(LogError::Damaged { id, reason: "its frame is damaged" })?;
            let document = document_with(&segment, (place.segment, offset), id, last);
            last.segment = Some(segment);
            document.map(|(signature, _)| signature)
        })
    }

    /// These records, whose ids ascend, one at a time: neighbours share what they have in common.
    pub fn read_each(&self, ids: Vec<u64>) -> impl Iterator<Item = (u64, Result<StoredRecord, LogError>)> {
        self.each(ids, |this, place, last| this.read_with(place, last))
    }

    fn each<T>(
        &self,
        ids: Vec<u64>,
        read: impl Fn(&Self, &Place, &mut Last) -> Result<T, LogError>,
    ) -> impl Iterator<Item = (u64, Result<T, LogError>)> {
        let (mut last, mut places) = (Last::default(), VecDeque::<Place>::new());
        ids.into_iter().map(move |id| {
            while places.front().is_some_and(|place| place.row.id < id) {
                places.pop_front();
            }
            if places.is_empty() {
                match self.places_from(id) {
                    Ok(found) => places = found.into(),
                    Err(error) => return (id, Err(error)),
                }
            }
            match places.front().filter(|place| place.row.id == id) {
                Some(place) => (id, read(self, place, &mut last)),
                None => (id, Err(LogError::NotFound { id })),
            }
        })
    }

    /// Every message record from id `from` on. Records that cannot be read come as errors.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = Result<StoredRecord, LogError>> + '_ {
        let (mut next, mut last, mut places) = (Some(from), Last::default(), VecDeque::new());
        std::iter::from_fn(move || {
            if places.is_empty() {
                match self.places_from(next?) {
                    Ok(found) => places = found.into(),
                    Err(error) => {
                        next = None;
                        return Some(Err(error));
                    }
                }
            }
            let place: Place = places.pop_front()?;
            next = place.row.id.checked_add(1);
            Some(self.read_with(&place, &mut last))
        })
    }

    /// Every message record.
    pub fn iter(&self) -> impl Iterator<Item = Result<StoredRecord, LogError>> + '_ {
        self.iter_from(0)
    }

    /// Ids of message records without a time-stamp, oldest first, at most `limit`.
    pub fn unstamped(&self, limit: usize) -> Vec<u64> {
        self.with_catalog(|catalog| catalog.unstamped().iter().take(limit).collect())
    }

    /// Message records without a time-stamp.
    pub fn unstamped_count(&self) -> usize {
        self.with_catalog(|catalog| catalog.unstamped().len() as usize)
    }

    /// The largest id of a message record; 0 of an empty log.
    pub fn last_id(&self) -> u64 {
        self.with_catalog(Catalog::last_id)
    }

    /// Message records and time-stamp records in the log.
    pub fn counts(&self) -> (u64, u64) {
        self.with_catalog(Catalog::counts)
    }

    /// Whether a record without a time-stamp will get one; not when its signature document is damaged.
    pub fn waits_for_stamp(&self, id: u64) -> bool {
        self.with_catalog(|catalog| catalog.unstamped().contains(id))
    }

    /// Damaged places that were stepped over when the log was opened.
    pub fn damages(&self) -> Vec<Damage> {
        self.with_catalog(|catalog| catalog.damages().to_vec())
    }

    pub(super) fn give_up_stamping(&self, id: u64) {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner).done(id, id);
    }

    /// No record of this segment is found any more.
    pub(super) fn forget_segment(&self, number: u32) {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner).forget(number);
    }

    pub(super) fn with_catalog<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Looks something up in the index of a complete segment. An index that is lost or damaged is made again.
    pub(super) fn sealed<T>(
        &self,
        sealed: &Sealed,
        look: impl Fn(&Sealed) -> io::Result<T>,
    ) -> Result<T, LogError> {
        match look(sealed) {
            Err(error) if sealed::is_lost(&error) => {
                let number = sealed.head.number;
                tracing::error!(
                    segment = number,
                    "the index of a segment is lost or damaged; it is made again"
                );
                let done_below = sealed.head.done_below;
                let again = recovery::make_index(&self.directory, number, done_below, Access::Read)?;
                let found = look(&again)?;
                self.catalog.write().unwrap_or_else(PoisonError::into_inner).add_sealed(again);
                Ok(found)
            }
            found => Ok(found?),
        }
    }

    /// Some of the records from an id on, in order; none when there is none.
    pub(super) fn places_from(&self, id: u64) -> Result<Vec<Place>, LogError> {
        let (sealed, live) = self.with_catalog(|catalog| {
            let mut live = catalog.lives().map(|live| {
                let rows = live.rows_from(id, ROWS_AT_ONCE);
                rows.into_iter().map(|row| Place { segment: live.number, row }).collect::<Vec<_>>()
            });
            (catalog.sealed_at(id), live.find(|places: &Vec<Place>| !places.is_empty()).unwrap_or_default())
        });
        let Some(sealed) = sealed else { return Ok(live) };
        let rows = self.sealed(&sealed, |sealed| sealed.rows_from(id, ROWS_AT_ONCE))?;
        let mut places: Vec<Place> =
            rows.into_iter().map(|row| Place { segment: sealed.head.number, row }).collect();
        // A segment without index may lie between two that have one.
        let first = |places: &[Place]| places.first().map_or(u64::MAX, |place| place.row.id);
        let (bounds, mut live) = ([first(&places), first(&live)], live);
        places.retain(|place| bounds[0] < bounds[1] && place.row.id < bounds[1]);
        live.retain(|place| bounds[1] < bounds[0] && place.row.id < bounds[0]);
        places.extend(live);
        Ok(places)
    }

    fn place(&self, id: u64) -> Result<Place, LogError> {
        let places = self.places_from(id)?;
        places.first().filter(|place| place.row.id == id).copied().ok_or(LogError::NotFound { id })
    }

    fn segment(&self, number: u32) -> Result<Segment, LogError> {
        let path = self.directory.join(segment::file_name(number));
        Segment::open(&path)?.ok_or(LogError::SegmentHeader { path })
    }

    fn frame(&self, segment: &Segment, id: u64, kind: FrameKind, offset: u64) -> Result<Bytes, LogError> {
        let frame = segment.frame(offset)?.filter(|(head, _)| head.kind == kind);
        let reason = "its frame is damaged";
        frame.map(|(_, payload)| payload).ok_or(LogError::Damaged { id, reason })
    }

    pub(super) fn summary_at(&self, place: &Place) -> Result<RecordSummary, LogError> {
        let id = place.row.id;
        let segment = self.segment(place.segment)?;
        let start = segment.payload_start(place.row.offset)?;
        let head = start.and_then(|(_, start)| payload::message_head(&mut Fields(&start), id));
        let mut summary = match head {
            Some(head) => head.summary,
            None => {
                let payload = self.frame(&segment, id, FrameKind::MessageRecord, place.row.offset)?;
                let head = payload::message_head(&mut Fields(&payload), id);
                head.ok_or(LogError::Damaged { id, reason: "its fields cannot be read" })?.summary
            }
        };
        summary.stamped = self.stamp_place(place)?.is_some();
        Ok(summary)
    }

    /// Segment and offset of the time-stamp record that covers a record; it lies in the same segment or a later one.
    fn stamp_place(&self, place: &Place) -> Result<Option<(u32, u64)>, LogError> {
        let id = place.row.id;
        let (waits, sealed, live) = self.with_catalog(|catalog| {
            let covers = |live: &Live| live.stamp_of(id).map(|offset| (live.number, offset));
            let live = catalog.lives().filter(|live| live.number >= place.segment).find_map(covers);
            (catalog.unstamped().contains(id), catalog.sealed_from(place.segment), live)
        });
        if waits {
            return Ok(None);
        }
        for sealed in &sealed {
            if let Some(offset) = self.sealed(sealed, |sealed| sealed.stamp_of(id))? {
                return Ok(Some((sealed.head.number, offset)));
            }
        }
        Ok(live)
    }

    /// The time-stamp of a record, and the record of the log in which it is; `None` while there is none.
    ///
    /// # Errors
    /// When there is no such record, or its time-stamp is damaged.
    pub fn stamp_of(&self, id: u64) -> Result<Option<(DurableRecord, Stamp)>, LogError> {
        if self.with_catalog(|catalog| catalog.unstamped().contains(id)) {
            return Ok(None);
        }
        self.stamp_with_record(&self.place(id)?)
    }

    fn stamp(&self, place: &Place) -> Result<Option<Stamp>, LogError> {
        Ok(self.stamp_with_record(place)?.map(|(_, stamp)| stamp))
    }

    fn stamp_with_record(&self, place: &Place) -> Result<Option<(DurableRecord, Stamp)>, LogError> {
        let id = place.row.id;
        let damaged = LogError::Damaged { id, reason: "its time-stamp record cannot be read" };
        let known = self.last_stamp.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Most records have the time-stamp of the one before, and none gets a second one.
        if let Some(last) = known.as_ref()
            && let Some(stamp) = last.stamp_of(id)
        {
            return Ok(Some((last.record, stamp)));
        }
        let Some(stamp_place) = self.stamp_place(place)? else { return Ok(None) };
        let last = match known.filter(|last| last.place == stamp_place) {
            Some(last) => last,
            None => {
                let segment = self.segment(stamp_place.0)?;
                let frame = segment.frame(stamp_place.1)?;
                let frame = frame.filter(|(head, _)| head.kind == FrameKind::TimestampRecord);
                let last = frame.and_then(|(head, payload)| LastStamp::of(stamp_place, head.id, &payload));
                let Some(last) = last else { return Err(damaged) };
                let last = Arc::new(last);
                *self.last_stamp.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&last));
                last
            }
        };
        last.stamp_of(id).map(|stamp| Some((last.record, stamp))).ok_or(damaged)
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

/// Signature documents in turn among records in a row: those of requests and of responses, of several signers.
const DOCUMENTS_IN_TURN_MAX: usize = 16;

/// The signature document at a place, whole and checked, and its hash chain result.
fn document_with(
    segment: &Segment,
    place: (u32, u64),
    id: u64,
    last: &mut Last,
) -> Result<(Bytes, Option<Bytes>), LogError> {
    if let Some(known) = last.documents.iter().find(|known| known.place == place) {
        return Ok((known.signature.clone(), known.hash_chain_result.clone()));
    }
    let (signature, hash_chain_result) = document(segment, place.1)?
        .ok_or(LogError::Damaged { id, reason: "its signature document is damaged" })?;
    last.documents.truncate(DOCUMENTS_IN_TURN_MAX - 1);
    let (document, result) = (signature.clone(), hash_chain_result.clone());
    last.documents.push_front(LastDocument { place, signature: document, hash_chain_result: result });
    Ok((signature, hash_chain_result))
}

/// What records in a row have in common.
#[derive(Default)]
struct Last {
    segment: Option<Segment>,
    documents: VecDeque<LastDocument>,
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
    record: DurableRecord,
    token: Bytes,
    /// The tree, and the place of each record in it; `None` for a single time-stamp.
    batch: Option<(TimestampBatch, HashMap<u64, usize>)>,
    single: Option<u64>,
}

impl LastStamp {
    fn of(place: (u32, u64), id: u64, payload: &Bytes) -> Option<Self> {
        let (time, stamped) = payload::timestamp(payload)?;
        let (record, token, covered) = (DurableRecord::new(id, time), stamped.token, stamped.covered);
        let leaves = match covered {
            Covered::Single(id) => return Some(Self { place, record, token, batch: None, single: Some(id) }),
            Covered::Batch { root, leaves } => {
                let (digests, numbers) = Covered::tree(&leaves);
                let batch = TimestampBatch::new(&digests).ok()?;
                // What was stamped is the root: another one would be no evidence.
                let ids = leaves.iter().map(|(id, _)| *id);
                (*batch.root() == root).then(|| (batch, ids.zip(numbers).collect()))?
            }
        };
        Some(Self { place, record, token, batch: Some(leaves), single: None })
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
