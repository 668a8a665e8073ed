//! Reading the log: by message id, by record id, or all of it.

mod documents;
mod places;
mod row;
mod stamps;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use self::row::Last;
use self::stamps::LastStamp;
use super::LogError;
use super::catalog::{Catalog, Place};
use super::live::Live;
use super::record::{Damage, Direction, RecordSummary, StoredRecord};
use super::recovery::{self, Access};
use super::sealed;
use crate::crypto::RecordKeys;
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
}
