//! The countdowns of this server: gathered every second, told to the journal, read by metrics and status.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::metrics::Fetchers;
use crate::config::Config;
use crate::control::countdown::{
    Cause, Countdown, Distances, Growth, Notice, Watch, in_words, nearest, used_up_in,
};
use crate::exchange::Shared;
use crate::limits::CLOCK_DIFFERENCE_SECS_MAX;
use crate::signer::KeyPurpose;
use crate::time::UnixTime;
use crate::trust::TrustSnapshot;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The log's growth is taken over five minutes.
const DISK_WINDOW_SECS: i64 = 300;
/// The clock's drift over six hours of stamps.
const CLOCK_WINDOW_SECS: i64 = 21_600;
/// Below this the clock's difference is the network's, in seconds.
const CLOCK_NOISE_SECS: f64 = 2.0;

/// The present countdowns.
pub struct Countdowns {
    present: ArcSwap<Vec<Countdown>>,
    distances: Distances,
    growth: Mutex<(Growth, Growth)>,
}

impl Countdowns {
    /// Nothing is known yet.
    pub fn new(config: &Config) -> Self {
        let seconds =
            |list: &[u64]| list.iter().map(|secs| i64::try_from(*secs).unwrap_or(i64::MAX)).collect();
        let distances = Distances {
            quick: seconds(&config.countdown.warn_secs),
            slow: seconds(&config.countdown.certificate_warn_secs),
        };
        let growth = Mutex::new((Growth::over(DISK_WINDOW_SECS), Growth::over(CLOCK_WINDOW_SECS)));
        Self { present: ArcSwap::default(), distances, growth }
    }

    /// As they were a second ago at most.
    pub fn present(&self) -> Arc<Vec<Countdown>> {
        self.present.load_full()
    }

    /// What will stop messages first, in words; `None` while nothing is near.
    pub fn words(&self) -> Option<String> {
        let present = self.present.load();
        let countdown = nearest(&present, &self.distances)?;
        Some(match countdown.left_secs {
            Some(0) => format!("messages are refused: {}", countdown.cause.words()),
            left => format!(
                "messages stop in {}: {}",
                in_words(left.unwrap_or_default()),
                countdown.cause.words()
            ),
        })
    }

    /// The same for a status line that is written down at each change: to the minute at which messages stop.
    pub fn deadline(&self, now: UnixTime) -> Option<String> {
        let present = self.present.load();
        let countdown = nearest(&present, &self.distances)?;
        let left = countdown.left_secs.filter(|left| *left > 0)?;
        let (_, month, day, hour, minute, ..) = now.plus_secs(left).civil();
        let words = countdown.cause.words();
        Some(format!("messages stop at {hour:02}:{minute:02} UTC of {day}.{month}.: {words}"))
    }

    /// Looks once.
    pub(super) fn look(&self, shared: &Shared, fetchers: &Fetchers) {
        let (now, trust) = (shared.clock.now(), shared.trust.load_full());
        let mut growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        let present = vec![
            global_conf(&trust, fetchers, now),
            ocsp(shared, &trust, fetchers, now),
            timestamping(shared, now),
            certificate(shared, KeyPurpose::Authentication, now),
            certificate(shared, KeyPurpose::Signing, now),
            disk(shared, &mut growth.0, now),
            token(shared),
            clock(fetchers, &mut growth.1),
        ];
        self.present.store(Arc::new(present));
    }
}

/// Looks every second until the future is dropped, and tells the journal what is new.
pub(super) async fn keep(countdowns: Arc<Countdowns>, shared: Arc<Shared>, fetchers: Arc<Fetchers>) {
    let mut watch = Watch::default();
    loop {
        // The free space of a network's disk can take its time.
        let (now, with) = (Arc::clone(&countdowns), (Arc::clone(&shared), Arc::clone(&fetchers)));
        let _ = tokio::task::spawn_blocking(move || now.look(&with.0, &with.1)).await;
        let notices = watch.observe(&countdowns.present.load(), &countdowns.distances);
        notices.iter().for_each(tell);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn tell(notice: &Notice) {
    let (Notice::Started(of) | Notice::Nearer(of) | Notice::Stopped(of) | Notice::Recovered(of)) = notice;
    let (cause, left_secs, detail) = (of.cause.name(), of.left_secs.unwrap_or(-1), of.detail.as_str());
    let words = of.cause.words();
    let left = in_words(left_secs);
    match notice {
        Notice::Started(_) | Notice::Nearer(_) => {
            tracing::warn!(cause, left_secs, detail, "messages will be refused in {left}: {words}");
        }
        Notice::Stopped(_) => tracing::error!(cause, left_secs, detail, "messages are refused: {words}"),
        Notice::Recovered(_) => tracing::info!(cause, left_secs, "no danger any more: {words}"),
    }
}

fn global_conf(trust: &TrustSnapshot, fetchers: &Fetchers, now: UnixTime) -> Countdown {
    let left = trust.global_conf.expires().map_or(0, |until| (until.secs() - now.secs()).max(0));
    let failure = fetchers.global_conf.failure();
    Countdown {
        cause: Cause::GlobalConf,
        left_secs: Some(left),
        running: failure.is_some() || left == 0,
        detail: failure.unwrap_or_default(),
    }
}

fn ocsp(shared: &Shared, trust: &TrustSnapshot, fetchers: &Fetchers, now: UnixTime) -> Countdown {
    let keys = shared.signer.keys();
    let usable = keys.iter().flat_map(|key| &key.certificates).filter(|found| found.active).map(|found| {
        let answer = trust.ocsp.get(&found.certificate);
        answer.map_or(0, |answer| answer.usable_until(&trust.global_conf).secs() - now.secs())
    });
    let failure = fetchers.ocsp.failure();
    let left = usable.min().unwrap_or(0).max(0);
    Countdown {
        cause: Cause::Ocsp,
        left_secs: Some(left),
        running: failure.is_some() || left == 0,
        detail: failure.unwrap_or_default(),
    }
}

fn timestamping(shared: &Shared, now: UnixTime) -> Countdown {
    let status = shared.log.timestamp_status();
    let (since, left) = (status.failing_since(), status.refusal_in_secs(now));
    let refused = status.check(now).err();
    Countdown {
        cause: Cause::Timestamping,
        left_secs: if refused.is_some() { Some(0) } else { left },
        running: since.is_some() || refused.is_some(),
        detail: match (refused, since) {
            (Some(error), _) => error.text().to_owned(),
            (None, Some(since)) => {
                format!("failing since {since}, {} records wait", shared.log.reader().unstamped_count())
            }
            (None, None) => String::new(),
        },
    }
}

// The certificate that lasts longest, of those that may be used.
fn certificate(shared: &Shared, purpose: KeyPurpose, now: UnixTime) -> Countdown {
    let keys = shared.signer.keys();
    let of_purpose = keys.iter().filter(|key| key.purpose == Some(purpose)).flat_map(|key| &key.certificates);
    let usable = of_purpose.filter(|found| found.active);
    let longest = usable.max_by_key(|found| found.certificate.not_after());
    let until = longest.map(|found| found.certificate.not_after());
    Countdown {
        cause: match purpose {
            KeyPurpose::Authentication => Cause::AuthenticationCertificate,
            KeyPurpose::Signing => Cause::SigningCertificate,
        },
        left_secs: Some(until.map_or(0, |until| (until.secs() - now.secs()).max(0))),
        running: true,
        detail: match longest {
            Some(found) => format!(
                "{} until {}",
                found.certificate.subject().for_people(),
                found.certificate.not_after()
            ),
            None => "there is none".into(),
        },
    }
}

// By what the log has written: what others write to the same disk shows in what is free.
fn disk(shared: &Shared, growth: &mut Growth, now: UnixTime) -> Countdown {
    let Ok(found) = rustix::fs::statvfs(&shared.config.log.dir) else {
        return Countdown { cause: Cause::Disk, left_secs: None, running: false, detail: "unknown".into() };
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize) as f64;
    // The log's own bytes, so that rotation elsewhere on the disk does not look like growth of the log.
    growth.add(now, shared.log.statistics().bytes as f64);
    let per_sec = growth.per_sec();
    Countdown {
        cause: Cause::Disk,
        left_secs: used_up_in(free, per_sec),
        running: per_sec > 0.0,
        detail: format!("{:.1} GiB free, {:.0} bytes a second", free / (1_u64 << 30) as f64, per_sec),
    }
}

fn token(shared: &Shared) -> Countdown {
    let figures = shared.signer.statistics();
    let failing = figures.failing_in_a_row;
    let keys = shared.signer.keys();
    let none = !keys.iter().any(|key| key.purpose == Some(KeyPurpose::Signing));
    let stopped = none || failing > 0;
    Countdown {
        cause: Cause::Token,
        left_secs: stopped.then_some(0),
        running: stopped,
        detail: match (none, failing) {
            (true, _) => "it has no signing key".into(),
            (false, 0) => String::new(),
            (false, failing) => format!("{failing} signatures in a row have failed"),
        },
    }
}

// The difference is told with the sign of the own clock: positive when it is ahead.
fn clock(fetchers: &Fetchers, growth: &mut Growth) -> Countdown {
    let Some((at, difference_ms)) = fetchers.clock.last() else {
        return Countdown {
            cause: Cause::Clock,
            left_secs: None,
            running: false,
            detail: "no stamp yet".into(),
        };
    };
    let apart = difference_ms.abs() as f64 / 1000.0;
    growth.add(at, apart);
    let (per_sec, largest) = (growth.per_sec(), CLOCK_DIFFERENCE_SECS_MAX as f64);
    let drifts = apart > CLOCK_NOISE_SECS && per_sec > 0.0;
    let left =
        if apart >= largest { Some(0) } else { used_up_in(largest - apart, per_sec).filter(|_| drifts) };
    Countdown {
        cause: Cause::Clock,
        left_secs: left,
        running: left.is_some(),
        detail: format!("{:+.3} s from the authority's", difference_ms as f64 / 1000.0),
    }
}
