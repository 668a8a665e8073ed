//! When messages are meant to be sent. Nothing here waits for answers: a slow server gets its next message all the same,
//! and the time that the message waited counts.

use std::time::Duration;

use serde::Deserialize;

use crate::seed::Seed;

/// The pattern of a phase's arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// At equal distances.
    Constant,
    /// Independent of each other, as many users are.
    #[default]
    Poisson,
    /// No schedule: a number of callers, each of which sends when it has its answer.
    Callers,
}

/// A schedule from the rate at its start to that at its end, in messages per second.
#[derive(Debug, Clone)]
pub struct Schedule {
    pattern: Pattern,
    from: f64,
    to: f64,
    length: f64,
    seed: Seed,
    // Expected number of messages until the present one.
    expected: f64,
}

impl Schedule {
    /// A ramp from one rate to the other, or the same rate all the time.
    pub fn new(pattern: Pattern, from: f64, to: f64, length: Duration, seed: Seed) -> Self {
        Self { pattern, from, to, length: length.as_secs_f64(), seed, expected: 0.0 }
    }

    // The time at which the expected number of messages is `count`: from * t + (to - from) * t² / (2 * length).
    fn time_of(&self, count: f64) -> f64 {
        let bend = (self.to - self.from) / (2.0 * self.length);
        if bend.abs() < 1e-9 {
            return count / self.from;
        }
        let root = (self.from * self.from + 4.0 * bend * count).max(0.0).sqrt();
        (root - self.from) / (2.0 * bend)
    }

    fn total(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.length
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.expected += match self.pattern {
            Pattern::Constant => 1.0,
            _ => -(1.0 - self.seed.unit()).ln(),
        };
        if self.expected > self.total() || !self.total().is_finite() {
            return None;
        }
        Some(Duration::from_secs_f64(self.time_of(self.expected).clamp(0.0, self.length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(pattern: Pattern, from: f64, to: f64) -> Vec<Duration> {
        Schedule::new(pattern, from, to, Duration::from_secs(10), Seed::new(3)).collect()
    }

    #[test]
    fn constant_arrivals_are_equally_far_apart() {
        let times = schedule(Pattern::Constant, 100.0, 100.0);
        assert_eq!(times.len(), 1000);
        assert_eq!(times[9], Duration::from_millis(100));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_are_uneven() {
        let times = schedule(Pattern::Poisson, 100.0, 100.0);
        assert!((900..1100).contains(&times.len()));
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The deviation of exponential gaps is their mean.
        assert!((0.8..1.2).contains(&(variance.sqrt() / mean)));
    }

    #[test]
    fn a_ramp_sends_most_at_its_end() {
        let times = schedule(Pattern::Constant, 1.0, 199.0);
        assert!((990..=1000).contains(&times.len()));
        let first_half = times.iter().filter(|time| time.as_secs() < 5).count();
        assert!((230..270).contains(&first_half), "{first_half}");
        assert!(times.is_sorted());
    }
}
