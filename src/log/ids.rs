//! Sets of record ids as ranges, since ids are given one after the other.

use std::collections::BTreeMap;

/// A set of ids. Takes memory for each gap, not for each id.
#[derive(Debug, Default, Clone)]
pub(super) struct IdSet {
    /// First and last id of each range.
    ranges: BTreeMap<u64, u64>,
    len: u64,
}

impl IdSet {
    /// Adds an id.
    pub fn insert(&mut self, id: u64) {
        if self.contains(id) {
            return;
        }
        self.len += 1;
        let after = id.checked_add(1).and_then(|next| self.ranges.remove(&next)).unwrap_or(id);
        match self.ranges.range_mut(..id).next_back() {
            Some((_, last)) if last.checked_add(1) == Some(id) => *last = after,
            _ => drop(self.ranges.insert(id, after)),
        }
    }

    /// Takes the ids from `first` to `last` out.
    pub fn remove(&mut self, first: u64, last: u64) {
        while let Some((&start, &end)) =
            self.ranges.range(..=last).next_back().filter(|(_, end)| **end >= first)
        {
            self.ranges.remove(&start);
            self.len -= end.min(last) - start.max(first) + 1;
            if start < first {
                self.ranges.insert(start, first - 1);
            }
            if end > last {
                self.ranges.insert(last + 1, end);
            }
        }
    }

    /// Whether an id is in the set.
    pub fn contains(&self, id: u64) -> bool {
        self.ranges.range(..=id).next_back().is_some_and(|(_, last)| *last >= id)
    }

    /// The ids in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.len
    }
}

/// Which time-stamp record of one segment covers a message record.
#[derive(Debug, Default, Clone)]
pub(super) struct Spans {
    /// By first id: last id and the offset of the time-stamp record's frame. They do not overlap.
    spans: BTreeMap<u64, (u64, u64)>,
}

impl Spans {
    /// Notes that the frame at `offset` covers these ids. What was covered before stays as it was.
    pub fn cover(&mut self, ids: impl Iterator<Item = u64>, offset: u64) {
        let mut open: Option<(u64, u64)> = None;
        for id in ids {
            if self.offset_of(id).is_some() {
                continue;
            }
            match &mut open {
                Some((_, last)) if last.checked_add(1) == Some(id) => *last = id,
                _ => {
                    if let Some((first, last)) = open.replace((id, id)) {
                        self.spans.insert(first, (last, offset));
                    }
                }
            }
        }
        if let Some((first, last)) = open {
            self.spans.insert(first, (last, offset));
        }
    }

    /// Offset of the time-stamp record that covers an id.
    pub fn offset_of(&self, id: u64) -> Option<u64> {
        let (_, (last, offset)) = self.spans.range(..=id).next_back()?;
        (*last >= id).then_some(*offset)
    }

    /// First id, last id, offset of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.spans.iter().map(|(first, (last, offset))| (*first, *last, *offset))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_of_ranges_is_a_set() {
        let mut set = IdSet::default();
        let mut plain = BTreeSet::new();
        let mut state = 7_u64;
        for _ in 0..3000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = (state >> 33) % 100;
            if state & 1 << 20 == 0 {
                set.insert(id);
                plain.insert(id);
            } else {
                let last = id + (state >> 40) % 9;
                set.remove(id, last);
                plain.retain(|other| !(id..=last).contains(other));
            }
            assert!(set.iter().eq(plain.iter().copied()));
            assert_eq!(set.len(), plain.len() as u64);
            assert_eq!(set.contains(id), plain.contains(&id));
        }
    }

    #[test]
    fn the_first_time_stamp_of_a_record_counts() {
        let mut spans = Spans::default();
        spans.cover([5].into_iter(), 100);
        spans.cover([1, 2, 3, 5, 6, 9].into_iter(), 200);
        assert_eq!(spans.offset_of(5), Some(100));
        assert_eq!([1, 3, 6, 9].map(|id| spans.offset_of(id)), [Some(200); 4]);
        assert_eq!([0, 4, 7, 10].map(|id| spans.offset_of(id)), [None; 4]);
        assert_eq!(spans.iter().count(), 4);
    }
}
