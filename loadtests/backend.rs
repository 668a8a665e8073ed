//! The service behind the provider's servers: gives back what it gets, on one thread.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hermod::worker::{
    BodyFraming, Handler, HttpError, ListenerConfig, RequestHead, Role, RuntimeKind, ServerExchange,
    WorkerConfig, Workers, run_workers,
};
use memchr::memmem;

/// Starts the service.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(address: SocketAddr, delay: Duration) -> Result<Workers, String> {
    let listener = ListenerConfig::new(address, Role::InformationSystem);
    let config = WorkerConfig {
        listeners: vec![listener],
        workers: 1,
        pin: false,
        ..WorkerConfig::new(RuntimeKind::Epoll)
    };
    run_workers(config, move |_| Rc::new(Echo { delay })).map_err(|e| e.to_string())
}

struct Echo {
    delay: Duration,
}

impl Handler for Echo {
    async fn handle(&self, head: RequestHead, exchange: &mut ServerExchange) -> Result<(), HttpError> {
        let content_type = head.header("content-type").cloned().unwrap_or_default();
        let soap = content_type.starts_with(b"text/xml");
        let mut chunks = Vec::new();
        while let Some(chunk) = exchange.read_body_chunk().await? {
            chunks.push(chunk);
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if soap {
            chunks = vec![answer_to(&chunks.concat())];
        }
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let headers = [("Content-Type", content_type)];
        exchange.respond(200, "OK", &headers, BodyFraming::Length(length)).await?;
        for chunk in chunks {
            exchange.write(chunk).await?;
        }
        exchange.finish().await
    }
}

// The answer's header must equal the request's, so that the envelope comes back with its call renamed.
fn answer_to(request: &[u8]) -> Bytes {
    const CALL: &[u8] = b"p:getRandom";
    let mut out = BytesMut::with_capacity(request.len() + 16);
    let mut rest = request;
    while let Some(at) = memmem::find(rest, CALL) {
        let (before, after) = rest.split_at(at + CALL.len());
        out.extend_from_slice(before);
        out.extend_from_slice(b"Response");
        rest = after;
    }
    out.extend_from_slice(rest);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_call_renamed() {
        let request = b"<e><p:getRandom a='b'><p:data>x</p:data></p:getRandom></e>";
        let answer = answer_to(request);
        assert_eq!(&*answer, b"<e><p:getRandomResponse a='b'><p:data>x</p:data></p:getRandomResponse></e>");
    }
}
