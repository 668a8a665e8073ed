//! The configuration source: signed directories (`trust.md` 1.4) and the parts that they name, re-signed before they
//! expire as a central server does (1.5).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::SandboxError;
use super::pki::Pki;
use super::station::Stations;
use crate::crypto;
use crate::time::{SharedClock, UnixTime};

/// From signing to expiry, as central servers have it.
const EXPIRE_SECS: i64 = 600;
/// A directory older than this is signed anew when it is asked for.
const RESIGN_SECS: i64 = 60;
/// Generations whose parts can still be fetched.
const GENERATIONS_MAX: usize = 3;
const SHA512_URI: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// The two parts of the internal configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Shared parameters, version 6.
    pub shared: String,
    /// Private parameters, version 3.
    pub private: String,
}

struct Generation {
    signed_at: UnixTime,
    /// Path segment that tells generations apart.
    stamp: String,
    internal: Arc<[u8]>,
    external: Arc<[u8]>,
    parts: Parts,
}

/// A configuration source that serves version 6.
pub struct Source {
    instance: String,
    pki: Arc<Pki>,
    parts: Mutex<Parts>,
    generations: Mutex<VecDeque<Generation>>,
    life_secs: AtomicI64,
}

impl Source {
    /// A source of these parts.
    pub fn new(instance: &str, pki: Arc<Pki>, parts: Parts) -> Self {
        let (parts, generations) = (Mutex::new(parts), Mutex::default());
        let life_secs = AtomicI64::new(EXPIRE_SECS);
        Self { instance: instance.to_owned(), pki, parts, generations, life_secs }
    }

    /// What is signed from now on expires after so many seconds, which must be more than [`RESIGN_SECS`].
    pub fn set_life(&self, secs: i64) {
        self.life_secs.store(secs, Ordering::Relaxed);
        self.publish(self.parts());
    }

    /// Publishes other parts from now on.
    pub fn publish(&self, parts: Parts) {
        *self.parts.lock().unwrap_or_else(PoisonError::into_inner) = parts;
        // The next request finds nothing fresh and signs.
        if let Some(newest) = self.generations.lock().unwrap_or_else(PoisonError::into_inner).back_mut() {
            newest.signed_at = UnixTime::default();
        }
    }

    /// What is published now.
    pub fn parts(&self) -> Parts {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The signed directory, valid for at least [`EXPIRE_SECS`] - [`RESIGN_SECS`]: the internal one, or the external
    /// one, which has shared parameters only.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn directory(&self, external: bool, now: UnixTime) -> Result<Arc<[u8]>, SandboxError> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = generations.back()
            && newest.signed_at.plus_secs(RESIGN_SECS) > now
        {
            return Ok(Arc::clone(if external { &newest.external } else { &newest.internal }));
        }
        let parts = self.parts();
        let stamp = stamp(now);
        let shared = ("SHARED-PARAMETERS", "shared-params.xml", parts.shared.as_str());
        let private = ("PRIVATE-PARAMETERS", "private-params.xml", parts.private.as_str());
        let internal = self.signed_directory(&[shared, private], &stamp, now)?;
        let of_others = self.signed_directory(&[shared], &stamp, now)?;
        let directory = Arc::clone(if external { &of_others } else { &internal });
        generations.push_back(Generation { signed_at: now, stamp, internal, external: of_others, parts });
        if generations.len() > GENERATIONS_MAX {
            generations.pop_front();
        }
        Ok(directory)
    }

    fn signed_directory(
        &self,
        parts: &[(&str, &str, &str)],
        stamp: &str,
        now: UnixTime,
    ) -> Result<Arc<[u8]>, SandboxError> {
        let (signer, instance) = (&self.pki.source, &self.instance);
        let (inner, outer) = (boundary(), boundary());
        let expire = UnixTime::from_secs(now.plus_secs(self.life_secs.load(Ordering::Relaxed)).secs());
        let mut signed = format!("--{inner}\r\nExpire-date: {expire}\r\nVersion: 6\r\n\r\n");
        for (identifier, file, content) in parts {
            let _ = write!(
                signed,
                "--{inner}\r\n\
             Content-type: application/octet-stream\r\n\
             Content-transfer-encoding: base64\r\n\
             Content-identifier: {identifier}; instance='{instance}'\r\n\
             Content-location: /V6/{stamp}/{file}\r\n\
             Hash-algorithm-id: {SHA512_URI}\r\n\r\n{}\r\n",
                BASE64.encode(crypto::sha512(content.as_bytes()))
            );
        }
        // The line break after the closing delimiter is the last that is signed.
        let _ = write!(signed, "--{inner}--\r\n");
        let signature = signer.sign(signed.as_bytes())?;
        Ok(format!(
            "Content-Type: multipart/related; charset=UTF-8; boundary={outer}\r\n\r\n\
         --{outer}\r\n\
         Content-Type: multipart/mixed; charset=UTF-8; boundary={inner}\r\n\r\n\
         {signed}\r\n\
         --{outer}\r\n\
         Content-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Signature-Algorithm-Id: {algorithm}\r\n\
         Verification-certificate-hash: {hash}; hash-algorithm-id=\"{SHA512_URI}\"\r\n\r\n\
         {signature}\r\n\
         --{outer}--\r\n",
            algorithm = signer.algorithm().uri(),
            hash = BASE64.encode(crypto::sha512(signer.certificate().der())),
            signature = BASE64.encode(signature),
        )
        .into_bytes()
        .into())
    }

    /// A part by the two last segments of its Content-location.
    fn part(&self, stamp: &str, file: &str) -> Option<String> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = generations.iter().rev().find(|g| g.stamp == stamp)?;
        match file {
            "shared-params.xml" => Some(generation.parts.shared.clone()),
            "private-params.xml" => Some(generation.parts.private.clone()),
            _ => None,
        }
    }
}

// `yyyyMMddHHmmss` and nanoseconds, as central servers name their generations.
fn stamp(now: UnixTime) -> String {
    let (year, month, day, hour, minute, second, millis) = now.civil();
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{millis:03}000000")
}

// Twenty letters and digits, as central servers choose them.
fn boundary() -> String {
    super::random_text(20)
}

struct Service {
    source: Arc<Source>,
    stations: Arc<Stations>,
    clock: SharedClock,
}

/// The source over HTTP: `/internalconf?version=6`, `/externalconf?version=6` and the parts under `/V6/`. Other versions do not exist here.
pub(super) fn router(source: Arc<Source>, stations: Arc<Stations>, clock: SharedClock) -> Router {
    Router::new()
        .route("/internalconf", get(internal))
        .route("/externalconf", get(external))
        .route("/V6/{stamp}/{file}", get(part))
        .with_state(Arc::new(Service { source, stations, clock }))
}

async fn internal(service: State<Arc<Service>>, query: RawQuery) -> Result<Response, StatusCode> {
    directory(service, query, false).await
}

async fn external(service: State<Arc<Service>>, query: RawQuery) -> Result<Response, StatusCode> {
    directory(service, query, true).await
}

async fn directory(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    external: bool,
) -> Result<Response, StatusCode> {
    service.stations.source.enter().await?;
    let version = query.as_deref().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("version="));
    if version.is_some_and(|version| version != "6") {
        return Err(StatusCode::NOT_FOUND);
    }
    let directory = service.source.directory(external, service.clock.now());
    let directory = directory.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], directory.to_vec()).into_response())
}

async fn part(
    State(service): State<Arc<Service>>,
    Path((stamp, file)): Path<(String, String)>,
) -> Result<Response, StatusCode> {
    service.stations.source.enter().await?;
    let content = service.source.part(&stamp, &file).ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, "application/xml")], content).into_response())
}
