//! What whoever follows the log asks of it.

use super::LogError;
use super::reader::LogReader;

impl LogReader {
    /// Ids of message records from `from` on, in order, at most `limit`.
    ///
    /// # Errors
    /// When an index cannot be read or made again.
    pub fn ids_from(&self, from: u64, limit: usize) -> Result<Vec<u64>, LogError> {
        let (mut ids, mut next) = (Vec::new(), Some(from));
        while let Some(at) = next.filter(|_| ids.len() < limit) {
            let places = self.places_from(at)?;
            next = places.last().and_then(|place| place.row.id.checked_add(1));
            ids.extend(places.iter().map(|place| place.row.id));
        }
        ids.truncate(limit);
        Ok(ids)
    }

    /// Message records from `from` on, and the time of the first of them, ms since 1970.
    ///
    /// # Errors
    /// When an index cannot be read or made again.
    pub fn behind(&self, from: u64) -> Result<(u64, Option<i64>), LogError> {
        let first = self.places_from(from)?.first().map(|place| place.row.time_ms);
        let (sealed, live) = self.with_catalog(|catalog| {
            let live: u64 = catalog.lives().map(|live| live.messages_from(from)).sum();
            (catalog.sealed_from(0), live)
        });
        let mut count = live;
        for sealed in sealed.iter().filter(|sealed| sealed.head.last_message_id >= from) {
            count += self.sealed(sealed, |sealed| sealed.messages_from(from))?;
        }
        Ok((count, first))
    }
}
