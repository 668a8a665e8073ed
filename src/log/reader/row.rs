//! Records in a row: neighbours share what they have in common.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::catalog::Place;
use super::super::format::FrameKind;
use super::super::record::StoredRecord;
use super::super::segment::Segment;
use super::super::{LogError, payload, sealing};
use super::LogReader;
use super::documents::{LastDocument, document_with};
use crate::evidence::SignatureData;

/// What records in a row have in common.
#[derive(Default)]
pub(super) struct Last {
    segment: Option<Segment>,
    pub(super) documents: VecDeque<LastDocument>,
}

impl LogReader {
    pub(super) fn read_with(&self, place: &Place, last: &mut Last) -> Result<StoredRecord, LogError> {
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
            signature: SignatureData {
                signature,
                hash_chain_result,
                hash_chain: record.hash_chain,
                chain_path: None,
            },
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
    pub(in crate::log) fn documents_each(
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
}
