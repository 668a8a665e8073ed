//! OCSP answers about own certificates, fetched ahead of expiry and never on a message's path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::fetch::{Fetch, Request};
use super::ocsp_store::OcspStore;
use super::random::Randomness;
use super::{SharedTrust, ocsp_schedule};
use crate::config::Ocsp;
use crate::crypto::Certificate;
use crate::limits::OCSP_RESPONSE_BYTES_MAX;
use crate::message::{ErrorCode, XRoadError};
use crate::time::SharedClock;
use crate::trust::{GlobalConf, OcspResponse, TrustSnapshot, ocsp_request};

/// What the fetcher works with.
pub struct OcspParts {
    /// How requests are sent.
    pub fetch: Arc<dyn Fetch>,
    /// Where answers are published, and the global configuration is read.
    pub trust: SharedTrust,
    /// The time.
    pub clock: SharedClock,
    /// For delays.
    pub randomness: Arc<dyn Randomness>,
    /// `[ocsp]` of the configuration.
    pub settings: Ocsp,
}

/// Fetches, verifies, stores and publishes answers about own certificates.
pub struct OcspFetcher {
    pub(super) parts: OcspParts,
    pub(super) store: OcspStore,
    flights: Mutex<HashMap<[u8; 32], Arc<Flight>>>,
}

/// One certificate's requests: whoever comes while one is under way waits for its result.
#[derive(Default)]
struct Flight {
    landed: std::sync::atomic::AtomicU64,
    last: tokio::sync::Mutex<Option<Result<OcspResponse, XRoadError>>>,
}

impl OcspFetcher {
    /// A fetcher; answers are kept in the folder that the settings name.
    pub fn new(parts: OcspParts) -> Self {
        let store = OcspStore::new(&parts.settings.dir);
        Self { parts, store, flights: Mutex::default() }
    }

    /// The certificates whose answers are needed for own `certificates`: themselves and the intermediates above
    /// them, without the topmost; no self-signed ones.
    pub fn targets(&self, certificates: &[Certificate]) -> Vec<Certificate> {
        let global_conf = self.parts.trust.load().global_conf.clone();
        let mut targets: Vec<Certificate> = Vec::new();
        for certificate in certificates.iter().filter(|certificate| !certificate.is_self_issued()) {
            let mut chain = global_conf.cert_chain(global_conf.local_instance(), certificate);
            if chain.len() > 1 {
                chain.pop();
            }
            for link in chain {
                if !targets.contains(&link) {
                    targets.push(link);
                }
            }
        }
        targets
    }

    /// Publishes the stored answer about `certificate` if it is verified to be usable still; removes it otherwise.
    pub fn take_stored(&self, certificate: &Certificate) -> Option<OcspResponse> {
        let response = self.store.read(certificate)?;
        let snapshot = self.parts.trust.load_full();
        let issuer = issuer_of(&snapshot.global_conf, certificate)?;
        let now = self.parts.clock.now();
        match response.verify_for_storage(issuer, certificate, now, &snapshot.global_conf, &snapshot.policy) {
            Ok(()) => {
                self.publish(certificate, &response);
                Some(response)
            }
            Err(error) => {
                tracing::debug!(subject = %certificate.subject(), %error, "a stored OCSP response is not used");
                self.store.remove(certificate);
                None
            }
        }
    }

    /// Fetches the answer about a certificate now, or waits for the request that is under way. Whatever its status,
    /// an authentic and fresh answer is stored and published.
    ///
    /// Errors: `global_conf_outdated`; `cert_validation` when no responder gave such an answer.
    pub async fn fetch_now(&self, certificate: &Certificate) -> Result<OcspResponse, XRoadError> {
        use std::sync::atomic::Ordering::SeqCst;
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.entry(*certificate.sha256()).or_default().clone()
        };
        let landed = flight.landed.load(SeqCst);
        let mut last = flight.last.lock().await;
        if flight.landed.load(SeqCst) != landed
            && let Some(result) = last.clone()
        {
            return result;
        }
        let result = self.fetch(certificate).await;
        *last = Some(result.clone());
        flight.landed.fetch_add(1, SeqCst);
        result
    }

    /// The answer for a peer that asks port 5577 by SHA-1: a usable one at hand, else fetched now if the certificate
    /// is among `own` or a CA of the global configuration. Error: `cert_validation`, also for an unknown hash.
    pub async fn answer_by_sha1(&self, hex: &str, own: &[Certificate]) -> Result<OcspResponse, XRoadError> {
        let snapshot = self.parts.trust.load_full();
        if let Some(response) = snapshot.ocsp.get_by_sha1_hex(hex)
            && !response.is_expired(self.parts.clock.now(), &snapshot.global_conf)
        {
            return Ok(response.clone());
        }
        let known = own.iter().chain(snapshot.global_conf.ca_certificates());
        let asked = known.into_iter().find(|certificate| crate::crypto::to_hex(certificate.sha1()) == hex);
        match asked {
            Some(certificate) => self.fetch_now(certificate).await,
            None => Err(failed("there is no OCSP response for the certificate that was asked for".into())),
        }
    }

    async fn fetch(&self, certificate: &Certificate) -> Result<OcspResponse, XRoadError> {
        let snapshot = self.parts.trust.load_full();
        let global_conf = &snapshot.global_conf;
        global_conf.check_valid(self.parts.clock.now())?;
        let Some(issuer) = issuer_of(global_conf, certificate) else {
            return Err(failed(format!("the issuer of \"{}\" is not an approved CA", certificate.subject())));
        };
        let body = ocsp_request(certificate, issuer);
        let mut errors = Vec::new();
        for url in global_conf.ocsp_urls(certificate, self.parts.settings.strategy) {
            match self.ask(&url, body.clone(), issuer, certificate, &snapshot).await {
                Ok(response) => {
                    self.keep(certificate, &response);
                    return Ok(response);
                }
                Err(error) => errors.push(error),
            }
        }
        let reasons = if errors.is_empty() { "no responder is known".into() } else { errors.join("; ") };
        Err(failed(format!("no OCSP response about \"{}\": {reasons}", certificate.subject())))
    }

    async fn ask(
        &self,
        url: &str,
        body: Vec<u8>,
        issuer: &Certificate,
        certificate: &Certificate,
        snapshot: &TrustSnapshot,
    ) -> Result<OcspResponse, String> {
        let mut request = Request::post(url, "application/ocsp-request", body, OCSP_RESPONSE_BYTES_MAX);
        request.accept = Some("application/ocsp-response");
        let answer = self.parts.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        let response = OcspResponse::from_der(&answer.body).map_err(|error| format!("{url}: {error}"))?;
        let now = self.parts.clock.now();
        response
            .verify_for_storage(issuer, certificate, now, &snapshot.global_conf, &snapshot.policy)
            .map_err(|error| format!("{url}: {}", error.text()))?;
        Ok(response)
    }

    fn keep(&self, certificate: &Certificate, response: &OcspResponse) {
        self.publish(certificate, response);
        if let Err(error) = self.store.write(certificate, response) {
            tracing::warn!(%error, dir = %self.store.dir().display(), "an OCSP response cannot be stored");
        }
    }

    fn publish(&self, certificate: &Certificate, response: &OcspResponse) {
        self.parts.trust.rcu(|snapshot| {
            let mut snapshot = TrustSnapshot::clone(snapshot);
            snapshot.ocsp.insert(certificate, response.clone());
            snapshot
        });
    }

    pub(super) fn schedule(&self) -> ocsp_schedule::Schedule {
        let global_conf = &self.parts.trust.load().global_conf;
        let interval = match self.parts.settings.fetch_interval_secs {
            0 => global_conf.ocsp_fetch_interval_secs(),
            secs => i64::try_from(secs).unwrap_or(i64::MAX),
        };
        let retry = i64::try_from(self.parts.settings.retry_secs).unwrap_or(i64::MAX).min(interval);
        ocsp_schedule::Schedule { interval_secs: interval, retry_secs: retry }
    }
}

fn issuer_of<'a>(global_conf: &'a GlobalConf, certificate: &Certificate) -> Option<&'a Certificate> {
    global_conf.ca_by_subject(global_conf.local_instance(), certificate.issuer())
}

fn failed(text: String) -> XRoadError {
    XRoadError::new(ErrorCode::CertValidation, text)
}
