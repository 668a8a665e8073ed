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
}
