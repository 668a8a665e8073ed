//! The steps of a REST message on the consumer's side (`transport.md` 5.2).

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::receive;
use super::send::{PeerRequest, RequestFields, own_ocsp_responses, require_authentication};
use crate::control::monitoring::Role;
use crate::exchange::Phase;
use crate::exchange::answer::{Refusal, reason, refuse_rest};
use crate::exchange::client_authentication::authenticate_client;
use crate::exchange::context::{Worker, require_registered};
use crate::exchange::http_date::http_date;
use crate::exchange::incoming::{Attachment, Incoming};
use crate::exchange::observation::Observation;
use crate::exchange::outgoing::{Keep, Outgoing, TransferError};
use crate::exchange::record::{self, Logged};
use crate::exchange::selection;
use crate::exchange::verified::{Verified, verify};
use crate::exchange::wanted::while_wanted;
use crate::log::{Direction, DurableRecord};
use crate::message::{
    CLIENT_PROXY, ErrorCode, RestRefusal, RestRequest, RestRequestIds, RestResponse, XRoadError,
    latin1_to_utf8, rest_request_hash,
};
use crate::transport::PartKind;
use crate::trust::TrustSnapshot;
use crate::worker::{BodyFraming, HttpError, RequestHead, ServerExchange, Spool};

/// Carries a client's request to the provider and the answer back.
pub async fn exchange(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    worker.shared.counters.consumer_exchange();
    let mut seen = Observation::begin(worker, Role::Client);
    match steps(worker, head, exchange, &mut seen).await {
        Ok((response, body, durable)) => deliver(worker, exchange, response, body, durable).await,
        Err(refusal) => {
            let refusal = seen.refusal(refusal.prefixed(CLIENT_PROXY));
            refuse_rest(worker, exchange, &head.headers, refusal).await
        }
    }
}

type Answer = (Verified<RestResponse>, Option<Attachment>, DurableRecord);

async fn steps(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
    seen: &mut Observation,
) -> Result<Answer, Refusal> {
    let trust = worker.trust();
    worker.require_valid_global_conf(&trust.global_conf)?;
    require_authentication(worker)?;
    let request = read_request(worker, head)?;
    seen.rest_request(&request);
    let registry = worker.registry();
    let client = require_registered(&registry, request.client_id())?;
    authenticate_client(worker, client, exchange.peer())?;
    let provider = request.service_id().client();
    let addresses = trust.global_conf.provider_addresses(&provider, request.target_server(), worker.now())?;
    let addresses = addresses.into_iter().map(str::to_string).collect();
    let chosen = selection::connect(worker, &trust, &provider, addresses).await?;
    seen.peer_address(&chosen.address);

    let request_id = request.request_id().unwrap_or_default();
    let original = head.header("content-type").map(|value| latin1_to_utf8(value)).unwrap_or_default();
    let mut outgoing = Outgoing::new(worker);
    let content_type = outgoing.content_type();
    let fields = RequestFields {
        soap_action: None,
        original_content_type: &original,
        request_id,
        content_type: &content_type,
    };
    seen.request_out();
    let mut peer = PeerRequest::begin(worker, chosen, &fields).await?;
    // Whatever fails while the request is written is an I/O error to the client (X-Road 7.8 behaviour).
    let sent = send(worker, &trust, &request, &mut outgoing, exchange, &mut peer).await;
    seen.request_sent(&outgoing);
    let request_hash = sent.map_err(|error| XRoadError::new(ErrorCode::IoError, error.to_string()))?;

    let answered = async {
        let (mut connection, answer_head) = peer.answer(worker, &trust, &provider).await?;
        seen.response_in();
        let incoming = receive::answer(worker, &answer_head, &mut connection).await?;
        Ok::<_, Refusal>((connection, incoming))
    };
    let answered = while_wanted(exchange, Box::pin(answered)).await.map_err(Refusal::Gone)?;
    let (connection, mut incoming) = answered?;
    seen.response_received(&incoming);
    let response = read_response(&incoming)?;
    let part = response.part().clone();
    let mut verified = verify(worker, &trust, &incoming, &part, &provider, response)?;
    verified.message.check_answers(&request, &request_hash)?;
    connection.release();
    let mut body = incoming.attachments.pop();
    let durable = log_response(worker, &request, &mut verified, body.as_mut()).await?;
    seen.rest_status(verified.message.status());
    Ok((verified, body, durable))
}

fn read_request(worker: &Worker, head: &RequestHead) -> Result<RestRequest, Refusal> {
    let internal = |text: &'static str| Refusal::Error(XRoadError::new(ErrorCode::InternalError, text));
    let method = std::str::from_utf8(&head.method).map_err(|_| internal("the method is not ASCII"))?;
    let instance = worker.shared.config.server_id.owner();
    let generated = match head.header("x-road-id") {
        Some(_) => String::new(),
        None => format!("{}-{}", instance.instance(), worker.uuid()),
    };
    let ids = RestRequestIds { request_id: &worker.uuid(), generated_message_id: &generated };
    let headers = head.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    RestRequest::from_client(method, &head.target, headers, &ids).map_err(|refusal| match refusal {
        RestRefusal::BadTarget(text) => Refusal::Status(400, text),
        RestRefusal::Error(error) => Refusal::Error(error),
    })
}

/// Writes the request; signs and logs it before its signature is sent. Gives the request hash.
async fn send(
    worker: &Worker,
    trust: &TrustSnapshot,
    request: &RestRequest,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
    peer: &mut PeerRequest,
) -> Result<String, XRoadError> {
    outgoing.ocsp_responses(&own_ocsp_responses(worker, trust)?);
    outgoing.rest_request(request.part());
    let mut kept = None;
    let client_failed = |error: HttpError| crate::exchange::http_failure::http_failure(&error, "the client");
    let began = Instant::now();
    // A request has a body part when there is at least one byte (`transport.md` 3.5).
    if let Some(first) = exchange.read_body_chunk().await.map_err(client_failed)? {
        let log = &worker.shared.config.log;
        let mut body = Spool::new(&worker.shared.spools);
        let mut keep = match record::logs_bodies(worker, request.service_id()) && log.body_bytes_max > 0 {
            true => Keep::up_to(&mut body, log.body_bytes_max, log.truncated_body_allowed),
            false => Keep::nothing(),
        };
        outgoing.rest_body(first, exchange, peer, &mut keep).await.map_err(|error| match error {
            TransferError::Source(error) => client_failed(error),
            TransferError::Sink(error) => crate::exchange::http_failure::http_failure(&error, "the peer"),
            TransferError::Rule(error) => error,
        })?;
        kept = Some(body);
    }
    worker.shared.counters.phase(Phase::Read, began);
    let digests = outgoing.digests().to_vec();
    let hash = match digests.as_slice() {
        [message, body] => rest_request_hash(message.as_ref(), Some(body.as_ref())),
        [message, ..] => rest_request_hash(message.as_ref(), None),
        [] => String::new(),
    };
    let signature = worker.sign(&request.client_id().member(), digests).await?;
    let logged = Logged {
        message_id: request.message_id(),
        direction: Direction::Request,
        client: request.client_id(),
        consumer: request.client_id(),
        service: request.service_id(),
        request_id: request.request_id(),
    };
    record::rest(worker, logged, request.part().clone(), kept.as_mut(), signature.clone()).await?;
    let peer_failed = |error: HttpError| crate::exchange::http_failure::http_failure(&error, "the peer");
    outgoing.signature(peer, &signature).await.map_err(peer_failed)?;
    outgoing.close(peer).await.map_err(peer_failed)?;
    Ok(hash)
}

fn read_response(incoming: &Incoming) -> Result<RestResponse, XRoadError> {
    let missing = || XRoadError::new(ErrorCode::MissingRest, "the answer has no REST message");
    let part = incoming.message.as_ref().filter(|part| part.kind == PartKind::RestResponse);
    let part = part.ok_or_else(missing)?;
    incoming.signature()?;
    RestResponse::parse(part.body.clone()).map_err(|error| error.within(ErrorCode::ServiceFailed))
}

async fn log_response(
    worker: &Worker,
    request: &RestRequest,
    response: &mut Verified<RestResponse>,
    body: Option<&mut Attachment>,
) -> Result<DurableRecord, XRoadError> {
    let logged = Logged {
        message_id: request.message_id(),
        direction: Direction::Response,
        client: request.client_id(),
        consumer: request.client_id(),
        service: request.service_id(),
        request_id: request.request_id(),
    };
    let body = body.map(|attachment| &mut attachment.body.spool);
    record::rest(worker, logged, response.message.part().clone(), body, response.signature.clone()).await
}

/// Gives the verified and logged response to the client.
async fn deliver(
    worker: &Worker,
    exchange: &mut ServerExchange,
    response: Verified<RestResponse>,
    body: Option<Attachment>,
    _durable: DurableRecord,
) -> Result<(), HttpError> {
    let began = Instant::now();
    let message = &response.message;
    let mut headers: Vec<(&str, Bytes)> =
        message.client_headers().map(|(name, value)| (name, Bytes::from(value.into_owned()))).collect();
    // The service's own date stands where this server's would, at the front.
    match headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("date")) {
        Some(at) => headers[..=at].rotate_right(1),
        None => headers.insert(0, ("Date", Bytes::from(http_date(worker.now())))),
    }
    let length = body.as_ref().map_or(0, |attachment| attachment.body.spool.len());
    let status = message.status();
    exchange.respond(status, reason(status), &headers, BodyFraming::Length(length)).await?;
    if let Some(mut attachment) = body {
        let mut chunks = attachment.body.spool.chunks();
        while let Some(chunk) = chunks.next_chunk()? {
            exchange.write(chunk).await?;
        }
    }
    exchange.finish().await?;
    worker.shared.counters.phase(Phase::Reply, began);
    Ok(())
}
