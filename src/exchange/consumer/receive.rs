//! Receiving the answer of the provider's security server.

use std::time::Instant;

use bytes::Bytes;

use crate::exchange::Phase;
use crate::exchange::answer::Refusal;
use crate::exchange::context::Worker;
use crate::exchange::incoming::Incoming;
use crate::limits::FAULT_BYTES_MAX;
use crate::message::{ContentType, ErrorCode, Soap, XRoadError};
use crate::transport::PartKind;
use crate::worker::{ClientConnection, HttpError, ResponseHead};

/// Reads the whole answer. Errors: `http_error`, `invalid_content_type`, `service_failed.<code>`; a fault, plain or as
/// last part, is a [`Refusal::Fault`]: delivered unsigned, never logged.
pub async fn answer(
    worker: &Worker,
    head: &ResponseHead,
    connection: &mut ClientConnection,
) -> Result<Box<Incoming>, Refusal> {
    if !matches!(head.status, 200 | 500) {
        let text = format!("the provider's security server answered with HTTP status {}", head.status);
        return Err(XRoadError::new(ErrorCode::HttpError, text).into());
    }
    let content_type = content_type(head)?;
    if ContentType::parse(&content_type).is_some_and(|kind| kind.is("text/xml")) {
        return Err(plain_fault(worker, connection).await);
    }
    let service_failed = |error: XRoadError| error.within(ErrorCode::ServiceFailed);
    let mut incoming = Incoming::new(worker, &content_type)?;
    let began = Instant::now();
    incoming.read_rest(connection).await.map_err(service_failed)?;
    worker.shared.counters.phase(Phase::Read, began);
    if !incoming.ocsp.is_empty() {
        let text = "an answer carries OCSP responses, which only requests do";
        return Err(service_failed(XRoadError::new(ErrorCode::InvalidContentType, text)).into());
    }
    match fault_of(&incoming) {
        Some(xml) => Err(fault(worker, xml)),
        None => Ok(incoming),
    }
}

fn content_type(head: &ResponseHead) -> Result<String, XRoadError> {
    let value = head.header("content-type").filter(|value| !value.is_empty());
    value.map(|value| String::from_utf8_lossy(value).into_owned()).ok_or_else(|| {
        let text = "the provider's security server answered without a content type";
        XRoadError::new(ErrorCode::InvalidContentType, text)
    })
}

async fn plain_fault(worker: &Worker, connection: &mut ClientConnection) -> Refusal {
    match read_whole(connection).await {
        Ok(xml) => fault(worker, xml),
        Err(error) => Refusal::Error(
            crate::exchange::http_failure::http_failure(&error, "the provider's security server")
                .within(ErrorCode::ServiceFailed),
        ),
    }
}

async fn read_whole(connection: &mut ClientConnection) -> Result<Bytes, HttpError> {
    let mut whole = Vec::new();
    while let Some(chunk) = connection.read_body_chunk().await? {
        if whole.len() + chunk.len() > FAULT_BYTES_MAX {
            return Err(HttpError::Malformed { status: 502, reason: "fault too large" });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(whole))
}

// A fault in place of what is missing, or as the message itself.
fn fault_of(incoming: &Incoming) -> Option<Bytes> {
    if let Some(fault) = &incoming.fault {
        return Some(fault.clone());
    }
    let part = incoming.message.as_ref().filter(|part| part.kind == PartKind::Soap)?;
    let is_fault =
        incoming.signature().is_err() && matches!(Soap::parse(part.body.clone()), Ok(Soap::Fault(_)));
    is_fault.then(|| part.body.clone())
}

fn fault(worker: &Worker, xml: Bytes) -> Refusal {
    match Soap::parse(xml) {
        Ok(Soap::Fault(fault)) => {
            worker.shared.counters.unsigned_fault();
            Refusal::Fault(Box::new(fault.fault), fault.bytes)
        }
        Ok(Soap::Message(_)) => {
            let text = "the provider's security server answered with an unsigned message";
            Refusal::Error(XRoadError::new(ErrorCode::InvalidMessage, text).within(ErrorCode::ServiceFailed))
        }
        Err(error) => Refusal::Error(error.within(ErrorCode::ServiceFailed)),
    }
}
