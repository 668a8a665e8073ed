//! The search for the knee, apart from how its steps are made.

use crate::recorder::Figures;
use crate::scenario::Sweep;

/// Was this rate followed for the whole step? The second value counts messages without a right answer.
pub fn follows(sweep: &Sweep, figures: &Figures) -> (bool, u64) {
    let errors = figures.refused + figures.failed + figures.wrong;
    let follows = figures.achieved_per_second >= figures.due_per_second * sweep.achieved_min
        && figures.latency_ms.p99 <= sweep.p99_max_ms
        && errors == 0;
    (follows, errors)
}

/// The rate that was answered: what came late from the time before the step is none of it.
pub fn followed(figures: &Figures) -> f64 {
    figures.achieved_per_second.min(figures.due_per_second)
}

/// Which rate is tried next.
#[derive(Debug, Clone)]
pub struct Search {
    rate: f64,
    factor: f64,
    halvings_left: u32,
    good: f64,
    bad: f64,
    best: f64,
    repeated: bool,
    ended: bool,
}

impl Search {
    /// Begins at `from` messages per second.
    pub fn new(sweep: &Sweep, from: f64) -> Self {
        Self {
            rate: from,
            factor: sweep.factor,
            halvings_left: sweep.halvings,
            good: 0.0,
            bad: f64::INFINITY,
            best: 0.0,
            repeated: false,
            ended: false,
        }
    }

    /// The next rate; `None` when the knee is known as well as was asked for.
    pub fn next_rate(&self) -> Option<f64> {
        (!self.ended).then_some(self.rate)
    }

    /// The last rate could be followed or not, with so many answers per second. One that could not is tried once
    /// more: what another program did in those seconds must not end the search.
    pub fn tried(&mut self, follows: bool, achieved: f64) {
        self.repeated = !follows && !self.repeated;
        if self.repeated {
            return;
        }
        if follows {
            (self.good, self.best) = (self.rate, achieved);
        } else {
            self.bad = self.rate;
        }
        if self.bad.is_infinite() {
            self.rate *= self.factor;
        } else if self.halvings_left == 0 {
            self.ended = true;
        } else {
            self.halvings_left -= 1;
            self.rate = (self.good + self.bad) / 2.0;
        }
    }

    /// Answers per second at the highest rate that was good; 0 when none was.
    pub fn best(&self) -> f64 {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(limit: f64, from: f64) -> (f64, usize) {
        let mut search = Search::new(&Sweep { factor: 1.5, halvings: 4, ..Sweep::default() }, from);
        let mut steps = 0;
        while let Some(rate) = search.next_rate() {
            search.tried(rate <= limit, rate.min(limit));
            steps += 1;
        }
        (search.best(), steps)
    }

    #[test]
    fn the_knee_is_found_from_below_and_from_above() {
        let (best, steps) = search(3000.0, 500.0);
        assert!((2800.0..=3000.0).contains(&best), "{best}");
        assert!(steps < 18, "{steps}");
        let (best, _) = search(3000.0, 8000.0);
        assert!((2500.0..=3000.0).contains(&best), "{best}");
    }

    #[test]
    fn nothing_is_found_where_no_rate_can_be_followed() {
        assert_eq!(search(0.0, 500.0), (0.0, 10));
    }

    #[test]
    fn one_bad_step_does_not_end_the_search() {
        let mut search = Search::new(&Sweep { factor: 1.5, halvings: 0, ..Sweep::default() }, 1000.0);
        search.tried(false, 900.0);
        assert_eq!(search.next_rate(), Some(1000.0));
        search.tried(true, 1000.0);
        assert_eq!(search.next_rate(), Some(1500.0));
    }
}
