//! Which flow a request takes: by the port it came to and, on the client port, by its path (`transport.md` 2.1).

use std::rc::Rc;

use super::answer::bare;
use super::context::Worker;
use super::{consumer, download, health, ocsp_responder, provider};
use crate::message::path_fault;
use crate::worker::{Handler, HttpError, RequestHead, Role, ServerExchange};

/// The handler of one worker thread. The flows are boxed: an idle connection does not hold the memory of one.
pub struct Router(Rc<Worker>);

impl Router {
    /// For the requests that this worker gets.
    pub fn new(worker: Worker) -> Self {
        Self(Rc::new(worker))
    }
}

impl Handler for Router {
    async fn handle(&self, head: RequestHead, exchange: &mut ServerExchange) -> Result<(), HttpError> {
        let worker = &self.0;
        if !matches!(exchange.peer().role, Role::Health)
            && let Some(fault) = path_fault(&String::from_utf8_lossy(path_of(&head.target)))
        {
            return bare(worker, exchange, 400, fault).await;
        }
        match exchange.peer().role {
            Role::InformationSystem => client_port(worker, &head, exchange).await,
            Role::SecurityServer => Box::pin(provider::exchange(worker, &head, exchange)).await,
            Role::OcspResponder => Box::pin(ocsp_responder::answer(worker, &head, exchange)).await,
            Role::Health => health::answer(worker, exchange).await,
        }
    }
}

/// REST below `/r1/`; the downloads, by GET only; everything else is SOAP, whatever its path.
async fn client_port(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    let path = path_of(&head.target);
    if path.starts_with(b"/r1/") {
        return Box::pin(consumer::exchange_rest(worker, head, exchange)).await;
    }
    match (head.method.as_ref(), path) {
        (b"GET", b"/asic") => Box::pin(download::asic(worker, head, exchange)).await,
        (b"GET", b"/verificationconf") => Box::pin(download::verificationconf(worker, exchange)).await,
        (b"GET", b"/listClients") => Box::pin(download::list_clients(worker, head, exchange)).await,
        _ => Box::pin(consumer::exchange_soap(worker, head, exchange)).await,
    }
}

// Path of a target in origin form or absolute form.
fn path_of(target: &[u8]) -> &[u8] {
    let path = match memchr::memmem::find(target, b"://") {
        Some(at) if !target.starts_with(b"/") => {
            let rest = target.get(at + 3..).unwrap_or_default();
            memchr::memchr(b'/', rest).and_then(|slash| rest.get(slash..)).unwrap_or(b"/")
        }
        _ => target,
    };
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.get(..end).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn the_path_ends_before_query_and_fragment() {
        assert_eq!(path_of(b"/asic?queryId=a"), b"/asic");
        assert_eq!(path_of(b"/r1/a#x"), b"/r1/a");
        assert_eq!(path_of(b"http://host:8080/r1/a?u=http://x/"), b"/r1/a");
        assert_eq!(path_of(b"/?u=http://x/y"), b"/");
        assert_eq!(path_of(b"http://host"), b"/");
    }
}
