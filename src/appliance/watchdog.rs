//! Tells the service manager that all is well as long as every worker gets on, and not by a timer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::host::Notifier;
use crate::worker::Pulse;

/// Signs of life in the time that the service manager grants.
const BEATS: u32 = 8;
/// Looks at them in that time.
const LOOKS: u32 = 4;
/// No more than so many wake-ups of an idle worker.
const BEAT_MAX: Duration = Duration::from_secs(1);

/// Time between two signs of life that is short enough for a watchdog's interval.
pub fn beat(interval: Option<Duration>) -> Duration {
    interval.map_or(BEAT_MAX, |interval| (interval / BEATS).min(BEAT_MAX))
}

/// Feeds the watchdog until it is dropped.
pub struct Watchdog {
    _stop: Sender<()>,
}

impl Watchdog {
    /// Watches the workers and the control plane. Where nobody wants to hear of them nothing is started.
    pub fn start(
        notifier: Arc<Notifier>,
        interval: Option<Duration>,
        pulse: Pulse,
        control: &tokio::runtime::Handle,
    ) -> Option<Self> {
        let interval = interval.filter(|_| notifier.is_heard())?;
        notifier.watchdog_within(interval);
        let plane = Arc::new(AtomicU64::new(0));
        let counted = Arc::downgrade(&plane);
        control.spawn(async move {
            while let Some(counted) = counted.upgrade() {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(counted);
                tokio::time::sleep(beat(Some(interval))).await;
            }
        });
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let read = || {
                let mut all = pulse.read();
                all.push(plane.load(Ordering::Relaxed));
                all
            };
            let mut seen = read();
            let mut quiet = false;
            while stopped.recv_timeout(interval / LOOKS) == Err(RecvTimeoutError::Timeout) {
                let now = read();
                match hanging(&seen, &now) {
                    None => {
                        notifier.watchdog();
                        seen = now;
                        quiet = false;
                    }
                    Some(place) if !quiet => {
                        let name =
                            if place + 1 == now.len() { "control".into() } else { format!("worker-{place}") };
                        tracing::error!(thread = name, "a thread does not get on: the watchdog is not fed");
                        quiet = true;
                    }
                    Some(_) => {}
                }
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(work);
        thread.is_ok().then_some(Self { _stop: stop })
    }
}

// The first of which no sign of life has come since.
fn hanging(before: &[u64], now: &[u64]) -> Option<usize> {
    before.iter().zip(now).position(|(before, now)| before == now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_hangs_among_many_is_found() {
        assert_eq!(hanging(&[1, 2, 3], &[2, 3, 4]), None);
        assert_eq!(hanging(&[1, 2, 3], &[9, 2, 4]), Some(1));
        assert_eq!(beat(Some(Duration::from_secs(30))), Duration::from_secs(1));
        assert_eq!(beat(Some(Duration::from_millis(800))), Duration::from_millis(100));
    }
}
