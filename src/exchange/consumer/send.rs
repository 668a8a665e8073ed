//! Sending a request to the provider's security server.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::exchange::body::Sink;
use crate::exchange::context::Worker;
use crate::exchange::counters::Phase;
use crate::exchange::http_failure::http_failure;
use crate::exchange::selection::{self, Chosen};
use crate::limits::{RESEND_BYTES_MAX, WRITE_BUFFER_BYTES};
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::transport::{Outgoing as HeaderFields, request_headers};
use crate::trust::TrustSnapshot;
use crate::worker::{BodyFraming, ClientConnection, HttpError, ResponseHead};

/// How long to look for an answer of a peer that broke off our sending: it may have refused the message early.
const EARLY_ANSWER: Duration = Duration::from_secs(5);

/// A request on its way. What was sent is remembered, within bounds, because a peer may close a pooled connection at
/// any moment: the message, already signed and logged, may then be sent once more, unchanged, on a new connection.
pub struct PeerRequest {
    chosen: Chosen,
    headers: Vec<(&'static str, String)>,
    sent: Option<Vec<Vec<Bytes>>>,
    sent_bytes: usize,
    broken: bool,
}

/// What the first lines of a request say.
pub struct RequestFields<'a> {
    /// SOAPAction; `None` for REST.
    pub soap_action: Option<&'a str>,
    /// `Content-Type` of the client; empty when it sent none.
    pub original_content_type: &'a str,
    /// The id of the exchange.
    pub request_id: &'a str,
    /// `Content-Type` of the transport message.
    pub content_type: &'a str,
}

impl PeerRequest {
    /// Begins the request on a verified connection.
    pub async fn begin(
        worker: &Worker,
        mut chosen: Chosen,
        fields: &RequestFields<'_>,
    ) -> Result<Self, XRoadError> {
        let headers: HeaderFields<'_> = request_headers(
            fields.soap_action,
            fields.original_content_type,
            fields.request_id,
            &worker.shared.config.proxy.version,
            fields.content_type,
            &chosen.host,
        );
        let headers: Vec<(&'static str, String)> =
            headers.into_iter().map(|(name, value)| (name, value.into_owned())).collect();
        let begun = send_head(&mut chosen.connection, &headers).await;
        begun.map_err(|error| failure(&error, &chosen.address))?;
        let remember = chosen.connection.reused().then(Vec::new);
        Ok(Self { chosen, headers, sent: remember, sent_bytes: 0, broken: false })
    }

    /// Ends the request and waits for the head of the answer.
    pub async fn answer(
        mut self,
        worker: &Rc<Worker>,
        trust: &TrustSnapshot,
        provider: &ClientId,
    ) -> Result<(ClientConnection, ResponseHead), XRoadError> {
        let began = Instant::now();
        let answered = self.try_answer(worker).await;
        worker.shared.counters.phase(Phase::Peer, began);
        match answered {
            Ok(head) => Ok((self.chosen.connection, head)),
            // An answer that takes too long may still come about: the service would get the request twice.
            Err(error)
                if self.chosen.connection.may_resend()
                    && self.sent.is_some()
                    && !matches!(error, HttpError::Timeout(_)) =>
            {
                tracing::debug!(address = self.chosen.address, %error, "sending again on a new connection");
                Box::pin(self.repeat(worker, trust, provider)).await
            }
            Err(error) => Err(failure(&error, &self.chosen.address)),
        }
    }

    async fn try_answer(&mut self, worker: &Worker) -> Result<ResponseHead, HttpError> {
        let connection = &mut self.chosen.connection;
        let finished = if self.broken { Err(HttpError::Closed) } else { connection.finish_request().await };
        let limit = if finished.is_ok() { read_timeout(worker) } else { EARLY_ANSWER };
        connection.read_head(limit).await
    }

    async fn repeat(
        self,
        worker: &Rc<Worker>,
        trust: &TrustSnapshot,
        provider: &ClientId,
    ) -> Result<(ClientConnection, ResponseHead), XRoadError> {
        let Chosen { address, others, .. } = self.chosen;
        let (mut connection, address) =
            selection::reconnect(worker, trust, provider, address, others).await?;
        let again = async {
            send_head(&mut connection, &self.headers).await?;
            for piece in self.sent.into_iter().flatten() {
                connection.write_joined(piece).await?;
            }
            connection.finish_request().await?;
            connection.read_head(read_timeout(worker)).await
        };
        let head = again.await.map_err(|error| failure(&error, &address))?;
        Ok((connection, head))
    }
}

impl Sink for PeerRequest {
    // A failure is not reported here: the peer may have answered early, and a reused connection may have been
    // closed, which [`PeerRequest::answer`] finds out after the message was signed and logged.
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), HttpError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(WRITE_BUFFER_BYTES));
            self.write_joined(vec![piece]).await?;
        }
        Ok(())
    }

    async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError> {
        if let Some(sent) = &mut self.sent {
            self.sent_bytes += piece.iter().map(Bytes::len).sum::<usize>();
            sent.push(piece.clone());
            if self.sent_bytes > RESEND_BYTES_MAX {
                self.sent = None;
            }
        }
        if self.broken {
            return Ok(());
        }
        match self.chosen.connection.write_joined(piece).await {
            Ok(()) => Ok(()),
            Err(error @ HttpError::Misuse(_)) => Err(error),
            Err(error) => {
                tracing::debug!(address = self.chosen.address, %error, "the peer broke off a request");
                self.broken = true;
                Ok(())
            }
        }
    }
}

async fn send_head(
    connection: &mut ClientConnection,
    headers: &[(&'static str, String)],
) -> Result<(), HttpError> {
    connection.send_request("POST", b"/", headers, BodyFraming::Chunked).await
}

fn read_timeout(worker: &Worker) -> Duration {
    const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);
    match worker.shared.config.proxy.client_read_timeout_ms {
        0 => NO_LIMIT,
        millis => Duration::from_millis(millis),
    }
}

fn failure(error: &HttpError, address: &str) -> XRoadError {
    http_failure(error, &format!("security server {address}"))
}

/// The own OCSP responses that go first in every request, one for each certificate of the authentication chain.
/// A missing one is `cannot_create_signature` (sic, X-Road 7.8 behaviour).
pub fn own_ocsp_responses(worker: &Worker, trust: &TrustSnapshot) -> Result<Vec<Bytes>, XRoadError> {
    let authentication = worker.shared.authentication.load();
    let now = worker.now();
    let response = |certificate: &crate::crypto::Certificate| {
        let usable = trust.ocsp.get(certificate).filter(|found| !found.is_expired(now, &trust.global_conf));
        usable.map(crate::trust::OcspResponse::der_bytes).ok_or_else(|| {
            let text = format!("no OCSP response for own certificate \"{}\"", certificate.subject());
            XRoadError::new(ErrorCode::CannotCreateSignature, text)
        })
    };
    authentication.iter().flat_map(|own| own.chain.iter()).map(response).collect()
}

/// Step: an own authentication certificate is at hand, else `ssl_authentication_failed`.
pub fn require_authentication(worker: &Worker) -> Result<(), XRoadError> {
    match *worker.shared.authentication.load() {
        Some(_) => Ok(()),
        None => {
            let text = "this security server has no usable authentication certificate";
            Err(XRoadError::new(ErrorCode::SslAuthenticationFailed, text))
        }
    }
}
