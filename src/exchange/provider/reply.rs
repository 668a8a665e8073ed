//! The answer to the consumer's security server: a multipart of the response, its signature, or a fault in their place.

use crate::exchange::answer::log_fault;
use crate::exchange::context::Worker;
use crate::exchange::http_date::http_date;
use crate::exchange::outgoing::Outgoing;
use crate::message::XRoadError;
use crate::transport::response_headers;
use crate::worker::{BodyFraming, HttpError, ServerExchange};

/// Begins the multipart: status 200, header fields in the order and the case of official servers.
pub async fn begin(
    worker: &Worker,
    exchange: &mut ServerExchange,
    outgoing: &Outgoing,
    original_content_type: Option<&str>,
) -> Result<(), HttpError> {
    let reuse = worker.shared.config.proxy.connection_reuse;
    let (date, content_type) = (http_date(worker.now()), outgoing.content_type());
    let mut headers = vec![("Date", date.as_str())];
    let fields = response_headers(&content_type, original_content_type, reuse);
    headers.extend(fields.iter().map(|(name, value)| (*name, value.as_ref())));
    let framing = if reuse { BodyFraming::Chunked } else { BodyFraming::UntilClose };
    exchange.respond(200, "OK", &headers, framing).await
}

/// Ends the multipart with a fault as last part; `error` has its prefix.
pub async fn fault(
    worker: &Worker,
    exchange: &mut ServerExchange,
    outgoing: &mut Outgoing,
    error: XRoadError,
) -> Result<(), HttpError> {
    worker.shared.counters.error();
    let fault = log_fault(worker, &error);
    fault_bytes(exchange, outgoing, &fault.to_xml()).await
}

/// Ends the multipart with a fault as it came.
pub async fn fault_bytes(
    exchange: &mut ServerExchange,
    outgoing: &mut Outgoing,
    xml: &[u8],
) -> Result<(), HttpError> {
    outgoing.fault(xml);
    outgoing.close(exchange).await?;
    exchange.finish().await
}
