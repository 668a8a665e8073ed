//! Answers that are no messages: errors, and documents of the server itself.

use bytes::Bytes;

use super::context::Worker;
use super::http_date::http_date;
use super::observation::Refused;
use crate::message::{ErrorAnswer, ErrorFormat, Fault, XRoadError};
use crate::worker::{BodyFraming, HttpError, ServerExchange, header_values};

/// Why a flow ended without its message.
#[derive(Debug)]
pub enum Refusal {
    /// An error of the protocol; its full code is shown to the other party.
    Error(XRoadError),
    /// A SOAP fault of the peer or of its service, delivered as it came.
    Fault(Box<Fault>, Bytes),
    /// A bare HTTP status without X-Road error, as official servers answer some malformed requests.
    Status(u16, &'static str),
    /// The connection to the other party failed: nobody is there to be answered.
    Gone(HttpError),
}

impl From<XRoadError> for Refusal {
    fn from(error: XRoadError) -> Self {
        Self::Error(error)
    }
}

impl Refusal {
    /// Adds a prefix to the code of an error; faults of others keep theirs.
    pub fn prefixed(self, prefix: &str) -> Self {
        match self {
            Self::Error(error) => Self::Error(error.prefixed(prefix)),
            other => other,
        }
    }
}

/// Writes an answer of known length with `Date` first, as official servers order their header fields.
pub async fn write(
    worker: &Worker,
    exchange: &mut ServerExchange,
    status: u16,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(), HttpError> {
    let date = http_date(worker.now());
    let mut fields = Vec::with_capacity(headers.len() + 1);
    fields.push(("Date", date.as_str()));
    fields.extend_from_slice(headers);
    exchange.respond(status, reason(status), &fields, BodyFraming::Length(body.len() as u64)).await?;
    exchange.write(body).await?;
    exchange.finish().await
}

/// Writes an error answer.
pub async fn write_error(
    worker: &Worker,
    exchange: &mut ServerExchange,
    answer: ErrorAnswer,
) -> Result<(), HttpError> {
    let headers: Vec<(&str, &str)> =
        answer.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    write(worker, exchange, answer.status, &headers, Bytes::from(answer.body)).await
}

/// Answers a REST client with a refusal (`transport.md` 2.6).
pub async fn refuse_rest(
    worker: &Worker,
    exchange: &mut ServerExchange,
    headers: &[(Bytes, Bytes)],
    refusal: Refusal,
) -> Result<(), HttpError> {
    worker.shared.counters.error();
    let fault = match refusal {
        Refusal::Gone(error) => return Err(error),
        Refusal::Status(status, text) => return bare(worker, exchange, status, text).await,
        Refusal::Error(error) => log_fault(worker, &error),
        Refusal::Fault(fault, _) => *fault,
    };
    let accept = header_values(headers, "accept").map(|value| value.as_ref());
    write_error(worker, exchange, fault.rest_answer(ErrorFormat::from_accept(accept))).await
}

/// Answers a SOAP client, or a peer before the multipart has begun: HTTP 200 and a fault (`transport.md` 2.5, 3.7).
pub async fn refuse_soap(
    worker: &Worker,
    exchange: &mut ServerExchange,
    refusal: Refusal,
) -> Result<(), HttpError> {
    worker.shared.counters.error();
    match refusal {
        Refusal::Gone(error) => Err(error),
        Refusal::Status(status, text) => bare(worker, exchange, status, text).await,
        Refusal::Error(error) => {
            let fault = log_fault(worker, &error);
            write_error(worker, exchange, fault.soap_answer()).await
        }
        Refusal::Fault(_, xml) => {
            write_error(worker, exchange, crate::message::soap_fault_answer(xml.to_vec())).await
        }
    }
}

/// The fault of an error, with the random identifier under which the journal has it.
pub fn log_fault(worker: &Worker, error: &XRoadError) -> Fault {
    let detail = worker.uuid();
    worker.shared.counters.code(error.code());
    let Refused { message_id, client, service, peer } = worker.refused.take().unwrap_or_default();
    let (code, text) = (error.code(), error.text());
    tracing::warn!(code, text, detail, message_id, client, service, peer, "message refused");
    Fault::new(error, &detail)
}

/// A status with a line of text.
pub async fn bare(
    worker: &Worker,
    exchange: &mut ServerExchange,
    status: u16,
    text: &str,
) -> Result<(), HttpError> {
    let body = Bytes::copy_from_slice(text.as_bytes());
    write(worker, exchange, status, &[("Content-Type", "text/plain; charset=UTF-8")], body).await
}

/// The reason phrase of a status, as official servers write it.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
