//! Whether time-stamping allows further records (`signature.md` 5.3).

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;

const NEVER: i64 = i64::MIN;

/// Shared by the log, which refuses records, and by the time-stamper, which reports success and failure.
#[derive(Debug)]
pub struct TimestampStatus {
    failure_period_secs: i64,
    provider_configured: AtomicBool,
    first_failure_ms: AtomicI64,
}

impl TimestampStatus {
    /// With the longest time that time-stamping may fail before messages are refused; 0: for ever.
    pub fn new(failure_period_secs: u32) -> Self {
        Self {
            failure_period_secs: i64::from(failure_period_secs),
            provider_configured: AtomicBool::new(false),
            first_failure_ms: AtomicI64::new(NEVER),
        }
    }

    /// Says whether this server has at least one time-stamping authority configured.
    pub fn set_provider_configured(&self, configured: bool) {
        self.provider_configured.store(configured, Ordering::Relaxed);
    }

    /// A run has failed; only the first failure after a success counts.
    pub fn failed(&self, now: UnixTime) {
        let _ =
            self.first_failure_ms.compare_exchange(NEVER, now.millis(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A run has succeeded.
    pub fn succeeded(&self) {
        self.first_failure_ms.store(NEVER, Ordering::Relaxed);
    }

    /// Since when time-stamping fails.
    pub fn failing_since(&self) -> Option<UnixTime> {
        let first = self.first_failure_ms.load(Ordering::Relaxed);
        (first != NEVER).then(|| UnixTime::from_millis(first))
    }

    /// How long messages are still taken while time-stamping fails, in seconds from 0 on; `None` while it does not
    /// fail, or when it may fail for ever.
    pub fn refusal_in_secs(&self, now: UnixTime) -> Option<i64> {
        let since = self.failing_since().filter(|_| self.failure_period_secs > 0)?;
        Some((since.plus_secs(self.failure_period_secs).secs() - now.secs()).max(0))
    }

    /// Whether a message may be logged now; else `mlog.no_timestamping_provider_found` or `timestamping_failed`.
    pub fn check(&self, now: UnixTime) -> Result<(), XRoadError> {
        if !self.provider_configured.load(Ordering::Relaxed) {
            return Err(XRoadError::new(
                ErrorCode::NoTimestampingProviderFound,
                "No time-stamping service is configured for this security server",
            ));
        }
        let too_long = |since: &UnixTime| now.plus_secs(-self.failure_period_secs) > *since;
        match self.failing_since().filter(too_long) {
            Some(since) if self.failure_period_secs > 0 => Err(XRoadError::new(
                ErrorCode::TimestampingFailed,
                format!("Cannot time-stamp messages: time-stamping has been failing since {since}"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_messages_without_a_provider_and_after_too_long_a_failure() {
        let status = TimestampStatus::new(60);
        let at = UnixTime::from_secs;
        assert_eq!(status.check(at(0)).unwrap_err().code(), "mlog.no_timestamping_provider_found");
        status.set_provider_configured(true);
        assert!(status.check(at(0)).is_ok());
        status.failed(at(100));
        status.failed(at(150));
        assert_eq!([100, 130, 160, 900].map(|now| status.refusal_in_secs(at(now))), [60, 30, 0, 0].map(Some));
        assert!(status.check(at(160)).is_ok());
        assert_eq!(status.check(at(161)).unwrap_err().code(), "timestamping_failed");
        status.succeeded();
        assert_eq!(status.refusal_in_secs(at(161)), None);
        assert!(status.check(at(161)).is_ok());
    }

    #[test]
    fn a_period_of_zero_never_refuses() {
        let status = TimestampStatus::new(0);
        status.set_provider_configured(true);
        status.failed(UnixTime::from_secs(1));
        assert!(status.check(UnixTime::from_secs(1_000_000)).is_ok());
        assert_eq!(status.refusal_in_secs(UnixTime::from_secs(1_000_000)), None);
    }
}
