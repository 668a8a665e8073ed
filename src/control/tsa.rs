//! Time-stamping authorities over HTTP (`signature.md` 5.2).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::SharedTrust;
use super::clock_difference::ClockDifference;
use super::fetch::{Fetch, FetchError, Request};
use crate::config::Timestamp;
use crate::crypto::Digest;
use crate::evidence::timestamp::{TimestampError, accept_response, request_der};
use crate::limits::TIMESTAMP_RESPONSE_BYTES_MAX;
use crate::log::TimestampClient;
use crate::message::{ErrorCode, XRoadError};
use crate::time::SharedClock;
use crate::trust::{CostType, GlobalConf, TrustSnapshot};

/// Asks the authorities in order until one answers well; none is remembered as bad. One that is slow is not waited for
/// alone: after a while the next is asked too, and the first good answer counts.
pub struct TsaClient {
    fetch: Arc<dyn Fetch>,
    trust: SharedTrust,
    clock: SharedClock,
    settings: Timestamp,
    difference: Arc<ClockDifference>,
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>>;

impl TsaClient {
    /// By `settings`: the configured order, or all authorities that the own instance approves.
    pub fn new(fetch: Arc<dyn Fetch>, trust: SharedTrust, clock: SharedClock, settings: Timestamp) -> Self {
        Self { fetch, trust, clock, settings, difference: Arc::default() }
    }

    /// Notes how far the own clock is from the authorities'.
    pub fn noting(mut self, difference: Arc<ClockDifference>) -> Self {
        self.difference = difference;
        self
    }

    /// The authorities that will be asked, in order.
    pub fn urls(&self) -> Vec<String> {
        Self::urls_of(&self.settings, &self.trust.load().global_conf)
    }

    /// The authorities in order: the configured ones, or all that the own instance approves, by what they cost.
    pub fn urls_of(settings: &Timestamp, global_conf: &GlobalConf) -> Vec<String> {
        let approved = global_conf.approved_tsas();
        let cost = |url: &str| {
            let tsa = approved.iter().find(|tsa| tsa.url.trim() == url);
            tsa.map_or(CostType::Undefined, |tsa| tsa.cost_type)
        };
        let urls = match settings.urls.is_empty() {
            false => settings.urls.clone(),
            true => approved.iter().map(|tsa| tsa.url.trim().to_string()).collect(),
        };
        settings.strategy.order(urls, |url| cost(url))
    }

    async fn ask(&self, url: &str, imprint: &Digest, snapshot: &TrustSnapshot) -> Result<Bytes, String> {
        let body = request_der(imprint);
        let request = Request::post(url, "application/timestamp-query", body, TIMESTAMP_RESPONSE_BYTES_MAX);
        let asked = self.clock.now();
        let answer =
            self.fetch.fetch(request).await.map_err(|error| format!("{}: {error}", fetch_code(&error)))?;
        let authorities = snapshot.global_conf.tsa_certificates();
        let accepted = accept_response(&answer.body, imprint, authorities, &snapshot.policy);
        let accepted = accepted.map_err(|error: TimestampError| format!("{url}: {error}"))?;
        self.difference.note(asked, self.clock.now(), accepted.time);
        Ok(accepted.token.into())
    }
}

impl TimestampClient for TsaClient {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        let snapshot = self.trust.load_full();
        snapshot.global_conf.check_valid(self.clock.now())?;
        let mut left = self.urls().into_iter();
        let mut running: Vec<(String, Asking<'_>)> = Vec::new();
        let mut errors = Vec::new();
        let mut ask_another = true;
        loop {
            if ask_another && let Some(url) = left.next() {
                let (to, snapshot) = (url.clone(), &snapshot);
                running.push((url, Box::pin(async move { self.ask(&to, imprint, snapshot).await })));
            }
            if running.is_empty() {
                break;
            }
            let hedge_ms = self.settings.hedge_ms;
            let hedge = tokio::time::sleep(Duration::from_millis(hedge_ms));
            let answered = tokio::select! {
                biased;
                answered = first_answer(&mut running) => Some(answered),
                () = hedge, if hedge_ms > 0 && left.len() > 0 => None,
            };
            ask_another = true;
            match answered {
                Some((_, Ok(token))) => return Ok(token),
                Some((url, Err(error))) => {
                    tracing::warn!(%url, %error, "a time-stamping authority gave no usable answer");
                    errors.push(error);
                }
                None => tracing::info!("a time-stamping authority is slow; the next is asked too"),
            }
        }
        let reasons = if errors.is_empty() { "no authority is configured".into() } else { errors.join("; ") };
        Err(XRoadError::new(ErrorCode::TimestampingFailed, format!("no time-stamp: {reasons}")))
    }
}

// The first of several that is ready; it is taken out.
async fn first_answer(running: &mut Vec<(String, Asking<'_>)>) -> (String, Result<Bytes, String>) {
    std::future::poll_fn(|context| {
        for at in 0..running.len() {
            if let Poll::Ready(result) = running[at].1.as_mut().poll(context) {
                return Poll::Ready((running.swap_remove(at).0, result));
            }
        }
        Poll::Pending
    })
    .await
}

// The names of official servers for what can go wrong on the way (`signature.md` 5.5).
fn fetch_code(error: &FetchError) -> &'static str {
    match error {
        FetchError::Url(_) => "mlog.malformed_timestamp_server_url",
        FetchError::Timeout(_) => "mlog.timestamp_request_timed_out",
        FetchError::Status(..) => "mlog.timestamping_non_ok_response",
        FetchError::Connection(..) => "mlog.timestamp_provider_connection_failed",
        FetchError::Body(..) => "mlog.reading_timestamp_response_failed",
    }
}
