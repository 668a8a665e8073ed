//! The steps of a SOAP message on the consumer's side (`transport.md` 5.2).

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::receive;
use super::send::{PeerRequest, RequestFields, own_ocsp_responses, require_authentication};
use crate::control::monitoring::Role;
use crate::exchange::Phase;
use crate::exchange::answer::{Refusal, refuse_soap};
use crate::exchange::client_authentication::authenticate_client;
use crate::exchange::context::{Worker, require_registered};
use crate::exchange::http_date::http_date;
use crate::exchange::http_failure::http_failure;
use crate::exchange::incoming::{Attachment, Incoming};
use crate::exchange::observation::Observation;
use crate::exchange::outgoing::Outgoing;
use crate::exchange::random::letters;
use crate::exchange::record::{self, Logged};
use crate::exchange::room::Room;
use crate::exchange::selection;
use crate::exchange::soap_body::{SoapBody, SoapForm, SoapReader};
use crate::exchange::verified::{Verified, verify};
use crate::exchange::wanted::while_wanted;
use crate::log::{Direction, DurableRecord};
use crate::message::{
    CLIENT, CLIENT_PROXY, ErrorCode, Soap, SoapMessage, XRoadError, check_soap_action, latin1_to_utf8,
    soap_request_hash,
};
use crate::transport::{Boundary, PartHeaders, PartKind};
use crate::trust::TrustSnapshot;
use crate::worker::{BodyFraming, HttpError, RequestHead, ServerExchange};

/// How long the client may take to send its SOAP part (X-Road 7.8 behaviour).
const SOAP_READ_LIMIT: Duration = Duration::from_secs(30);

/// Carries a client's request to the provider and the answer back.
pub async fn exchange(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    worker.shared.counters.consumer_exchange();
    let mut seen = Observation::begin(worker, Role::Client);
    match steps(worker, head, exchange, &mut seen).await {
        Ok(answer) => {
            seen.response_out();
            deliver(worker, exchange, answer).await
        }
        Err(refusal) => refuse_soap(worker, exchange, seen.refusal(of_this_server(refusal))).await,
    }
}

struct Answer {
    response: Verified<SoapMessage>,
    headers: PartHeaders,
    attachments: Vec<Attachment>,
    original_content_type: String,
    _room: Room,
    _durable: DurableRecord,
}

// Errors that are not the client's get the prefix of this server.
fn of_this_server(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Error(error) if error.code().split('.').next() == Some(CLIENT) => Refusal::Error(error),
        other => other.prefixed(CLIENT_PROXY),
    }
}

// An error that the client's message causes.
fn of_client(error: XRoadError) -> Refusal {
    Refusal::Error(error.prefixed(CLIENT))
}

async fn steps(
    worker: &Rc<Worker>,
    head: &RequestHead,
    exchange: &mut ServerExchange,
    seen: &mut Observation,
) -> Result<Answer, Refusal> {
    if head.method != b"POST".as_slice() {
        let text = "only POST carries SOAP messages";
        return Err(of_client(XRoadError::new(ErrorCode::InvalidHttpMethod, text)));
    }
    let request_id = worker.uuid();
    seen.request_id(&request_id);
    let trust = worker.trust();
    worker.require_valid_global_conf(&trust.global_conf)?;
    require_authentication(worker)?;
    let action = check_soap_action(head.header("soapaction").map(AsRef::as_ref)).map_err(of_client)?;
    let content_type = head.header("content-type").map(|value| latin1_to_utf8(value).into_owned());
    let mut reader = SoapReader::new(content_type.as_deref()).map_err(of_client_or_server)?;
    let began = Instant::now();
    let body = read_soap(worker, &mut reader, exchange).await?;
    worker.shared.counters.phase(Phase::Read, began);
    let request = parse_request(&body)?;
    seen.soap_request(&request);
    let header = request.header();
    let registry = worker.registry();
    let client = require_registered(&registry, &header.client)?;
    authenticate_client(worker, client, exchange.peer())?;
    let provider = header.service.client();
    let addresses =
        trust.global_conf.provider_addresses(&provider, header.security_server.as_ref(), worker.now())?;
    let addresses = addresses.into_iter().map(str::to_string).collect();
    let chosen = selection::connect(worker, &trust, &provider, addresses).await?;
    seen.peer_address(&chosen.address);

    let mut outgoing = Outgoing::new(worker);
    let transport_type = outgoing.content_type();
    let fields = RequestFields {
        soap_action: Some(action),
        original_content_type: content_type.as_deref().unwrap_or_default(),
        request_id: &request_id,
        content_type: &transport_type,
    };
    seen.request_out();
    let mut peer = PeerRequest::begin(worker, chosen, &fields).await?;
    outgoing.ocsp_responses(&own_ocsp_responses(worker, &trust).map_err(of_client)?);
    send_parts(&mut outgoing, &mut reader, &body, exchange, &mut peer).await?;
    seen.request_sent(&outgoing);
    sign_and_log(worker, &request, &request_id, &mut outgoing, &mut peer).await?;

    let answered = async {
        let (mut connection, answer_head) = peer.answer(worker, &trust, &provider).await?;
        seen.response_in();
        let incoming = receive::answer(worker, &answer_head, &mut connection).await?;
        Ok::<_, Refusal>((connection, answer_head, incoming))
    };
    let answered = while_wanted(exchange, Box::pin(answered)).await.map_err(Refusal::Gone)?;
    let (connection, answer_head, mut incoming) = answered?;
    let original_content_type = answer_head.header("x-original-content-type");
    let original_content_type =
        original_content_type.map(|value| latin1_to_utf8(value).into_owned()).unwrap_or_default();
    seen.response_received(&incoming);
    let (response, headers) = read_response(&incoming)?;
    let response = verify_response(worker, &trust, &incoming, &request, response)?;
    connection.release();
    let mut attachments = std::mem::take(&mut incoming.attachments);
    let durable = log_response(worker, &request, &request_id, &response, &mut attachments).await?;
    seen.succeeded();
    let room = incoming.room;
    Ok(Answer { response, headers, attachments, original_content_type, _room: room, _durable: durable })
}

// A missing or unreadable content type is an error of this server (X-Road 7.8 behaviour), as is a lack of room; a wrong
// one is the client's.
fn of_client_or_server(error: XRoadError) -> Refusal {
    if error.is(ErrorCode::InternalError) { Refusal::Error(error) } else { of_client(error) }
}

async fn read_soap(
    worker: &Worker,
    reader: &mut SoapReader,
    exchange: &mut ServerExchange,
) -> Result<SoapBody, Refusal> {
    let read = reader.read_soap(exchange, Room::new(worker));
    match tokio::time::timeout(SOAP_READ_LIMIT, read).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(of_client_or_server(error)),
        Err(_) => {
            let text = format!("the SOAP message did not arrive within {} s", SOAP_READ_LIMIT.as_secs());
            Err(XRoadError::new(ErrorCode::InternalError, text).into())
        }
    }
}

fn parse_request(body: &SoapBody) -> Result<SoapMessage, Refusal> {
    match Soap::parse(body.soap.clone()).map_err(of_client)? {
        Soap::Message(message) => Ok(*message),
        Soap::Fault(fault) => Err(of_client(fault.fault.error())),
    }
}

async fn send_parts(
    outgoing: &mut Outgoing,
    reader: &mut SoapReader,
    body: &SoapBody,
    exchange: &mut ServerExchange,
    peer: &mut PeerRequest,
) -> Result<(), Refusal> {
    let failed = |error: HttpError| Refusal::Error(http_failure(&error, "the provider's security server"));
    outgoing.soap(peer, &body.headers, body.soap.clone()).await.map_err(failed)?;
    while let Some(headers) = reader.next_attachment(exchange).await.map_err(of_client)? {
        let mut hasher = outgoing.attachment_start(&headers);
        while let Some(data) = reader.attachment_data(exchange).await.map_err(of_client)? {
            outgoing.attachment_data(&mut hasher, peer, data).await.map_err(failed)?;
        }
        outgoing.attachment_end(hasher);
    }
    Ok(())
}

/// Signs and logs the request, and only then sends its signature.
async fn sign_and_log(
    worker: &Worker,
    request: &SoapMessage,
    request_id: &str,
    outgoing: &mut Outgoing,
    peer: &mut PeerRequest,
) -> Result<(), Refusal> {
    let header = request.header();
    let digests = outgoing.digests().to_vec();
    let signature = worker.sign(&header.client.member(), digests).await?;
    let logged = Logged {
        message_id: &header.message_id,
        direction: Direction::Request,
        client: &header.client,
        consumer: &header.client,
        service: &header.service,
        request_id: Some(request_id),
    };
    record::soap(worker, logged, header, request.bytes().clone(), Vec::new(), signature.clone()).await?;
    let failed = |error: HttpError| Refusal::Error(http_failure(&error, "the provider's security server"));
    outgoing.signature(peer, &signature).await.map_err(failed)?;
    outgoing.close(peer).await.map_err(failed)
}

fn read_response(incoming: &Incoming) -> Result<(SoapMessage, PartHeaders), XRoadError> {
    let missing = || XRoadError::new(ErrorCode::MissingSoap, "the answer has no SOAP message");
    let part = incoming.message.as_ref().filter(|part| part.kind == PartKind::Soap).ok_or_else(missing)?;
    incoming.signature()?;
    match Soap::parse(part.body.clone()).map_err(|error| error.within(ErrorCode::ServiceFailed))? {
        Soap::Message(message) => Ok((*message, part.headers.clone())),
        Soap::Fault(_) => {
            let text = "the answer is a fault with a signature";
            Err(XRoadError::new(ErrorCode::InvalidMessage, text).within(ErrorCode::ServiceFailed))
        }
    }
}

fn verify_response(
    worker: &Worker,
    trust: &TrustSnapshot,
    incoming: &Incoming,
    request: &SoapMessage,
    response: SoapMessage,
) -> Result<Verified<SoapMessage>, XRoadError> {
    let provider = request.header().service.client();
    let bytes = response.bytes().clone();
    let response = verify(worker, trust, incoming, &bytes, &provider, response)?;
    let consistent = request.header().check_consistent(response.message.header());
    consistent.map_err(|error| error.within(ErrorCode::ServiceFailed))?;
    response.message.header().check_request_hash(&soap_request_hash(request.bytes()))?;
    Ok(response)
}

async fn log_response(
    worker: &Worker,
    request: &SoapMessage,
    request_id: &str,
    response: &Verified<SoapMessage>,
    attachments: &mut [Attachment],
) -> Result<DurableRecord, XRoadError> {
    let header = response.message.header();
    let logged = Logged {
        message_id: &header.message_id,
        direction: Direction::Response,
        client: &request.header().client,
        consumer: &request.header().client,
        service: &request.header().service,
        request_id: Some(request_id),
    };
    let bodies = attachments.iter_mut().map(|attachment| &mut attachment.body.spool).collect();
    let (soap, signature) = (response.message.bytes().clone(), response.signature.clone());
    record::soap(worker, logged, header, soap, bodies, signature).await
}

/// Gives the verified and logged response to the client.
async fn deliver(
    worker: &Worker,
    exchange: &mut ServerExchange,
    mut answer: Answer,
) -> Result<(), HttpError> {
    let began = Instant::now();
    let boundary = Boundary::from_random(&letters(&*worker.shared.entropy)).related();
    let has_attachments = !answer.attachments.is_empty();
    let form = SoapForm::new(&answer.original_content_type, has_attachments, boundary);
    let date = http_date(worker.now());
    let headers = [("Date", date.as_str()), ("Content-Type", form.content_type.as_str())];
    exchange.respond(200, "OK", &headers, BodyFraming::Chunked).await?;
    let soap = answer.response.message.bytes().clone();
    form.write(exchange, &answer.headers, soap, &mut answer.attachments).await?;
    exchange.finish().await?;
    worker.shared.counters.phase(Phase::Reply, began);
    Ok(())
}
