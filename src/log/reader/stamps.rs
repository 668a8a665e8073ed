//! The time-stamp of a record.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::super::catalog::Place;
use super::super::format::FrameKind;
use super::super::live::Live;
use super::super::record::{Covered, DurableRecord, Stamp};
use super::super::{LogError, payload};
use super::LogReader;
use crate::evidence::timestamp::TimestampBatch;

impl LogReader {
    /// Segment and offset of the time-stamp record that covers a record; it lies in the same segment or a later one.
    pub(super) fn stamp_place(&self, place: &Place) -> Result<Option<(u32, u64)>, LogError> {
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

    pub(super) fn stamp(&self, place: &Place) -> Result<Option<Stamp>, LogError> {
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

/// The time-stamp record that was read last: thousands of message records in a row share one.
#[derive(Debug)]
pub(super) struct LastStamp {
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
