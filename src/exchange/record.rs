//! What of a message is logged (`signature.md` 7.1).

use std::time::Instant;

use bytes::Bytes;

use super::body::log_body;
use super::context::Worker;
use super::counters::Phase;
use crate::config::Log;
use crate::evidence::SignatureData;
use crate::log::{Body, Direction, DurableRecord, Kept, Policy, Record, reduced_rest_head};
use crate::message::{ClientId, ErrorCode, ServiceId, SoapHeader, XRoadError};
use crate::worker::Spool;

/// What identifies a message in the log.
pub struct Logged<'a> {
    /// The message id.
    pub message_id: &'a str,
    /// Request or response.
    pub direction: Direction,
    /// The local party.
    pub client: &'a ClientId,
    /// The consumer.
    pub consumer: &'a ClientId,
    /// The service that is called.
    pub service: &'a ServiceId,
    /// `x-road-request-id`.
    pub request_id: Option<&'a str>,
}

/// Appends a REST message; answers when it is durable. `body` is the spooled body, if it is to be logged.
pub async fn rest(
    worker: &Worker,
    logged: Logged<'_>,
    part: Bytes,
    body: Option<&mut Spool>,
    signature: SignatureData,
) -> Result<DurableRecord, XRoadError> {
    let Some(with_bodies) = wanted(worker, logged.service) else {
        return Ok(worker.shared.log.without_record());
    };
    let message = if with_bodies { part } else { reduced_rest_head(&part) };
    let attachments = match body {
        Some(body) if with_bodies => kept(worker, body)?.into_iter().collect(),
        _ => Vec::new(),
    };
    append(worker, logged, message, attachments, signature, !with_bodies).await
}

/// Appends a SOAP message; answers when it is durable. Attachments are stored only where the signature refers to them
/// directly, as it never does in version 7: a hash chain holds their digests.
pub async fn soap(
    worker: &Worker,
    logged: Logged<'_>,
    header: &SoapHeader,
    soap: Bytes,
    attachments: Vec<&mut Spool>,
    signature: SignatureData,
) -> Result<DurableRecord, XRoadError> {
    let Some(with_bodies) = wanted(worker, logged.service) else {
        return Ok(worker.shared.log.without_record());
    };
    let message = if with_bodies { soap } else { super::reduced_soap::reduce(header, logged.direction) };
    let attachments = match signature.hash_chain {
        None if with_bodies => {
            let kept = attachments.into_iter().map(|body| kept(worker, body));
            kept.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
        _ => Vec::new(),
    };
    append(worker, logged, message, attachments, signature, !with_bodies).await
}

async fn append(
    worker: &Worker,
    logged: Logged<'_>,
    message: Bytes,
    attachments: Vec<Body>,
    signature: SignatureData,
    metadata_only: bool,
) -> Result<DurableRecord, XRoadError> {
    let record = Record {
        query_id: logged.message_id.to_string(),
        message,
        signature,
        direction: logged.direction,
        client: logged.client.clone(),
        consumer: Some(logged.consumer.clone()),
        service: Some(logged.service.clone()),
        x_request_id: logged.request_id.map(str::to_string),
        attachments,
        metadata_only,
    };
    let began = Instant::now();
    let durable = worker.shared.log.append(record).await?;
    worker.shared.counters.phase(Phase::Log, began);
    if worker.shared.config.timestamp.immediately {
        let stamped = worker.shared.stamper.stamp_now(durable.id()).await;
        stamped.map_err(|error| error.within(ErrorCode::LoggingFailed))?;
    }
    Ok(durable)
}

/// The bytes of a body that are logged: at most the configured number, none when that is 0. A longer one is cut where
/// that is allowed, else refused, whoever sent it.
fn kept(worker: &Worker, body: &mut Spool) -> Result<Option<Body>, XRoadError> {
    let log = &worker.shared.config.log;
    let limit = log.body_bytes_max;
    if limit == 0 {
        return Ok(None);
    }
    if body.len() > limit && !log.truncated_body_allowed {
        return Err(too_large(limit));
    }
    let whole = log_body(body).map_err(|error| {
        XRoadError::new(ErrorCode::IoError, format!("the body cannot be kept: {error}"))
            .within(ErrorCode::LoggingFailed)
    })?;
    Ok(Some(match whole {
        Body::Bytes(bytes) => Body::Bytes(bytes.slice(..bytes.len().min(limit as usize))),
        Body::File(file, length) => Body::File(file, length.min(limit)),
    }))
}

/// Whether bodies of messages to and from this service are logged.
pub fn logs_bodies(worker: &Worker, service: &ServiceId) -> bool {
    wanted(worker, service) == Some(true)
}

/// Whether messages to and from this service are logged with their bodies; `None`: not at all.
fn wanted(worker: &Worker, service: &ServiceId) -> Option<bool> {
    let registry = worker.shared.registry.load();
    let own = registry.service(service).and_then(|service| service.log_bodies);
    match policy(&worker.shared.config.log).of(&service.client(), own) {
        Kept::Full => Some(true),
        Kept::Headers => Some(false),
        Kept::Nothing => None,
    }
}

fn policy(log: &Log) -> Policy<'_> {
    Policy {
        records: log.records,
        records_except: &log.records_except,
        bodies: log.bodies,
        bodies_except: &log.bodies_except,
    }
}

/// The refusal of a body that is larger than what may be logged.
pub fn too_large(limit: u64) -> XRoadError {
    let text = format!("message body exceeds the largest that is logged: {limit} bytes");
    XRoadError::new(ErrorCode::LoggingFailed, text)
}
