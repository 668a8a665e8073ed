//! When an OCSP answer is fetched again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::ocsp::OcspFetcher;
use crate::crypto::Certificate;
use crate::time::UnixTime;
use crate::trust::{CertStatus, OcspResponse};

// How long a task sleeps before it looks again at a clock, a configuration or a list that may have changed.
const LOOK_AGAIN_SECS: i64 = 60;
const LOOK_AGAIN_FOR_CONFIGURATION_SECS: i64 = 1;

/// The times that decide, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Between two fetches.
    pub interval_secs: i64,
    /// Longest delay after a failure.
    pub retry_secs: i64,
}

impl Schedule {
    /// When to fetch after an answer that was got at `got`: after the interval, less up to a tenth so that many
    /// certificates do not meet; but before the last quarter of the answer's life, so that a few retries fit. An
    /// answer that is old already when it is got is not asked for again before the retry delay.
    pub fn after_success(
        self,
        got: UnixTime,
        response: &OcspResponse,
        usable_until: UnixTime,
        fraction: f64,
    ) -> UnixTime {
        let life_ms = (usable_until.millis() - response.this_update().millis()).max(0);
        let latest = UnixTime::from_millis(usable_until.millis() - life_ms / 4);
        let spread_ms = (self.interval_secs as f64 * 100.0 * fraction) as i64;
        let regular = UnixTime::from_millis(got.plus_secs(self.interval_secs).millis() - spread_ms);
        regular.min(latest).max(got.plus_secs(self.retry_secs))
    }

    /// When to try again after the `failures`th failure in a row at `failed`: 1, 2, 4… seconds up to the retry delay,
    /// each less up to a half.
    pub fn after_failure(self, failed: UnixTime, failures: u32, fraction: f64) -> UnixTime {
        let delay_secs = (1i64 << failures.saturating_sub(1).min(30)).min(self.retry_secs.max(1));
        let delay_ms = delay_secs as f64 * 1000.0 * (1.0 - fraction / 2.0);
        UnixTime::from_millis(failed.millis() + delay_ms as i64)
    }
}

impl OcspFetcher {
    /// Keeps the answers about own certificates (and their intermediates) fresh, one task for each, until the future
    /// is dropped. The list may change at any time.
    pub async fn run(self: Arc<Self>, mut certificates: watch::Receiver<Vec<Certificate>>) {
        let mut tasks: HashMap<[u8; 32], Task> = HashMap::new();
        loop {
            let targets = self.targets(&certificates.borrow_and_update().clone());
            tasks.retain(|hash, _| targets.iter().any(|target| target.sha256() == hash));
            for target in targets {
                let hash = *target.sha256();
                tasks
                    .entry(hash)
                    .or_insert_with(|| Task(tokio::spawn(self.clone().keep_fresh(target)).abort_handle()));
            }
            // Intermediates come and go with the global configuration.
            let secs =
                if self.has_configuration() { LOOK_AGAIN_SECS } else { LOOK_AGAIN_FOR_CONFIGURATION_SECS };
            let look_again = tokio::time::sleep(seconds(secs));
            tokio::select! {
                changed = certificates.changed() => if changed.is_err() { tokio::time::sleep(seconds(secs)).await },
                () = look_again => {}
            }
        }
    }

    /// Keeps the answer about one certificate fresh until the future is dropped.
    pub async fn keep_fresh(self: Arc<Self>, certificate: Certificate) {
        let mut last = LastTry::None;
        loop {
            let now = self.parts.clock.now();
            if !self.has_configuration() {
                tokio::time::sleep(seconds(LOOK_AGAIN_FOR_CONFIGURATION_SECS)).await;
                continue;
            }
            if let LastTry::None = last {
                last = match self.take_stored(&certificate) {
                    Some(response) => {
                        LastTry::Got(response.this_update(), response, self.parts.randomness.fraction())
                    }
                    None => LastTry::None,
                };
            }
            let due = self.due(&last, now);
            if self.parts.settings.retrieval && due <= now {
                last = self.try_once(&certificate, last).await;
                continue;
            }
            let wait_ms = (due.millis() - now.millis()).clamp(1, LOOK_AGAIN_SECS * 1000);
            tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())).await;
        }
    }

    fn due(&self, last: &LastTry, now: UnixTime) -> UnixTime {
        let schedule = self.schedule();
        match last {
            LastTry::None => now,
            LastTry::Failed(at, failures, fraction) => schedule.after_failure(*at, *failures, *fraction),
            LastTry::Got(at, response, fraction) => {
                let usable_until = response.usable_until(&self.parts.trust.load().global_conf);
                schedule.after_success(*at, response, usable_until, *fraction)
            }
        }
    }

    async fn try_once(&self, certificate: &Certificate, last: LastTry) -> LastTry {
        let result = self.fetch_now(certificate).await;
        let (now, fraction) = (self.parts.clock.now(), self.parts.randomness.fraction());
        let subject = certificate.subject();
        match result {
            Ok(response) => {
                let status = response.status();
                match status {
                    CertStatus::Good => tracing::debug!(%subject, "OCSP response fetched"),
                    _ => {
                        tracing::error!(%subject, ?status, "the OCSP response says that the certificate is not good")
                    }
                }
                LastTry::Got(now, response, fraction)
            }
            Err(error) => {
                let failures = if let LastTry::Failed(_, failures, _) = last { failures + 1 } else { 1 };
                let snapshot = self.parts.trust.load_full();
                let usable =
                    snapshot.ocsp.get(certificate).map(|kept| kept.usable_until(&snapshot.global_conf));
                // Without an answer that is still fresh, peers refuse this server's messages.
                match usable.map(|until| until.secs() - now.secs()).filter(|left| *left > 0) {
                    Some(left_secs) => {
                        tracing::warn!(%subject, failures, left_secs, code = error.code(), "{}", error.text())
                    }
                    None => tracing::error!(%subject, failures, code = error.code(), "{}", error.text()),
                }
                LastTry::Failed(now, failures, fraction)
            }
        }
    }

    fn has_configuration(&self) -> bool {
        self.parts.trust.load().global_conf.check_valid(self.parts.clock.now()).is_ok()
    }
}

enum LastTry {
    None,
    Failed(UnixTime, u32, f64),
    Got(UnixTime, OcspResponse, f64),
}

struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn seconds(secs: i64) -> Duration {
    Duration::from_secs(secs.unsigned_abs())
}
