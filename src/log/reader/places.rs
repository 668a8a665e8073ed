//! Where a record is: in the index of a complete segment, or in memory.

use std::io;
use std::sync::PoisonError;

use bytes::Bytes;

use super::super::catalog::Place;
use super::super::format::{Fields, FrameKind};
use super::super::record::RecordSummary;
use super::super::recovery::{self, Access};
use super::super::sealed::{self, Sealed};
use super::super::segment::{self, Segment};
use super::super::{LogError, payload};
use super::LogReader;

/// Rows that are taken from an index at once.
const ROWS_AT_ONCE: usize = 512;

impl LogReader {
    /// Looks something up in the index of a complete segment. An index that is lost or damaged is made again.
    pub(in crate::log) fn sealed<T>(
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
    pub(in crate::log) fn places_from(&self, id: u64) -> Result<Vec<Place>, LogError> {
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

    pub(super) fn place(&self, id: u64) -> Result<Place, LogError> {
        let places = self.places_from(id)?;
        places.first().filter(|place| place.row.id == id).copied().ok_or(LogError::NotFound { id })
    }

    pub(super) fn segment(&self, number: u32) -> Result<Segment, LogError> {
        let path = self.directory.join(segment::file_name(number));
        Segment::open(&path)?.ok_or(LogError::SegmentHeader { path })
    }

    pub(super) fn frame(
        &self,
        segment: &Segment,
        id: u64,
        kind: FrameKind,
        offset: u64,
    ) -> Result<Bytes, LogError> {
        let frame = segment.frame(offset)?.filter(|(head, _)| head.kind == kind);
        let reason = "its frame is damaged";
        frame.map(|(_, payload)| payload).ok_or(LogError::Damaged { id, reason })
    }

    pub(in crate::log) fn summary_at(&self, place: &Place) -> Result<RecordSummary, LogError> {
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
}
