//! Waiting for others only as long as somebody waits for the answer.

use std::future::Future;
use std::pin::Pin;

use crate::worker::{HttpError, ServerExchange};

/// Runs `work` to its end, or drops it when the party that asked has gone: a service or a peer may take for ever, and
/// connections that nobody waits at must not pile up behind it.
///
/// The work is boxed: it is large, and would otherwise be part of every idle connection's memory, twice.
pub async fn while_wanted<T>(
    exchange: &mut ServerExchange,
    work: Pin<Box<impl Future<Output = T>>>,
) -> Result<T, HttpError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = exchange.peer_gone() => Err(HttpError::Closed),
    }
}
