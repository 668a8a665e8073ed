//! The provider's side: from the consumer's security server to the service and back.
//!
//! [`rest`] and [`soap`] are the steps of `transport.md` 5.3 in their order; [`receive`] and [`reply`] are what both
//! share.

mod receive;
mod reply;
mod rest;
mod soap;

use std::rc::Rc;

use crate::exchange::answer::{Refusal, refuse_soap};
use crate::exchange::context::Worker;
use crate::message::{ErrorCode, SERVER_PROXY, XRoadError};
use crate::worker::{HttpError, RequestHead, ServerExchange};

/// Answers a transport message of another security server.
pub async fn exchange(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    worker.shared.counters.provider_exchange();
    if !worker.shared.config.proxy.connection_reuse {
        exchange.close_after();
    }
    let trust = worker.trust();
    if let Err(error) = receive::check_head(worker, &trust, head) {
        return refuse(worker, exchange, error.into()).await;
    }
    // Exactly this value; anything else is SOAP (X-Road 7.8 behaviour).
    if head.header("x-road-message-type").is_some_and(|kind| kind == b"REST".as_slice()) {
        rest::exchange(worker, trust, head, exchange).await
    } else {
        soap::exchange(worker, trust, head, exchange).await
    }
}

/// A refusal before the multipart has begun: a plain fault, HTTP 200.
async fn refuse(worker: &Worker, exchange: &mut ServerExchange, refusal: Refusal) -> Result<(), HttpError> {
    refuse_soap(worker, exchange, refusal.prefixed(SERVER_PROXY)).await
}

fn error(code: ErrorCode, text: impl Into<String>) -> XRoadError {
    XRoadError::new(code, text.into())
}
