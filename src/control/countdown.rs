//! Countdowns: for each thing that would stop messages, how long it still takes at the present rate.
//!
//! Pure: times and figures come from outside. [`Watch`] remembers what was said, so that each distance is told once.

use std::collections::VecDeque;

use crate::time::UnixTime;

/// What would stop messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The global configuration expires.
    GlobalConf,
    /// OCSP answers about own certificates get too old.
    Ocsp,
    /// Time-stamping fails for too long.
    Timestamping,
    /// The authentication certificate ends.
    AuthenticationCertificate,
    /// The last signing certificate of the owner ends.
    SigningCertificate,
    /// The disk of the message log fills up.
    Disk,
    /// The token does not sign.
    Token,
    /// The clock drifts from the time-stamping authority's.
    Clock,
}

impl Cause {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::GlobalConf,
        Self::Ocsp,
        Self::Timestamping,
        Self::AuthenticationCertificate,
        Self::SigningCertificate,
        Self::Disk,
        Self::Token,
        Self::Clock,
    ];

    /// In metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GlobalConf => "global_conf",
            Self::Ocsp => "ocsp",
            Self::Timestamping => "timestamping",
            Self::AuthenticationCertificate => "authentication_certificate",
            Self::SigningCertificate => "signing_certificate",
            Self::Disk => "disk",
            Self::Token => "token",
            Self::Clock => "clock",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::GlobalConf => "global configuration expires",
            Self::Ocsp => "OCSP answers get too old",
            Self::Timestamping => "time-stamping fails",
            Self::AuthenticationCertificate => "authentication certificate ends",
            Self::SigningCertificate => "signing certificate ends",
            Self::Disk => "disk of the message log is full",
            Self::Token => "token does not sign",
            Self::Clock => "clock is too far from the time-stamping authority's",
        }
    }

    /// Whether it is announced by the distances for certificates, which are days.
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::AuthenticationCertificate | Self::SigningCertificate)
    }
}

/// One of them, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Countdown {
    /// What it is about.
    pub cause: Cause,
    /// Seconds until messages stop, from 0; `None` when they do not at the present rate.
    pub left_secs: Option<i64>,
    /// Nothing moves it away at present: its source does not answer, the disk fills, the clock drifts, time passes.
    pub running: bool,
    /// What is known of it: a line of text, perhaps empty.
    pub detail: String,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// It has begun to run.
    Started(Countdown),
    /// It has come nearer than a distance.
    Nearer(Countdown),
    /// Messages are refused now.
    Stopped(Countdown),
    /// It does not run any more, or is far away again.
    Recovered(Countdown),
}

/// Distances at which is warned, in seconds, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distances {
    /// Of everything but certificates.
    pub quick: Vec<i64>,
    /// Of certificates.
    pub slow: Vec<i64>,
}

/// What has been said of each countdown.
#[derive(Debug, Default)]
pub struct Watch {
    told: Vec<(Cause, Told)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Running,
    Below(i64),
}

impl Watch {
    /// Looks at the present state and gives what has not been said yet.
    pub fn observe(&mut self, present: &[Countdown], distances: &Distances) -> Vec<Notice> {
        present.iter().filter_map(|countdown| self.one(countdown, distances)).collect()
    }

    fn one(&mut self, countdown: &Countdown, distances: &Distances) -> Option<Notice> {
        let cause = countdown.cause;
        let before = self.told.iter().find(|(of, _)| *of == cause).map(|(_, told)| *told);
        let now = state(countdown, if cause.is_slow() { &distances.slow } else { &distances.quick });
        if before == now {
            return None;
        }
        self.told.retain(|(of, _)| *of != cause);
        self.told.extend(now.map(|told| (cause, told)));
        let countdown = countdown.clone();
        match (before, now) {
            (Some(_), None) => Some(Notice::Recovered(countdown)),
            (_, Some(Told::Below(0))) => Some(Notice::Stopped(countdown)),
            (None, Some(Told::Running)) => Some(Notice::Started(countdown)),
            (Some(Told::Below(far)), Some(Told::Below(near))) if near > far => None,
            (Some(Told::Below(_)), Some(Told::Running)) => None,
            (_, Some(Told::Below(_))) => Some(Notice::Nearer(countdown)),
            (Some(Told::Running), Some(Told::Running)) | (None, None) => None,
        }
    }
}

// Certificates, disk and clock always run: they are spoken of from the first distance on.
fn state(countdown: &Countdown, distances: &[i64]) -> Option<Told> {
    let left = countdown.left_secs?;
    if left <= 0 {
        return Some(Told::Below(0));
    }
    if !countdown.running {
        return None;
    }
    let below = distances.iter().copied().filter(|distance| left <= *distance).min();
    let by_failure = matches!(countdown.cause, Cause::GlobalConf | Cause::Ocsp | Cause::Timestamping);
    below.map(Told::Below).or(by_failure.then_some(Told::Running))
}

/// How fast a figure grows, over the last minutes.
#[derive(Debug)]
pub struct Growth {
    window_secs: i64,
    points: VecDeque<(UnixTime, f64)>,
}

impl Growth {
    /// Over so many seconds.
    pub fn over(window_secs: i64) -> Self {
        Self { window_secs, points: VecDeque::new() }
    }

    /// Adds the figure of this time.
    pub fn add(&mut self, at: UnixTime, figure: f64) {
        // A clock that was set back begins anew.
        if self.points.back().is_some_and(|(last, _)| *last > at) {
            self.points.clear();
        }
        self.points.push_back((at, figure));
        while self.points.len() > 2
            && self.points.front().is_some_and(|(first, _)| first.plus_secs(self.window_secs) < at)
        {
            self.points.pop_front();
        }
    }

    /// By how much it grows in a second; 0 as long as nothing is known.
    pub fn per_sec(&self) -> f64 {
        let (Some((first, before)), Some((last, after))) = (self.points.front(), self.points.back()) else {
            return 0.0;
        };
        let secs = (last.millis() - first.millis()) as f64 / 1000.0;
        if secs < 1.0 { 0.0 } else { (after - before) / secs }
    }
}

/// Seconds until `left` is used up by `per_sec`; `None` when it does not get less, or only in a hundred years.
pub fn used_up_in(left: f64, per_sec: f64) -> Option<i64> {
    if left <= 0.0 {
        return Some(0);
    }
    let secs = left / per_sec;
    (per_sec > 0.0 && secs < 3.2e9).then_some(secs as i64)
}

/// A span of time for people: its two largest units.
pub fn in_words(secs: i64) -> String {
    let secs = secs.max(0);
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", secs % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) if days < 30 => format!("{days} d {hours} h"),
        (days, ..) => format!("{days} d"),
    }
}

/// The countdown that ends first of those that run and are near enough to be warned of, if any.
pub fn nearest<'c>(present: &'c [Countdown], distances: &Distances) -> Option<&'c Countdown> {
    let spoken_of = |countdown: &&Countdown| {
        let of_it = if countdown.cause.is_slow() { &distances.slow } else { &distances.quick };
        state(countdown, of_it).is_some()
    };
    present.iter().filter(spoken_of).min_by_key(|countdown| countdown.left_secs.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distances() -> Distances {
        Distances { quick: vec![300, 60], slow: vec![864_000] }
    }

    fn at(cause: Cause, left: i64, running: bool) -> Vec<Countdown> {
        vec![Countdown { cause, left_secs: Some(left), running, detail: String::new() }]
    }

    fn kinds(cause: Cause, course: &[(i64, bool)]) -> String {
        let mut watch = Watch::default();
        let mut told = String::new();
        for (left, running) in course {
            told.push(match watch.observe(&at(cause, *left, *running), &distances()).as_slice() {
                [] => '.',
                [Notice::Started(_)] => 's',
                [Notice::Nearer(_)] => 'n',
                [Notice::Stopped(_)] => '0',
                [Notice::Recovered(_)] => 'r',
                _ => '?',
            });
        }
        told
    }

    #[test]
    fn each_distance_is_told_once_and_the_recovery_too() {
        let course = [
            (600, false),
            (500, true),
            (400, true),
            (300, true),
            (200, true),
            (60, true),
            (59, true),
            (0, true),
            (0, true),
            (600, false),
            (600, false),
        ];
        assert_eq!(kinds(Cause::Ocsp, &course), ".s.n.n.0.r.");
        // What is renewed again and again is never spoken of.
        assert_eq!(kinds(Cause::GlobalConf, &[(600, false), (50, false), (600, false)]), "...");
        // Time always runs: a certificate is spoken of from the first distance on.
        assert_eq!(kinds(Cause::SigningCertificate, &[(9_000_000, true), (864_000, true), (1, true)]), ".n.");
        assert_eq!(kinds(Cause::Disk, &[(9_000, true), (299, true), (400, true), (200, true)]), ".nrn");
        assert_eq!(kinds(Cause::Token, &[(0, true), (0, true)]), "0.");
    }

    #[test]
    fn growth_is_taken_over_its_window() {
        let mut growth = Growth::over(10);
        assert_eq!(growth.per_sec(), 0.0);
        for second in 0..100 {
            let figure = if second < 50 { 0.0 } else { f64::from(second - 50) * 4.0 };
            growth.add(UnixTime::from_secs(i64::from(second)), figure);
        }
        assert_eq!(growth.per_sec(), 4.0);
        growth.add(UnixTime::from_secs(0), 0.0);
        assert_eq!(growth.per_sec(), 0.0);
        assert_eq!(used_up_in(100.0, 4.0), Some(25));
        assert_eq!(used_up_in(100.0, 0.0), None);
        assert_eq!(used_up_in(-1.0, 0.0), Some(0));
    }

    #[test]
    fn spans_are_told_by_their_two_largest_units() {
        let spans = [5, 65, 3_700, 90_000, 8_640_000].map(in_words);
        assert_eq!(spans, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h", "100 d"]);
    }

    #[test]
    fn the_nearest_is_the_first_to_stop_messages_of_those_that_are_spoken_of() {
        let mut all = at(Cause::Ocsp, 200, true);
        all.extend(at(Cause::GlobalConf, 100, false));
        all.extend(at(Cause::Timestamping, 250, true));
        assert_eq!(nearest(&all, &distances()).map(|one| one.cause), Some(Cause::Ocsp));
        assert_eq!(nearest(&all[1..2], &distances()), None);
    }
}
