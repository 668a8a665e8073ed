//! The steps of a SOAP message on the provider's side (`transport.md` 5.3).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::receive::{access_denied, begin, check_parties, find_service, note_repeat, require_enabled};
use super::{error, refuse, reply};
use crate::exchange::Phase;
use crate::exchange::context::Worker;
use crate::exchange::http_failure::http_failure;
use crate::exchange::incoming::{Attachment, Incoming};
use crate::exchange::metaservice::{self, SoapAnswer};
use crate::exchange::observation::Observation;
use crate::exchange::outgoing::{Outgoing, TransferError};
use crate::exchange::random::letters;
use crate::exchange::record::{self, Logged};
use crate::exchange::room::Room;
use crate::exchange::service_call::{self, ServiceAddress};
use crate::exchange::soap_body::{SoapForm, SoapReader};
use crate::exchange::verified::{Verified, verify};
use crate::exchange::wanted::while_wanted;
use crate::log::{Direction, DurableRecord};
use crate::message::{
    ContentType, ErrorCode, SERVER_PROXY, Soap, SoapMessage, XRoadError, check_soap_action, latin1_to_utf8,
    soap_request_hash,
};
use crate::registry::{Registry, Service, Target};
use crate::transport::{Boundary, PartHeaders, PartKind};
use crate::trust::TrustSnapshot;
use crate::worker::{BodyFraming, ClientConnection, HttpError, RequestHead, ResponseHead, ServerExchange};

/// A request that may be delivered: verified and durably logged.
struct Accepted {
    request: Verified<SoapMessage>,
    headers: PartHeaders,
    attachments: Vec<Attachment>,
    request_id: String,
    registry: Arc<Registry>,
    _room: Room,
    _durable: DurableRecord,
}

/// Answers a SOAP request of another security server.
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
    if metaservice::claims_soap(worker, accepted.request.message.header()) {
        return metaservice_reply(worker, &trust, &accepted, exchange, seen).await;
    }
    seen.request_out();
    let called = while_wanted(exchange, Box::pin(call(worker, head, &mut accepted))).await?;
    seen.response_in();
    let (mut connection, answer_head) = match called {
        Ok(answered) => answered,
        Err(error) => return refuse(worker, exchange, seen.error(error, SERVER_PROXY)).await,
    };
    // The service has answered: the multipart is opened, and whatever fails now is a fault as its last part.
    let original = answer_head.header("content-type").map(|value| latin1_to_utf8(value).into_owned());
    let mut outgoing = Outgoing::new(worker);
    reply::begin(worker, exchange, &outgoing, Some(original.as_deref().unwrap_or_default())).await?;
    let original = original.as_deref();
    let responded =
        respond(worker, &accepted, original, &mut connection, &mut outgoing, exchange, &mut seen).await;
    if responded.is_ok() {
        connection.release();
    }
    finish(worker, exchange, &mut outgoing, responded, &mut seen).await
}

/// Ends the multipart, with a fault where the response could not be given.
async fn finish(
    worker: &Worker,
    exchange: &mut ServerExchange,
    outgoing: &mut Outgoing,
    responded: Result<(), Failed>,
    seen: &mut Observation,
) -> Result<(), HttpError> {
    match responded {
        Ok(()) => {
            seen.response_sent(outgoing);
            seen.succeeded();
            outgoing.close(exchange).await?;
            exchange.finish().await
        }
        Err(Failed::Error(error)) => {
            let error = seen.error(error, SERVER_PROXY);
            reply::fault(worker, exchange, outgoing, error).await
        }
        Err(Failed::ServiceFault(xml)) => {
            seen.service_fault(&xml);
            reply::fault_bytes(exchange, outgoing, &xml).await
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
    let request_id = request_id.unwrap_or_default();
    seen.request_id(&request_id);
    seen.peer(exchange.peer());
    check_soap_action(head.header("x-original-soapaction").map(AsRef::as_ref))?;
    let mut incoming = begin(worker, head)?;
    let began = Instant::now();
    incoming.read_message(exchange).await.map_err(within)?;
    check_original_type(head).map_err(within)?;
    let (request, headers) = read_request(&incoming)?;
    seen.soap_request(&request);
    let registry = worker.registry();
    check_target(worker, &request)?;
    let parties = (&request.header().client, &request.header().service);
    check_parties(worker, trust, &registry, parties, exchange.peer(), &incoming.ocsp)?;
    incoming.read_rest(exchange).await.map_err(within)?;
    worker.shared.counters.phase(Phase::Read, began);
    seen.request_received(&incoming);
    incoming.signature()?;
    if metaservice::claims_soap(worker, request.header()) {
        metaservice::check_soap_access(worker, trust, request.header())?;
    } else {
        check_access(trust, &registry, &request)?;
    }
    let bytes = request.bytes().clone();
    let signer = request.header().client.clone();
    let request = verify(worker, trust, &incoming, &bytes, &signer, request)?;
    note_repeat(worker, &registry, &request.message.header().service, request.fingerprint)?;
    let mut attachments = std::mem::take(&mut incoming.attachments);
    let durable = log_request(worker, &request, &request_id, &mut attachments).await?;
    let room = incoming.room;
    Ok(Accepted { request, headers, attachments, request_id, registry, _room: room, _durable: durable })
}

fn read_request(incoming: &Incoming) -> Result<(SoapMessage, PartHeaders), XRoadError> {
    let part = incoming.message.as_ref().filter(|part| part.kind == PartKind::Soap);
    let part = part.ok_or_else(|| error(ErrorCode::MissingSoap, "the message has no SOAP part"))?;
    match Soap::parse(part.body.clone()).map_err(|error| error.within(ErrorCode::ServiceFailed))? {
        Soap::Message(message) => Ok((*message, part.headers.clone())),
        Soap::Fault(_) => {
            let refused = error(ErrorCode::InvalidMessage, "a fault is no request");
            Err(refused.within(ErrorCode::ServiceFailed))
        }
    }
}

/// The consumer's server says in which type it got the message (`transport.md` trap 4).
fn check_original_type(head: &RequestHead) -> Result<(), XRoadError> {
    let value = head.header("x-original-content-type").map(|value| latin1_to_utf8(value));
    let kind = value.as_deref().and_then(ContentType::parse);
    if kind.is_some_and(|kind| kind.has_known_charset()) {
        return Ok(());
    }
    Err(error(
        ErrorCode::InternalError,
        "the header field x-original-content-type is missing or cannot be read",
    ))
}

/// A message that names a security server must name this one.
fn check_target(worker: &Worker, request: &SoapMessage) -> Result<(), XRoadError> {
    match &request.header().security_server {
        Some(target) if *target != worker.shared.config.server_id => {
            let text = format!("the message is for security server {target}, not for this one");
            Err(error(ErrorCode::InvalidSecurityServer, text).within(ErrorCode::ServiceFailed))
        }
        _ => Ok(()),
    }
}

/// Steps 9 to 12.
fn check_access(trust: &TrustSnapshot, registry: &Registry, request: &SoapMessage) -> Result<(), XRoadError> {
    let header = request.header();
    let service = find_service(registry, &header.service, false)?;
    let (provider, code) = (header.service.client(), header.service.service_code());
    if !registry.is_allowed(&header.client, &provider, code, Target::Service, &*trust.global_conf) {
        return Err(access_denied(&header.client, &header.service));
    }
    require_enabled(service)
}

async fn log_request(
    worker: &Worker,
    request: &Verified<SoapMessage>,
    request_id: &str,
    attachments: &mut [Attachment],
) -> Result<DurableRecord, XRoadError> {
    let header = request.message.header();
    let logged = Logged {
        message_id: &header.message_id,
        direction: Direction::Request,
        client: &header.service.client(),
        consumer: &header.client,
        service: &header.service,
        request_id: Some(request_id).filter(|id| !id.is_empty()),
    };
    let bodies = attachments.iter_mut().map(|attachment| &mut attachment.body.spool).collect();
    let (soap, signature) = (request.message.bytes().clone(), request.signature.clone());
    record::soap(worker, logged, header, soap, bodies, signature).await
}

/// Step 15: calls the service; gives the connection on which its answer comes. Errors: `service_missing_url`,
/// `service_malformed_url`, `service_failed.…`.
async fn call(
    worker: &Worker,
    head: &RequestHead,
    accepted: &mut Accepted,
) -> Result<(ClientConnection, ResponseHead), XRoadError> {
    let within = |error: XRoadError| error.within(ErrorCode::ServiceFailed);
    let registry = Arc::clone(&accepted.registry);
    let id = &accepted.request.message.header().service;
    let service =
        registry.service(id).ok_or_else(|| error(ErrorCode::UnknownService, "the service is gone"))?;
    let address = ServiceAddress::parse(&service.url)?;
    let mut connection = send(worker, head, &registry, service, &address, accepted).await.map_err(within)?;
    let answer = service_call::read_head(worker, service, &mut connection).await.map_err(within)?;
    if !matches!(answer.status, 200 | 500) {
        let text = format!("service {} answered with HTTP status {}", service.id, answer.status);
        return Err(within(error(ErrorCode::HttpError, text)));
    }
    Ok((connection, answer))
}

async fn send(
    worker: &Worker,
    head: &RequestHead,
    registry: &Registry,
    service: &Service,
    address: &ServiceAddress,
    accepted: &mut Accepted,
) -> Result<ClientConnection, XRoadError> {
    let provider = registry.client(&service.id.client());
    let provider = provider.ok_or_else(|| error(ErrorCode::UnknownMember, "the provider is gone"))?;
    let original = head.header("x-original-content-type").map(|value| latin1_to_utf8(value).into_owned());
    let action = head.header("x-original-soapaction").cloned().unwrap_or_default();
    let boundary = Boundary::from_random(&letters(&*worker.shared.entropy)).related();
    let has_attachments = !accepted.attachments.is_empty();
    let form = SoapForm::new(original.as_deref().unwrap_or_default(), has_attachments, boundary);
    let headers: [(&str, Bytes); 5] = [
        ("SOAPAction", action),
        ("accept-encoding", Bytes::new()),
        ("Content-Type", Bytes::from(form.content_type.clone())),
        ("Host", Bytes::from(address.authority())),
        ("User-Agent", Bytes::from_static(b"Hermod")),
    ];
    let mut connection = service_call::connect(worker, provider, service, address).await?;
    let soap = accepted.request.message.bytes().clone();
    let sent = async {
        connection.send_request("POST", address.target().as_bytes(), &headers, BodyFraming::Chunked).await?;
        form.write(&mut connection, &accepted.headers, soap, &mut accepted.attachments).await?;
        connection.finish_request().await
    };
    match sent.await {
        Ok(()) => Ok(connection),
        Err(error) => Err(http_failure(&error, &format!("service {}", service.id))),
    }
}

/// Why a response could not be given.
enum Failed {
    /// The fault that ends the multipart.
    Error(XRoadError),
    /// A fault of the service, verbatim: unsigned and not logged.
    ServiceFault(Bytes),
    /// Nobody is there to be told.
    PeerGone(HttpError),
}

impl From<XRoadError> for Failed {
    fn from(error: XRoadError) -> Self {
        Self::Error(error)
    }
}

/// Steps 15 to 17: reads the service's answer, adds the request hash, passes it on with its attachments, signs.
async fn respond(
    worker: &Worker,
    accepted: &Accepted,
    content_type: Option<&str>,
    connection: &mut ClientConnection,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
    seen: &mut Observation,
) -> Result<(), Failed> {
    let within = |error: XRoadError| Failed::Error(error.within(ErrorCode::ServiceFailed));
    let mut reader = SoapReader::new(content_type).map_err(within)?;
    let began = Instant::now();
    let mut body = reader.read_soap(connection, Room::new(worker)).await.map_err(within)?;
    worker.shared.counters.phase(Phase::Read, began);
    let response = match Soap::parse(body.soap.clone()).map_err(within)? {
        Soap::Message(message) => message,
        Soap::Fault(fault) => return Err(Failed::ServiceFault(fault.bytes)),
    };
    seen.response_out();
    let request = &accepted.request.message;
    let signed = response.with_request_hash(&soap_request_hash(request.bytes()));
    if response.is_converted() {
        label_utf8(&mut body.headers);
    }
    outgoing.soap(exchange, &body.headers, signed.clone()).await.map_err(Failed::PeerGone)?;
    while let Some(headers) = reader.next_attachment(connection).await.map_err(within)? {
        let mut hasher = outgoing.attachment_start(&headers);
        while let Some(data) = reader.attachment_data(connection).await.map_err(within)? {
            outgoing.attachment_data(&mut hasher, exchange, data).await.map_err(Failed::PeerGone)?;
        }
        outgoing.attachment_end(hasher);
    }
    sign_and_log(worker, accepted, &response, signed, outgoing, exchange).await
}

// The rewritten envelope is UTF-8 whatever it was before.
fn label_utf8(headers: &mut PartHeaders) {
    let value = headers.content_type.as_deref().unwrap_or("text/xml");
    let labelled = ContentType::parse(value).map(|parsed| parsed.with_parameter("charset", "UTF-8"));
    headers.content_type = Some(labelled.unwrap_or_else(|| "text/xml; charset=UTF-8".into()));
}

async fn metaservice_reply(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    accepted: &Accepted,
    exchange: &mut ServerExchange,
    mut seen: Observation,
) -> Result<(), HttpError> {
    seen.answered_here();
    let request = &accepted.request.message;
    let answer = match metaservice::answer_soap(worker, trust, &accepted.registry, request).await {
        Ok(answer) => answer,
        Err(error) => return refuse(worker, exchange, seen.error(error, SERVER_PROXY)).await,
    };
    let mut outgoing = Outgoing::new(worker);
    reply::begin(worker, exchange, &outgoing, Some(&answer.content_type)).await?;
    let written = write_metaservice(worker, accepted, answer, &mut outgoing, exchange).await;
    finish(worker, exchange, &mut outgoing, written, &mut seen).await
}

async fn write_metaservice(
    worker: &Worker,
    accepted: &Accepted,
    answer: SoapAnswer,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
) -> Result<(), Failed> {
    let SoapAnswer { soap, attachment, .. } = answer;
    let Soap::Message(response) = Soap::parse(soap)? else {
        return Err(error(ErrorCode::InternalError, "the answer of a metaservice is no message").into());
    };
    let signed = response.with_request_hash(&soap_request_hash(accepted.request.message.bytes()));
    let headers =
        PartHeaders { content_type: Some("text/xml; charset=UTF-8".into()), ..PartHeaders::default() };
    outgoing.soap(exchange, &headers, signed.clone()).await.map_err(Failed::PeerGone)?;
    if let Some(mut attachment) = attachment {
        let passed = outgoing.attachment(exchange, &attachment.headers, &mut attachment.body).await;
        passed.map_err(|error| match error {
            TransferError::Source(error) => Failed::Error(http_failure(&error, "the attachment")),
            TransferError::Sink(error) => Failed::PeerGone(error),
            TransferError::Rule(error) => Failed::Error(error),
        })?;
    }
    sign_and_log(worker, accepted, &response, signed, outgoing, exchange).await
}

/// Signs and logs the response, and only then sends its signature.
async fn sign_and_log(
    worker: &Worker,
    accepted: &Accepted,
    response: &SoapMessage,
    signed: Bytes,
    outgoing: &mut Outgoing,
    exchange: &mut ServerExchange,
) -> Result<(), Failed> {
    let request = accepted.request.message.header();
    let provider = request.service.client();
    let signature = worker.sign(&provider.member(), outgoing.digests().to_vec()).await?;
    let logged = Logged {
        message_id: &request.message_id,
        direction: Direction::Response,
        client: &provider,
        consumer: &request.client,
        service: &request.service,
        request_id: Some(accepted.request_id.as_str()).filter(|id| !id.is_empty()),
    };
    record::soap(worker, logged, response.header(), signed, Vec::new(), signature.clone()).await?;
    outgoing.signature(exchange, &signature).await.map_err(Failed::PeerGone)
}
