//! How far the own clock is from the time-stamping authority's, as its stamps show.

use std::sync::{Mutex, PoisonError};

use crate::time::UnixTime;

/// The last difference that was seen.
#[derive(Debug, Default)]
pub struct ClockDifference(Mutex<Option<(UnixTime, i64)>>);

impl ClockDifference {
    /// A stamp of the time `stamped` was asked for at `asked` and came at `came`, both by the own clock.
    pub fn note(&self, asked: UnixTime, came: UnixTime, stamped: UnixTime) {
        // An authority's time mostly has whole seconds: half of one is the best guess of the rest.
        let rest = if stamped.millis() % 1000 == 0 { 500 } else { 0 };
        let middle = asked.millis() + (came.millis() - asked.millis()) / 2;
        let difference = middle - stamped.millis() - rest;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((came, difference));
    }

    /// When it was seen, and the difference in milliseconds: positive when the own clock is ahead.
    pub fn last(&self) -> Option<(UnixTime, i64)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_request_counts() {
        let difference = ClockDifference::default();
        assert_eq!(difference.last(), None);
        let at = UnixTime::from_millis;
        difference.note(at(10_000), at(10_200), at(4_100));
        assert_eq!(difference.last(), Some((at(10_200), 6_000)));
        difference.note(at(10_400), at(10_600), at(10_000));
        assert_eq!(difference.last(), Some((at(10_600), 0)));
    }
}
