//! The provider's side: from the consumer's security server to the service and back.
//!
//! [`rest`] and [`soap`] are the steps of `transport.md` 5.3 in their order; [`receive`] and [`reply`] are what both
//! share.

mod receive;
mod reply;
mod rest;
mod soap;

use std::rc::Rc;

use crate::control::monitoring::Role;
use crate::exchange::answer::{Refusal, refuse_soap};
use crate::exchange::context::Worker;
use crate::exchange::observation::Observation;
use crate::message::{ErrorCode, SERVER_PROXY, XRoadError};
use crate::worker::{HttpError, RequestHead, ServerExchange};

/// Answers a transport message of another security server.
pub async fn exchange(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    worker.shared.counters.provider_exchange();
    let mut seen = Observation::begin(worker, Role::Producer);
    if !worker.shared.config.proxy.connection_reuse {
        exchange.close_after();
    }
    let trust = worker.trust();
    if let Err(error) = receive::check_head(worker, &trust, head) {
        return refuse(worker, exchange, seen.error(error, SERVER_PROXY)).await;
    }
    // Exactly this value; anything else is SOAP (X-Road 7.8 behaviour).
    if head.header("x-road-message-type").is_some_and(|kind| kind == b"REST".as_slice()) {
        rest::exchange(worker, trust, head, exchange, seen).await
    } else {
        soap::exchange(worker, trust, head, exchange, seen).await
    }
}

/// A refusal before the multipart has begun: a plain fault, HTTP 200.
async fn refuse(worker: &Worker, exchange: &mut ServerExchange, error: XRoadError) -> Result<(), HttpError> {
    refuse_soap(worker, exchange, Refusal::Error(error)).await
}

fn error(code: ErrorCode, text: impl Into<String>) -> XRoadError {
    XRoadError::new(code, text.into())
}
