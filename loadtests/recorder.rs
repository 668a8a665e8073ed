//! What came of each message, and the latencies of a phase.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::streaming::Meters;

const LATENCY_MAX_US: u64 = 600_000_000;
/// Sent later than this after it was meant to be: the generator or `in_flight_max` was in the way.
pub const LATE: Duration = Duration::from_millis(5);
/// Length of one point of a plot.
pub const SLICE: Duration = Duration::from_millis(500);
const REASONS_MAX: usize = 12;

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The right answer.
    Right,
    /// A clear error of a server.
    Refused,
    /// No answer.
    Failed,
    /// An answer to something else.
    Wrong,
}

/// Every message of a run, by its number.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Class of sizes, outcome, check value of the answer.
    messages: Vec<(u8, Outcome, u32)>,
}

impl Outcomes {
    /// A message is on its way; gives its number.
    pub fn begin(&mut self, class: u8) -> u32 {
        self.messages.push((class, Outcome::Failed, 0));
        (self.messages.len() - 1) as u32
    }

    /// Its end.
    pub fn end(&mut self, index: u32, outcome: Outcome, check: u32) {
        if let Some(message) = self.messages.get_mut(index as usize) {
            (message.1, message.2) = (outcome, check);
        }
    }

    /// Class, outcome and check value of a message.
    pub fn get(&self, index: u32) -> Option<(u8, Outcome, u32)> {
        self.messages.get(index as usize).copied()
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Messages with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.messages.iter().filter(|message| message.1 == outcome).count()
    }

    /// Numbers of the messages that were answered rightly.
    pub fn right(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.messages).filter(|(_, message)| message.1 == Outcome::Right).map(|(index, _)| index)
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

/// One point of a plot.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Slice {
    /// Seconds since the phase began.
    pub at: f64,
    /// Right answers per second.
    pub per_second: f64,
    /// Messages without one, per second.
    pub errors_per_second: f64,
    /// Median in ms.
    pub p50: f64,
    /// 99th percentile in ms.
    pub p99: f64,
}

/// Records a phase.
pub struct Recorder {
    settle: Duration,
    length: Duration,
    all: Histogram<u64>,
    classes: Vec<Histogram<u64>>,
    slice: Histogram<u64>,
    slice_errors: u64,
    slice_number: u64,
    slices: Vec<Slice>,
    sent: u64,
    late: u64,
    right: u64,
    refused: u64,
    failed: u64,
    wrong: u64,
    reasons: BTreeMap<String, u64>,
    due_in_time: u64,
    right_in_time: u64,
}

fn histogram() -> Histogram<u64> {
    // Bounds and digits are within what the library accepts, so the fallback is never taken.
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).unwrap_or_else(|_| Histogram::new(3).expect("3 digits"))
}

impl Recorder {
    /// A recorder for a phase of this length, with so many classes of sizes. What was due before the end of `settle`
    /// counts, but neither for rates nor for latencies.
    pub fn new(settle: Duration, length: Duration, classes: usize) -> Self {
        Self {
            settle,
            length,
            all: histogram(),
            classes: (0..classes).map(|_| histogram()).collect(),
            slice: histogram(),
            slice_errors: 0,
            slice_number: 0,
            slices: Vec::new(),
            sent: 0,
            late: 0,
            right: 0,
            refused: 0,
            failed: 0,
            wrong: 0,
            reasons: BTreeMap::new(),
            due_in_time: 0,
            right_in_time: 0,
        }
    }

    /// A message was sent that was due so long after the phase began, so long after that.
    pub fn sent(&mut self, due: Duration, lag: Duration) {
        self.sent += 1;
        self.due_in_time += u64::from(due >= self.settle);
        self.late += u64::from(lag > LATE);
    }

    /// A message has ended, `at` after the phase began, `took` after it was meant to be sent.
    pub fn ended(&mut self, at: Duration, class: u8, outcome: Outcome, took: Duration, reason: &str) {
        self.turn_slice(at);
        if outcome != Outcome::Right {
            self.slice_errors += 1;
            *match outcome {
                Outcome::Refused => &mut self.refused,
                Outcome::Wrong => &mut self.wrong,
                _ => &mut self.failed,
            } += 1;
            if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(reason) {
                *self.reasons.entry(reason.to_owned()).or_default() += 1;
            }
            return;
        }
        self.right += 1;
        self.right_in_time += u64::from(at > self.settle && at <= self.length);
        let us = took.as_micros() as u64;
        self.slice.saturating_record(us);
        if at.saturating_sub(took) < self.settle {
            return;
        }
        for histogram in [Some(&mut self.all), self.classes.get_mut(usize::from(class))] {
            histogram.into_iter().for_each(|histogram| histogram.saturating_record(us));
        }
    }

    fn turn_slice(&mut self, at: Duration) {
        let number = (at.as_micros() / SLICE.as_micros()) as u64;
        while self.slice_number < number {
            let seconds = SLICE.as_secs_f64();
            self.slices.push(Slice {
                at: self.slice_number as f64 * seconds,
                per_second: self.slice.len() as f64 / seconds,
                errors_per_second: self.slice_errors as f64 / seconds,
                p50: milliseconds(self.slice.value_at_quantile(0.5)),
                p99: milliseconds(self.slice.value_at_quantile(0.99)),
            });
            self.slice.reset();
            self.slice_errors = 0;
            self.slice_number += 1;
        }
    }

    /// The figures, when all messages of the phase have ended.
    pub fn finish(mut self, elapsed: Duration) -> Figures {
        self.turn_slice(elapsed + SLICE);
        let quantiles = (0..=200).map(|step| {
            // Evenly on the scale of nines: 0 %, …, 90 %, 99 %, 99.9 %, 99.99 %.
            let quantile = 1.0 - 10_f64.powf(-f64::from(step) / 50.0);
            (quantile, milliseconds(self.all.value_at_quantile(quantile)))
        });
        let per_second = |messages: u64| {
            messages as f64 / (self.length.min(elapsed).saturating_sub(self.settle)).as_secs_f64().max(1e-9)
        };
        Figures {
            sent: self.sent,
            late: self.late,
            right: self.right,
            refused: self.refused,
            failed: self.failed,
            wrong: self.wrong,
            due_per_second: per_second(self.due_in_time),
            achieved_per_second: per_second(self.right_in_time),
            latency_ms: latency(&self.all),
            by_class: self.classes.iter().map(latency).collect(),
            quantiles: quantiles.collect(),
            slices: self.slices,
            reasons: self.reasons,
        }
    }
}

/// Figures of a phase.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Messages sent.
    pub sent: u64,
    /// Those sent more than 5 ms after they were meant to be.
    pub late: u64,
    /// Right answers.
    pub right: u64,
    /// Clear errors.
    pub refused: u64,
    /// No answers.
    pub failed: u64,
    /// Wrong answers.
    pub wrong: u64,
    /// Messages that were due, and sent, per second.
    #[serde(skip)]
    pub due_per_second: f64,
    /// Right answers per second, within the phase.
    pub achieved_per_second: f64,
    /// From the intended time of sending to the last byte of right answers.
    pub latency_ms: Latency,
    /// The same for each class of sizes.
    pub by_class: Vec<Latency>,
    /// Quantile and milliseconds.
    #[serde(skip)]
    pub quantiles: Vec<(f64, f64)>,
    /// Over time.
    pub slices: Vec<Slice>,
    /// Why messages had no right answer.
    pub reasons: BTreeMap<String, u64>,
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
    Latency {
        count: histogram.len(),
        mean: (histogram.mean() / 10.0).round() / 100.0,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: milliseconds(histogram.max()),
    }
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// What the live view shows.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Live {
    pub sent: AtomicU64,
    pub right: AtomicU64,
    pub errors: AtomicU64,
    /// How fast large bodies went and came.
    pub meters: Meters,
}

impl Live {
    /// Sent, right, errors.
    pub fn read(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.sent), read(&self.right), read(&self.errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_count_from_the_intended_time_and_errors_have_none() {
        let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(1), 1);
        for step in 1..=100 {
            let at = Duration::from_millis(step * 10);
            recorder.sent(at, Duration::from_millis(step % 10));
            recorder.ended(at, 0, Outcome::Right, Duration::from_millis(step), "");
        }
        recorder.ended(Duration::from_secs(2), 0, Outcome::Failed, Duration::from_secs(1), "no answer");
        let figures = recorder.finish(Duration::from_secs(2));
        assert_eq!((figures.right, figures.failed, figures.late), (100, 1, 40));
        assert!((49.0..52.0).contains(&figures.latency_ms.p50), "{:?}", figures.latency_ms);
        assert_eq!((figures.due_per_second, figures.achieved_per_second), (100.0, 100.0));
        assert_eq!(figures.slices.first().unwrap().per_second, 98.0);
    }

    #[test]
    fn what_was_due_while_it_settled_counts_for_no_rate_and_no_latency() {
        let mut recorder = Recorder::new(Duration::from_secs(1), Duration::from_secs(3), 1);
        // Ten a second: for a second each takes one, afterwards a tenth of one.
        for step in 0..30 {
            let due = Duration::from_millis(step * 100);
            let took = Duration::from_millis(if step < 10 { 1000 } else { 100 });
            recorder.sent(due, Duration::ZERO);
            recorder.ended(due + took, 0, Outcome::Right, took, "");
        }
        let figures = recorder.finish(Duration::from_secs(3));
        assert_eq!((figures.sent, figures.right, figures.latency_ms.count), (30, 30, 20));
        assert!(figures.latency_ms.max < 101.0, "{:?}", figures.latency_ms);
        assert_eq!(figures.due_per_second, 10.0);
        // Those of the first second came in the second one, too.
        assert_eq!(figures.achieved_per_second, 14.5);
    }
}
