//! Where every record is: kept in memory, built by a scan when the log is opened.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::record::{Damage, Direction};

/// No earlier record with the same query id.
const NONE: u32 = u32::MAX;

/// Where one message record is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub id: u64,
    pub segment: u32,
    pub offset: u64,
    pub direction: Direction,
    /// Segment and offset of the time-stamp record that covers it.
    pub stamp: Option<(u32, u64)>,
    earlier: u32,
}

/// The index of a whole log. About 60 bytes per message record.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In the order of ids.
    entries: Vec<Entry>,
    /// By hash of the query id: the newest entry; older ones hang on it.
    newest: HashMap<u64, u32>,
    hasher: RandomState,
    unstamped: BTreeSet<u64>,
    timestamp_records: u64,
    damages: Vec<Damage>,
}

impl Index {
    /// Adds a message record; ids ascend.
    pub fn add_message(&mut self, id: u64, query_id: &str, direction: Direction, segment: u32, offset: u64) {
        let position = self.entries.len() as u32;
        let earlier = self.newest.insert(self.hasher.hash_one(query_id), position).unwrap_or(NONE);
        self.entries.push(Entry { id, segment, offset, direction, stamp: None, earlier });
        self.unstamped.insert(id);
    }

    /// Notes the time-stamp record that covers these message records. The first one stays: a record is
    /// shown with the time-stamp that it got first.
    pub fn add_timestamp(&mut self, records: impl Iterator<Item = u64>, segment: u32, offset: u64) {
        self.timestamp_records += 1;
        for id in records {
            if self.unstamped.remove(&id)
                && let Ok(at) = self.entries.binary_search_by_key(&id, |entry| entry.id)
                && let Some(entry) = self.entries.get_mut(at)
            {
                entry.stamp = Some((segment, offset));
            }
        }
    }

    /// Notes a damaged place.
    pub fn add_damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }

    /// The entry of a record.
    pub fn get(&self, id: u64) -> Option<Entry> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.entries.get(at).copied()
    }

    /// The first record with an id of at least `id`.
    pub fn at_or_after(&self, id: u64) -> Option<Entry> {
        let at = self.entries.partition_point(|entry| entry.id < id);
        self.entries.get(at).copied()
    }

    /// Entries whose query id has the same hash, oldest first.
    pub fn candidates(&self, query_id: &str) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut at = self.newest.get(&self.hasher.hash_one(query_id)).copied().unwrap_or(NONE);
        while let Some(entry) = self.entries.get(at as usize) {
            found.push(*entry);
            at = entry.earlier;
        }
        found.reverse();
        found
    }

    /// Ids of records without a time-stamp, oldest first, at most `limit`.
    pub fn unstamped(&self, limit: usize) -> Vec<u64> {
        self.unstamped.iter().take(limit).copied().collect()
    }

    /// Records without a time-stamp.
    pub fn unstamped_count(&self) -> usize {
        self.unstamped.len()
    }

    /// Takes a record that cannot be read out of the queue for time-stamps.
    pub fn give_up_stamping(&mut self, id: u64) {
        self.unstamped.remove(&id);
    }

    /// Message records and time-stamp records.
    pub fn counts(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.timestamp_records)
    }

    /// Damaged places.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }
}
