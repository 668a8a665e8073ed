//! What is known of a whole log: its complete segments by their indexes, the others in memory, and which records wait
//! for a time-stamp.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::ids::IdSet;
use super::live::Live;
use super::record::Damage;
use super::sealed::{Row, Sealed};

/// A message record: its segment and its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub segment: u32,
    pub row: Row,
}

/// All segments by number.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    sealed: BTreeMap<u32, Arc<Sealed>>,
    live: BTreeMap<u32, Live>,
    unstamped: IdSet,
    damages: Vec<Damage>,
}

impl Catalog {
    /// Adds a complete segment in place of what was kept in memory of it. That is given back: freeing so much while others
    /// wait for the catalog would make them wait long.
    pub fn add_sealed(&mut self, sealed: Sealed) -> Option<Live> {
        let live = self.live.remove(&sealed.head.number);
        self.sealed.insert(sealed.head.number, Arc::new(sealed));
        live
    }

    /// Takes a complete segment out.
    pub fn forget(&mut self, number: u32) {
        self.sealed.remove(&number);
        self.damages.retain(|damage| damage.segment != number);
    }

    /// Adds a segment that is not complete.
    pub fn add_live(&mut self, live: Live) {
        self.live.insert(live.number, live);
    }

    /// The segment of this number and tag, which is begun when there is none.
    pub fn live(&mut self, number: u32, tag: u64) -> &mut Live {
        self.live.entry(number).or_insert_with(|| Live::new(number, tag))
    }

    /// Adds message records that wait for a time-stamp.
    pub fn wait(&mut self, id: u64) {
        self.unstamped.insert(id);
    }

    /// Message records from `first` to `last` wait no longer.
    pub fn done(&mut self, first: u64, last: u64) {
        self.unstamped.remove(first, last);
    }

    /// Works out, from the indexes and what is in memory, which records wait for a time-stamp. An error comes with
    /// the number of the segment whose index cannot be read.
    pub fn find_unstamped(&mut self) -> Result<(), (u32, io::Error)> {
        let mut unstamped = IdSet::default();
        let done_below = self.sealed.values().map(|sealed| sealed.head.done_below).max().unwrap_or(0);
        for (number, sealed) in &self.sealed {
            if sealed.head.last_message_id >= done_below {
                let add = |row: &Row| {
                    if row.id >= done_below {
                        unstamped.insert(row.id);
                    }
                };
                sealed.each_row(add).map_err(|error| (*number, error))?;
            }
        }
        for live in self.live.values() {
            live.rows_from(done_below, usize::MAX).iter().for_each(|row| unstamped.insert(row.id));
        }
        for (number, sealed) in &self.sealed {
            if sealed.head.stamped_last >= done_below {
                let remove = |first, last| unstamped.remove(first, last);
                sealed.each_span(remove).map_err(|error| (*number, error))?;
            }
        }
        for live in self.live.values() {
            live.spans().for_each(|(first, last)| unstamped.remove(first, last));
        }
        self.unstamped = unstamped;
        Ok(())
    }

    /// No record before this id waits for a time-stamp, when all up to `last_id` are known.
    pub fn done_below(&self, last_id: u64) -> u64 {
        self.unstamped.iter().next().unwrap_or(u64::MAX).min(last_id.saturating_add(1))
    }

    /// Records that wait for a time-stamp.
    pub fn unstamped(&self) -> &IdSet {
        &self.unstamped
    }

    /// The complete segments from a number on.
    pub fn sealed_from(&self, number: u32) -> Vec<Arc<Sealed>> {
        self.sealed.range(number..).map(|(_, sealed)| Arc::clone(sealed)).collect()
    }

    /// The complete segment that may hold the record `id`, or the first behind it.
    pub fn sealed_at(&self, id: u64) -> Option<Arc<Sealed>> {
        // Their ids ascend with their numbers.
        self.sealed.values().find(|sealed| sealed.head.last_message_id >= id).map(Arc::clone)
    }

    /// The segments in memory.
    pub fn lives(&self) -> impl Iterator<Item = &Live> {
        self.live.values()
    }

    /// Notes a damaged place.
    pub fn add_damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }

    /// Damaged places.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// The largest id of a message record; 0 when there is none.
    pub fn last_id(&self) -> u64 {
        let sealed = self.sealed.values().map(|sealed| sealed.head.last_message_id);
        sealed.chain(self.live.values().filter_map(Live::last_id)).max().unwrap_or(0)
    }

    /// Message records and time-stamp records.
    pub fn counts(&self) -> (u64, u64) {
        let sealed =
            self.sealed.values().map(|sealed| (sealed.head.messages(), sealed.head.timestamp_records));
        let live = self.live.values().map(|live| (live.messages(), live.timestamp_records));
        sealed.chain(live).fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1))
    }

    /// Bytes that the indexes of complete segments take in memory.
    pub fn sealed_memory(&self) -> usize {
        self.sealed.values().map(|sealed| sealed.memory()).sum()
    }
}
