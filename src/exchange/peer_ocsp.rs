//! OCSP answers about other servers' authentication certificates, fetched from their port 5577 and kept until they
//! are no longer usable.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};

use super::context::Worker;
use crate::crypto::{Certificate, to_hex};
use crate::limits::{OCSP_PARTS_MAX, OCSP_RESPONSE_BYTES_MAX};
use crate::message::{ContentType, ErrorCode, XRoadError};
use crate::transport::{MimeEvent, Multipart};
use crate::trust::{OcspResponse, TrustSnapshot};
use crate::worker::{BodyFraming, HttpError, Target, resolve};

/// Certificates remembered at most; beyond it the store starts anew.
const CERTIFICATES_MAX: usize = 10_000;

type Store = HashMap<[u8; 32], OcspResponse>;

/// The answers, shared by all workers: read without a lock.
#[derive(Default)]
pub struct PeerOcsp {
    store: ArcSwap<Store>,
    flights: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl PeerOcsp {
    /// A usable answer about each certificate of `chain`, from the snapshot, the store or the peer itself; one query at
    /// a time goes to a peer. Error: `ssl_authentication_failed.internal_error`.
    pub async fn responses(
        &self,
        worker: &Rc<Worker>,
        trust: &TrustSnapshot,
        address: &str,
        chain: &[Certificate],
    ) -> Result<Vec<OcspResponse>, XRoadError> {
        if let Some(all) = self.at_hand(worker, trust, chain) {
            return Ok(all);
        }
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(flights.entry(address.to_string()).or_default())
        };
        let _flight = flight.lock().await;
        if let Some(all) = self.at_hand(worker, trust, chain) {
            return Ok(all);
        }
        // What the peer sent is judged by the caller, in its place, beside what is known of old: a revocation counts
        // however old it is.
        let mut all = Box::pin(self.fetch(worker, trust, address, chain)).await?;
        let store = self.store.load();
        all.extend(chain.iter().filter_map(|certificate| find(trust, &store, certificate)));
        Ok(all)
    }

    fn at_hand(
        &self,
        worker: &Worker,
        trust: &TrustSnapshot,
        chain: &[Certificate],
    ) -> Option<Vec<OcspResponse>> {
        let (store, now) = (self.store.load(), worker.now());
        let usable = |response: &OcspResponse| !response.is_expired(now, &trust.global_conf);
        chain.iter().map(|certificate| find(trust, &store, certificate).filter(usable)).collect()
    }

    async fn fetch(
        &self,
        worker: &Worker,
        trust: &TrustSnapshot,
        address: &str,
        chain: &[Certificate],
    ) -> Result<Vec<OcspResponse>, XRoadError> {
        let responses = query(worker, address, chain).await.map_err(|text| {
            XRoadError::new(ErrorCode::InternalError, format!("OCSP responses of {address}: {text}"))
                .within(ErrorCode::SslAuthenticationFailed)
        })?;
        let pairs = chain.iter().zip(&responses);
        let proven: Vec<_> =
            pairs.filter(|(about, response)| is_proven(worker, trust, chain, about, response)).collect();
        self.store.rcu(|store| {
            let mut store = if store.len() < CERTIFICATES_MAX { Store::clone(store) } else { Store::new() };
            for (certificate, response) in &proven {
                store.insert(*certificate.sha256(), (*response).clone());
            }
            store
        });
        Ok(responses)
    }
}

/// Only authentic answers are remembered: a peer presents whatever chain it likes, also another server's certificate,
/// and its own word about that one must not stand in the way of the other's.
fn is_proven(
    worker: &Worker,
    trust: &TrustSnapshot,
    chain: &[Certificate],
    certificate: &Certificate,
    response: &OcspResponse,
) -> bool {
    let (global_conf, policy, now) = (&trust.global_conf, &trust.policy, worker.now());
    let mut issuers = global_conf.ca_certificates().iter().chain(chain);
    issuers.any(|issuer| {
        certificate.is_issued_by(issuer)
            && response.verify_for_storage(issuer, certificate, now, global_conf, policy).is_ok()
    })
}

/// Asks a peer's port 5577: all `cert` parameters first (SHA-1), then `cert_hash` (SHA-256), for peers of both ages.
/// It must answer with exactly one part for each certificate, in order.
async fn query(worker: &Worker, address: &str, chain: &[Certificate]) -> Result<Vec<OcspResponse>, String> {
    let config = &worker.shared.config;
    let (port, settings) = (config.proxy.ocsp_port, &config.ocsp);
    let target = query_target(chain);
    let host = format!("{address}:{port}");
    let headers = [("Host", host.as_str()), ("Accept", "multipart/related")];
    let (connect, read) = (settings.peer_connect_timeout_ms, settings.peer_read_timeout_ms);
    let asked = async {
        let addresses = resolve(address, port).await?;
        let target_address = Target::plain(addresses);
        let mut connection = worker.services.acquire(&target_address, Duration::from_millis(connect)).await?;
        connection.set_stall_timeout(Duration::from_millis(read));
        connection.send_request("GET", target.as_bytes(), &headers, BodyFraming::None).await?;
        connection.finish_request().await?;
        let head = connection.read_head(Duration::from_millis(read)).await?;
        let mut body = BytesMut::new();
        while let Some(chunk) = connection.read_body_chunk().await? {
            if body.len() + chunk.len() > OCSP_PARTS_MAX * OCSP_RESPONSE_BYTES_MAX {
                return Err(HttpError::Malformed { status: 502, reason: "too large an answer" });
            }
            body.extend_from_slice(&chunk);
        }
        connection.release();
        Ok((head, body.freeze()))
    };
    let (head, body) = asked.await.map_err(|error: HttpError| error.to_string())?;
    if !matches!(head.status, 200..=208 | 226) {
        return Err(format!(
            "HTTP status {}: {}",
            head.status,
            String::from_utf8_lossy(body.get(..200).unwrap_or(&body))
        ));
    }
    let content_type = head.header("content-type").map(|value| String::from_utf8_lossy(value).into_owned());
    let parts =
        parts(content_type.as_deref().unwrap_or_default(), body).map_err(|error| error.to_string())?;
    if parts.len() != chain.len() {
        return Err(format!("{} responses for {} certificates", parts.len(), chain.len()));
    }
    parts.iter().map(|der| OcspResponse::from_der(der).map_err(|error| error.to_string())).collect()
}

fn query_target(chain: &[Certificate]) -> String {
    let short = chain.iter().map(|certificate| format!("cert={}", to_hex(certificate.sha1())));
    let long = chain.iter().map(|certificate| format!("cert_hash={}", to_hex(certificate.sha256())));
    format!("/?{}", short.chain(long).collect::<Vec<_>>().join("&"))
}

/// The bodies of the parts of type `application/ocsp-response`.
fn parts(content_type: &str, body: Bytes) -> Result<Vec<Bytes>, XRoadError> {
    let boundary = ContentType::parse(content_type)
        .and_then(|parsed| parsed.parameter("boundary").map(|b| b.into_owned()));
    let mut reader = Multipart::new(boundary.as_deref().unwrap_or_default())?;
    reader.feed(body);
    reader.finish();
    let (mut parts, mut open) = (Vec::new(), None);
    while let Some(event) = reader.next()? {
        match event {
            MimeEvent::PartStart(headers) => {
                let is_ocsp = |value: &str| {
                    ContentType::parse(value).is_some_and(|kind| kind.is("application/ocsp-response"))
                };
                open = headers.content_type.as_deref().is_some_and(is_ocsp).then(BytesMut::new);
            }
            MimeEvent::Data(data) => {
                if let Some(part) = &mut open {
                    part.extend_from_slice(&data);
                }
            }
            MimeEvent::PartEnd => parts.extend(open.take().map(BytesMut::freeze)),
            MimeEvent::Finished => {}
        }
    }
    Ok(parts)
}

fn find(trust: &TrustSnapshot, store: &Store, certificate: &Certificate) -> Option<OcspResponse> {
    trust.ocsp.get(certificate).or_else(|| store.get(certificate.sha256())).cloned()
}
