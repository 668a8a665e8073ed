//! What the flows tell operational monitoring: carried along with a message, handed over when it ends, however it
//! ends. Nothing here waits, looks up or formats.

use std::rc::Rc;

use bytes::Bytes;

use super::answer::Refusal;
use super::context::Worker;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::control::monitoring::{OperationalRecord, RestCall, Role, Sizes};
use crate::crypto::Certificate;
use crate::message::{RestRequest, SoapHeader, SoapMessage, XRoadError};
use crate::time::UnixTime;
use crate::worker::PeerInfo;

/// Which exchange was refused, for the journal's line about it. The observation leaves it on its worker, and whoever writes
/// the line, before anything else runs there, takes it.
#[derive(Debug, Default)]
pub struct Refused {
    /// Message id, empty while it is not read.
    pub message_id: String,
    /// The client.
    pub client: String,
    /// The service.
    pub service: String,
    /// The other security server: its address on the consumer's side, its identifier on the provider's.
    pub peer: String,
}

impl Refused {
    fn of(record: &OperationalRecord, worker: &Worker) -> Self {
        let server = || {
            let certificate = Certificate::from_der(record.peer_certificate.as_ref()?).ok()?;
            worker.trust().global_conf.auth_cert_server(&certificate).map(|server| server.to_string())
        };
        Self {
            message_id: record.message_id.clone().unwrap_or_default(),
            client: record.client.as_ref().map(ToString::to_string).unwrap_or_default(),
            service: record.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            peer: record.peer_address.clone().or_else(server).unwrap_or_default(),
        }
    }
}

/// The record of an exchange that is going on.
pub struct Observation {
    worker: Rc<Worker>,
    record: Option<Box<OperationalRecord>>,
}

impl Observation {
    /// An exchange begins.
    pub fn begin(worker: &Rc<Worker>, role: Role) -> Self {
        let record = Some(Box::new(OperationalRecord::begun(role, worker.now())));
        Self { worker: Rc::clone(worker), record }
    }

    fn at(&mut self, set: impl FnOnce(&mut OperationalRecord, UnixTime)) {
        if let Some(record) = &mut self.record {
            set(record, self.worker.now());
        }
    }

    fn set(&mut self, set: impl FnOnce(&mut OperationalRecord)) {
        if let Some(record) = &mut self.record {
            set(record);
        }
    }

    /// The id that both sides record.
    pub fn request_id(&mut self, id: &str) {
        self.set(|record| record.request_id = Some(id.to_owned()));
    }

    /// The REST head was read.
    pub fn rest_request(&mut self, request: &RestRequest) {
        self.set(|record| {
            record.client = Some(request.client_id().clone());
            record.service = Some(request.service_id().clone());
            let (method, path) = (request.method().to_owned(), request.service_path().to_owned());
            record.rest = Some(RestCall { method, path });
            record.represented_party = request.represented_party().cloned();
            record.message_id = Some(request.message_id().to_owned());
            record.user_id = request.user_id().map(str::to_owned);
            record.issue = request.issue().map(str::to_owned);
            record.protocol_version = Some("1".to_owned());
            record.request_id = record.request_id.take().or(request.request_id().map(str::to_owned));
        });
    }

    /// The SOAP part was read.
    pub fn soap_request(&mut self, request: &SoapMessage) {
        self.set(|record| {
            let header: &SoapHeader = request.header();
            record.client = Some(header.client.clone());
            record.service = Some(header.service.clone());
            record.represented_party = header.represented_party.clone();
            record.message_id = Some(header.message_id.clone());
            record.user_id = header.user_id.clone();
            record.issue = header.issue.clone();
            record.protocol_version = Some(header.protocol_version.clone());
            let message = request.bytes().len() as u64;
            record.request = Some(Sizes { message, ..Sizes::default() });
        });
    }

    /// The other server of the connection (provider's side).
    pub fn peer(&mut self, peer: &PeerInfo) {
        self.set(|record| record.peer_certificate = peer.certificates.first().cloned());
    }

    /// The provider's server that was chosen (consumer's side).
    pub fn peer_address(&mut self, address: &str) {
        self.set(|record| record.peer_address = Some(address.to_owned()));
    }

    /// The whole request was sent.
    pub fn request_sent(&mut self, outgoing: &Outgoing) {
        self.set(|record| record.request = Some(outgoing.sizes()));
    }

    /// The whole request was received.
    pub fn request_received(&mut self, incoming: &Incoming) {
        self.set(|record| record.request = Some(incoming.sizes()));
    }

    /// The whole response was sent.
    pub fn response_sent(&mut self, outgoing: &Outgoing) {
        self.set(|record| record.response = Some(outgoing.sizes()));
    }

    /// The whole response was received.
    pub fn response_received(&mut self, incoming: &Incoming) {
        self.set(|record| record.response = Some(incoming.sizes()));
    }

    /// The request goes out now.
    pub fn request_out(&mut self) {
        self.at(|record, now| record.request_out = Some(now));
    }

    /// The head of the answer came in now.
    pub fn response_in(&mut self) {
        self.at(|record, now| record.response_in = Some(now));
    }

    /// The answer goes out now.
    pub fn response_out(&mut self) {
        self.at(|record, now| record.response_out = Some(now));
    }

    /// This server answers by itself.
    pub fn answered_here(&mut self) {
        self.set(|record| record.answered_here = true);
    }

    /// The exchange has a SOAP response that is no fault.
    pub fn succeeded(&mut self) {
        self.set(|record| record.succeeded = true);
    }

    /// The exchange has a REST response with this status.
    pub fn rest_status(&mut self, status: u16) {
        self.set(|record| {
            record.status = Some(status);
            record.succeeded = !(400..600).contains(&status);
        });
    }

    /// The exchange ends with this fault.
    pub fn fault(&mut self, code: &str, text: &str) {
        self.at(|record, now| {
            record.succeeded = false;
            record.fault = Some((code.to_owned(), text.to_owned()));
            record.response_out = record.response_out.or(Some(now));
        });
        if let Some(record) = &self.record {
            *self.worker.refused.borrow_mut() = Some(Refused::of(record, &self.worker));
        }
    }

    /// The exchange ends with this error, which is given back with its prefix.
    pub fn error(&mut self, error: XRoadError, prefix: &str) -> XRoadError {
        let error = error.prefixed(prefix);
        self.fault(error.code(), error.text());
        error
    }

    /// The exchange ends with this refusal, which is given back.
    pub fn refusal(&mut self, refusal: Refusal) -> Refusal {
        match &refusal {
            Refusal::Error(error) => self.fault(error.code(), error.text()),
            Refusal::Fault(fault, _) => {
                self.fault(&fault.code, &fault.string);
                let Refused { message_id, client, service, peer } =
                    self.worker.refused.take().unwrap_or_default();
                let (code, text) = (fault.code.as_str(), fault.string.as_str());
                tracing::info!(
                    code,
                    text,
                    message_id,
                    client,
                    service,
                    peer,
                    "the provider's side refused a message"
                );
            }
            Refusal::Status(..) | Refusal::Gone(_) => self.response_out(),
        }
        refusal
    }

    /// The exchange ends with a fault of the service, as it came.
    pub fn service_fault(&mut self, xml: &Bytes) {
        if self.record.is_some()
            && let Ok(crate::message::Soap::Fault(fault)) = crate::message::Soap::parse(xml.clone())
        {
            self.fault(&fault.fault.code, &fault.fault.string);
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.response_out = record.response_out.or_else(|| Some(self.worker.now()));
            if self.worker.shared.monitoring.is_on() {
                self.worker.shared.monitoring.push(record);
            }
        }
    }
}
