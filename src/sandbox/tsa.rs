//! The time-stamping authority (RFC 3161, `trust.md` 9.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::pki::Pki;
use super::station::Stations;
use crate::evidence::timestamp::{self, TimestampRequest};
use crate::time::SharedClock;

struct Service {
    pki: Arc<Pki>,
    stations: Arc<Stations>,
    clock: SharedClock,
    serial: AtomicU64,
}

/// The authority over HTTP: POST of `application/timestamp-query` to any path.
pub(super) fn router(pki: Arc<Pki>, stations: Arc<Stations>, clock: SharedClock) -> Router {
    // Milliseconds leave room for 65536 tokens each: serial numbers go on rising over restarts.
    let serial = AtomicU64::new(u64::try_from(clock.now().millis()).unwrap_or(0) << 16);
    let service = Arc::new(Service { pki, stations, clock, serial });
    Router::new().route("/", post(stamp)).route("/{*path}", post(stamp)).with_state(service)
}

async fn stamp(State(service): State<Arc<Service>>, request: Bytes) -> Result<Response, StatusCode> {
    service.stations.tsa.enter().await?;
    let reply = match TimestampRequest::parse(&request) {
        Ok(request) => {
            let serial = service.serial.fetch_add(1, Ordering::Relaxed);
            let signer = &service.pki.tsa;
            let now = service.clock.now();
            timestamp::make_response(signer.key(), signer.certificate(), &request, now, serial)
                .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?
        }
        Err(error) => timestamp::make_rejection(&error.to_string()),
    };
    Ok(([(header::CONTENT_TYPE, "application/timestamp-reply")], reply).into_response())
}
