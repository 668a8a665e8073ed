//! When the message log is time-stamped (`signature.md` 5.3).

use std::time::Duration;

use super::SharedTrust;
use crate::config::Timestamp;
use crate::log::{TimestampClient, Timestamper};

// The protocol's bounds on the interval, in seconds.
const INTERVAL_SECS: (u64, u64) = (60, 86_400);

/// The delay before the next run, in seconds: the global configuration's interval within its bounds, or the
/// configured one as it is; after a failure the retry delay if that is shorter, from the same bound on.
pub fn delay_secs(settings: &Timestamp, global_interval_secs: i64, failed: bool) -> u64 {
    let (min, max) = INTERVAL_SECS;
    let (interval, least) = match settings.interval_secs {
        0 => (u64::try_from(global_interval_secs).unwrap_or(0).clamp(min, max), min),
        secs => (secs, 1),
    };
    if failed { settings.retry_secs.max(least).min(interval) } else { interval }
}

/// Stamps the log at its times until the future is dropped. A run that leaves records waiting is followed by another
/// at once; so is the first success after a failure.
pub async fn run<C: TimestampClient>(
    timestamper: &Timestamper,
    client: &C,
    trust: &SharedTrust,
    settings: &Timestamp,
) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    loop {
        let failed = match timestamper.run_until_none_waits(client).await {
            Ok(0) => false,
            Ok(stamped) => {
                tracing::info!(stamped, "message records time-stamped");
                false
            }
            // The time-stamper has logged it.
            Err(_) => true,
        };
        let interval = trust.load().global_conf.timestamping_interval_secs();
        tokio::time::sleep(Duration::from_secs(delay_secs(settings, interval, failed))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(interval_secs: u64, retry_secs: u64) -> Timestamp {
        let config = Config::parse("", "".as_ref(), Config::example()).unwrap();
        Timestamp { interval_secs, retry_secs, ..config.timestamp }
    }

    #[test]
    fn the_interval_keeps_the_bounds_of_the_protocol_unless_it_is_configured() {
        assert_eq!(delay_secs(&settings(0, 60), 300, false), 300);
        assert_eq!(delay_secs(&settings(0, 60), 5, false), 60);
        assert_eq!(delay_secs(&settings(0, 60), 1_000_000, false), 86_400);
        assert_eq!(delay_secs(&settings(0, 60), -1, false), 60);
        assert_eq!(delay_secs(&settings(2, 60), 300, false), 2);
    }

    #[test]
    fn a_failed_run_is_retried_sooner_if_that_is_sooner() {
        assert_eq!(delay_secs(&settings(0, 90), 300, true), 90);
        assert_eq!(delay_secs(&settings(0, 5), 300, true), 60, "not below a minute");
        assert_eq!(delay_secs(&settings(0, 900), 300, true), 300);
        assert_eq!(delay_secs(&settings(2, 1), 300, true), 1);
    }
}
