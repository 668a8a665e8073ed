//! Time-stamping authorities over HTTP (`signature.md` 5.2).

use std::sync::Arc;

use bytes::Bytes;

use super::SharedTrust;
use super::fetch::{Fetch, FetchError, Request};
use crate::crypto::Digest;
use crate::evidence::timestamp::{TimestampError, accept_response, request_der};
use crate::limits::TIMESTAMP_RESPONSE_BYTES_MAX;
use crate::log::TimestampClient;
use crate::message::{ErrorCode, XRoadError};
use crate::time::SharedClock;
use crate::trust::{GlobalConf, TrustSnapshot};

/// Asks the authorities in order until one answers well; none is remembered as bad.
pub struct TsaClient {
    fetch: Arc<dyn Fetch>,
    trust: SharedTrust,
    clock: SharedClock,
    urls: Vec<String>,
}

impl TsaClient {
    /// `urls` is the configured order; empty means all that the own instance approves.
    pub fn new(fetch: Arc<dyn Fetch>, trust: SharedTrust, clock: SharedClock, urls: Vec<String>) -> Self {
        Self { fetch, trust, clock, urls }
    }

    /// The authorities that will be asked, in order.
    pub fn urls(&self) -> Vec<String> {
        Self::urls_of(&self.urls, &self.trust.load().global_conf)
    }

    /// The authorities in order: the configured ones, or all that the own instance approves.
    pub fn urls_of(configured: &[String], global_conf: &GlobalConf) -> Vec<String> {
        if !configured.is_empty() {
            return configured.to_vec();
        }
        global_conf.approved_tsas().iter().map(|tsa| tsa.url.trim().to_string()).collect()
    }

    async fn ask(&self, url: &str, imprint: &Digest, snapshot: &TrustSnapshot) -> Result<Bytes, String> {
        let body = request_der(imprint);
        let request = Request::post(url, "application/timestamp-query", body, TIMESTAMP_RESPONSE_BYTES_MAX);
        let answer =
            self.fetch.fetch(request).await.map_err(|error| format!("{}: {error}", fetch_code(&error)))?;
        let authorities = snapshot.global_conf.tsa_certificates();
        let accepted = accept_response(&answer.body, imprint, authorities, &snapshot.policy);
        let accepted = accepted.map_err(|error: TimestampError| format!("{url}: {error}"))?;
        Ok(accepted.token.into())
    }
}

impl TimestampClient for TsaClient {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        let snapshot = self.trust.load_full();
        snapshot.global_conf.check_valid(self.clock.now())?;
        let mut errors = Vec::new();
        for url in self.urls() {
            match self.ask(&url, imprint, &snapshot).await {
                Ok(token) => return Ok(token),
                Err(error) => {
                    tracing::warn!(%url, %error, "a time-stamping authority gave no usable answer");
                    errors.push(error);
                }
            }
        }
        let reasons = if errors.is_empty() { "no authority is configured".into() } else { errors.join("; ") };
        Err(XRoadError::new(ErrorCode::TimestampingFailed, format!("no time-stamp: {reasons}")))
    }
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
