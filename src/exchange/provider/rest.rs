//! The steps of a REST message on the provider's side (`transport.md` 5.3).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::receive::{access_denied, begin, check_parties, find_service, note_repeat, require_enabled};
use super::{error, refuse, reply};
use crate::crypto::Digest;
use crate::exchange::Phase;
use crate::exchange::body::Source;
use crate::exchange::context::Worker;
use crate::exchange::http_failure::http_failure;
use crate::exchange::incoming::{Attachment, Incoming};
use crate::exchange::metaservice;
use crate::exchange::observation::Observation;
use crate::exchange::outgoing::{Keep, Outgoing, TransferError};
use crate::exchange::record::{self, Logged};
use crate::exchange::service_call::{self, ServiceAddress};
use crate::exchange::verified::{Verified, verify};
use crate::exchange::wanted::while_wanted;
use crate::log::{Direction, DurableRecord};
use crate::message::{
    ErrorCode, RestRequest, RestResponse, RestResponseIds, SERVER_PROXY, XRoadError, rest_request_hash,
};
use crate::registry::{Registry, Service};
use crate::transport::PartKind;
use crate::trust::TrustSnapshot;
use crate::worker::{
    BodyFraming, ClientConnection, HttpError, RequestHead, ResponseHead, ServerExchange, Spool,
};

/// A request that may be delivered: verified and durably logged.
struct Accepted {
    request: Verified<RestRequest>,
    body: Option<Attachment>,
    request_hash: String,
    request_id: String,
    registry: Arc<Registry>,
    _durable: DurableRecord,
}

/// Answers a REST request of another security server.
pub async fn exchange(
    worker: &Rc<Worker>,
    trust: Arc<TrustSnapshot>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
    mut seen: Observation,
) -> Result<(), HttpError> {
    let mut accepted = match accept(worker, &trust, head, exchange, &mut seen).await {
        Ok(accepted) => accepted,
        Err(error) => return refuse(worker, exchange, seen.error(error, SERVER_PROXY)).await,
    };
    // From here on the multipart is open, and whatever fails is a fault as its last part.
    let mut outgoing = Outgoing::new(worker);
    reply::begin(worker, exchange, &outgoing, None).await?;
    match respond(worker, &trust, &mut accepted, &mut outgoing, exchange, &mut seen).await {
        Ok(()) => {
            outgoing.close(exchange).await?;
            exchange.finish().await
        }
        Err(Failed::Error(error)) => {
            let error = seen.error(error, SERVER_PROXY);
            reply::fault(worker, exchange, &mut outgoing, error).await
        }
        Err(Failed::PeerGone(error)) => Err(error),
    }
}

/// Steps 4 to 14.
async fn accept(
    worker: &Worker,
    trust: &TrustSnapshot,
    head: &RequestHead,
    exchange: &mut ServerExchange,
    seen: &mut Observation,
) -> Result<Accepted, XRoadError> {
    let within = |error: XRoadError| error.within(ErrorCode::ServiceFailed);
    let request_id = head.header("x-road-request-id").map(|id| String::from_utf8_lossy(id).into_owned());
    let request_id = request_id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| error(ErrorCode::InternalError, "the header field x-road-request-id is missing"))?;
    seen.request_id(&request_id);
    seen.peer(exchange.peer());
    let mut incoming = begin(worker, head)?;
    let began = Instant::now();
    incoming.read_message(exchange).await.map_err(within)?;
    let request = read_request(&incoming)?;
    seen.rest_request(&request);
    let registry = worker.registry();
    let parties = (request.client_id(), request.service_id());
    check_parties(worker, trust, &registry, parties, exchange.peer(), &incoming.ocsp)?;
    incoming.read_rest(exchange).await.map_err(within)?;
    worker.shared.counters.phase(Phase::Read, began);
    seen.request_received(&incoming);
    incoming.signature()?;
    if !metaservice::claims_rest(&request) {
        check_access(trust, &registry, &request)?;
    }
    let part = request.part().clone();
    let signer = request.client_id().clone();
    let request = verify(worker, trust, &incoming, &part, &signer, request)?;
    note_repeat(worker, &registry, request.message.service_id(), request.fingerprint)?;
    let mut body = incoming.attachments.pop();
    let request_hash = hash(request.message_digest, body.as_ref());
    let durable = log_request(worker, &request, &request_id, body.as_mut()).await?;
    Ok(Accepted { request, body, request_hash, request_id, registry, _durable: durable })
}

fn read_request(incoming: &Incoming) -> Result<RestRequest, XRoadError> {
    let part = incoming.message.as_ref().filter(|part| part.kind == PartKind::RestRequest);
    let part = part.ok_or_else(|| error(ErrorCode::MissingRest, "the message has no REST request"))?;
    RestRequest::parse(part.body.clone()).map_err(|error| error.within(ErrorCode::ServiceFailed))
}

/// Steps 9 to 12. The path that is checked is the path that is sent.
fn check_access(trust: &TrustSnapshot, registry: &Registry, request: &RestRequest) -> Result<(), XRoadError> {
    let (client, id) = (request.client_id(), request.service_id());
    let service = find_service(registry, id, true)?;
    let path = request.service_path();
    let allowed = registry.is_rest_call_allowed(client, id, request.method(), path, &*trust.global_conf);
    match allowed {
        Ok(true) => require_enabled(service),
        Ok(false) => Err(access_denied(client, id)),
        Err(ambiguous) => Err(error(ErrorCode::AccessDenied, format!("the path is ambiguous: {ambiguous}"))),
    }
}

fn hash(message: Digest, body: Option<&Attachment>) -> String {
    let body = body.map(|body| body.body.digest);
    rest_request_hash(message.as_ref(), body.as_ref().map(AsRef::as_ref))
}

async fn log_request(
    worker: &Worker,
    request: &Verified<RestRequest>,
    request_id: &str,
    body: Option<&mut Attachment>,
) -> Result<DurableRecord, XRoadError> {
    let message = &request.message;
    let logged = Logged {
        message_id: message.message_id(),
        direction: Direction::Request,
        client: &message.service_id().client(),
        consumer: message.client_id(),
        service: message.service_id(),
        request_id: Some(request_id),
    };
    let body = body.map(|body| &mut body.body.spool);
    record::rest(worker, logged, message.part().clone(), body, request.signature.clone()).await
}

/// Why a response could not be given.
enum Failed {
    /// The fault that ends the multipart.
    Error(XRoadError),
    /// Nobody is there to be told.
    PeerGone(HttpError),
}

impl From<XRoadError> for Failed {
    fn from(error: XRoadError) -> Self {
        Self::Error(error)
    }
}

/// Steps 15 to 17.
async fn respond(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    accepted: &mut Accepted,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
    seen: &mut Observation,
) -> Result<(), Failed> {
    let mut kept = None;
    let request = &accepted.request.message;
    let client_id = request.client_id().clone();
    let ids = RestResponseIds {
        message_id: request.message_id(),
        client_id: &client_id,
        service_id: request.service_id(),
        request_id: &accepted.request_id,
        request_hash: &accepted.request_hash,
    };
    let response = if metaservice::claims_rest(request) {
        seen.answered_here();
        let (response, body) =
            metaservice::answer_rest(worker, trust, &accepted.registry, request, &ids).await?;
        outgoing.rest_response(response.part());
        send_body(worker, request, body, &mut Nothing, outgoing, exchange, &mut kept).await?;
        response
    } else {
        let service = accepted.registry.service(request.service_id());
        let service = service.ok_or_else(|| error(ErrorCode::UnknownService, "the service is gone"))?;
        let (registry, body) = (&accepted.registry, accepted.body.as_mut());
        seen.request_out();
        let called = async {
            let mut connection = call(worker, registry, service, request, body).await?;
            let head = service_call::read_head(worker, service, &mut connection).await?;
            Ok::<_, XRoadError>((connection, head))
        };
        let called = while_wanted(exchange, Box::pin(called)).await.map_err(Failed::PeerGone)?;
        seen.response_in();
        let (mut connection, head) = called?;
        let headers = head.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let response = RestResponse::from_service(head.status, &head.reason, headers, &ids)?;
        outgoing.rest_response(response.part());
        if has_entity(request.method(), &head) {
            let whom = format!("service {}", service.id);
            let first = connection.next().await.map_err(|error| http_failure(&error, &whom))?;
            let first = first.unwrap_or_default();
            send_body(worker, request, first, &mut connection, outgoing, exchange, &mut kept).await?;
        }
        connection.release();
        response
    };
    seen.response_sent(outgoing);
    sign_and_log(worker, accepted, &response, kept.as_mut(), outgoing, exchange).await?;
    seen.rest_status(response.status());
    Ok(())
}

struct Nothing;

impl Source for Nothing {
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        Ok(None)
    }
}

/// Calls the service with the signed path, query and headers; its body goes along for the methods that have one.
async fn call(
    worker: &Worker,
    registry: &Registry,
    service: &Service,
    request: &RestRequest,
    body: Option<&mut Attachment>,
) -> Result<ClientConnection, XRoadError> {
    let whom = || format!("service {}", service.id);
    let address = ServiceAddress::parse(&service.url)?;
    let provider = registry.client(&service.id.client());
    let provider = provider.ok_or_else(|| error(ErrorCode::UnknownMember, "the provider is gone"))?;
    let target = address.rest_target(request.service_path(), request.query());
    let authority = address.authority();
    let mut headers: Vec<(&str, Bytes)> =
        request.service_headers().map(|(name, value)| (name, Bytes::from(value.into_owned()))).collect();
    headers.push(("Host", Bytes::from(authority)));
    headers.push(("User-Agent", Bytes::from_static(b"Hermod")));
    let body = body.filter(|_| request.body_is_delivered());
    let framing = match (&body, request.body_is_delivered()) {
        (Some(body), _) => BodyFraming::Length(body.body.spool.len()),
        (None, true) => BodyFraming::Length(0),
        (None, false) => BodyFraming::None,
    };
    let mut connection = service_call::connect(worker, provider, service, &address).await?;
    let sent = async {
        connection.send_request(request.method(), target.as_bytes(), &headers, framing).await?;
        if let Some(body) = body {
            let mut chunks = body.body.spool.chunks();
            while let Some(chunk) = chunks.next_chunk()? {
                connection.write(chunk).await?;
            }
        }
        connection.finish_request().await
    };
    match sent.await {
        Ok(()) => Ok(connection),
        Err(error) => Err(http_failure(&error, &whom())),
    }
}

/// A response has a body part when HTTP lets it have one, were it empty (`transport.md` 3.5).
fn has_entity(method: &str, head: &ResponseHead) -> bool {
    method != "HEAD" && !matches!(head.status, 204 | 205 | 304)
}

async fn send_body(
    worker: &Worker,
    request: &RestRequest,
    first: Bytes,
    source: &mut impl Source,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
    kept: &mut Option<Spool>,
) -> Result<(), Failed> {
    let log = &worker.shared.config.log;
    let mut spool = Spool::new(&worker.shared.spools);
    let mut keep = match record::logs_bodies(worker, request.service_id()) && log.body_bytes_max > 0 {
        true => Keep::up_to(&mut spool, log.body_bytes_max, log.truncated_body_allowed),
        false => Keep::nothing(),
    };
    let began = Instant::now();
    let passed = outgoing.rest_body(first, source, exchange, &mut keep).await;
    worker.shared.counters.phase(Phase::Read, began);
    passed.map_err(|error| match error {
        TransferError::Source(error) => Failed::Error(http_failure(&error, "the service")),
        TransferError::Sink(error) => Failed::PeerGone(error),
        TransferError::Rule(error) => Failed::Error(error),
    })?;
    *kept = Some(spool);
    Ok(())
}

/// Signs and logs the response, and only then sends its signature.
async fn sign_and_log(
    worker: &Worker,
    accepted: &Accepted,
    response: &RestResponse,
    body: Option<&mut Spool>,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
) -> Result<(), Failed> {
    let request = &accepted.request.message;
    let provider = request.service_id().client();
    let signature = worker.sign(&provider.member(), outgoing.digests().to_vec()).await?;
    let logged = Logged {
        message_id: request.message_id(),
        direction: Direction::Response,
        client: &provider,
        consumer: request.client_id(),
        service: request.service_id(),
        request_id: Some(&accepted.request_id),
    };
    record::rest(worker, logged, response.part().clone(), body, signature.clone()).await?;
    outgoing.signature(exchange, &signature).await.map_err(Failed::PeerGone)
}
