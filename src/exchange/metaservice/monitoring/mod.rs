//! What the owner, the central monitoring client and, about themselves, others are told of this server: operational
//! records and health figures (PR-OPMON), and environmental figures.

mod answer;
mod environment;
mod health;
mod operational;
mod request;

use bytes::Bytes;

use super::SoapAnswer;
use crate::exchange::context::Worker;
use crate::message::{ErrorCode, SoapHeader, SoapMessage, XRoadError};
use crate::trust::TrustSnapshot;

/// Namespace of the operational monitoring services.
pub const NAMESPACE: &str = "http://x-road.eu/xsd/op-monitoring.xsd";
/// Before the codes of refusals, as official servers write them.
const PREFIX: &str = "server.serverproxy.opmonitor";
const OPERATIONAL_DATA: &str = "getSecurityServerOperationalData";
const HEALTH_DATA: &str = "getSecurityServerHealthData";

/// Whether a request is one for monitoring: the server's owner, as a member, is the provider. Environmental monitoring
/// has no version, operational monitoring any.
pub fn claims(worker: &Worker, header: &SoapHeader) -> bool {
    let config = &worker.shared.config;
    let is_on = match header.service.service_code() {
        OPERATIONAL_DATA | HEALTH_DATA => config.monitoring.operational,
        environment::METRICS => config.monitoring.environmental && header.service.service_version().is_none(),
        _ => return false,
    };
    is_on && header.service.client() == config.server_id.owner().client()
}

/// Step, before the signature is verified: whoever asks may ask for this at all. Error: `access_denied`.
pub fn check_access(worker: &Worker, trust: &TrustSnapshot, header: &SoapHeader) -> Result<(), XRoadError> {
    match header.service.service_code() {
        environment::METRICS if claims(worker, header) => environment::check_access(worker, trust, header),
        _ => Ok(()),
    }
}

/// Answers. Errors: `server.serverproxy.opmonitor.client.invalid_request`, `….internal_error`.
pub async fn answer(
    worker: &Worker,
    trust: &TrustSnapshot,
    request: &SoapMessage,
) -> Result<SoapAnswer, XRoadError> {
    match request.header().service.service_code() {
        OPERATIONAL_DATA => operational::answer(worker, trust, request).await,
        environment::METRICS => environment::answer(worker, request).await,
        _ => health::answer(worker, request),
    }
}

fn invalid(text: impl Into<String>) -> XRoadError {
    let code = format!("{PREFIX}.client.{}", ErrorCode::InvalidRequest.as_str());
    XRoadError::with_code(code, text.into())
}

fn internal(text: impl Into<String>) -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, text.into()).prefixed(PREFIX)
}

fn plain(request: &SoapMessage, body: &str) -> SoapAnswer {
    let soap: Bytes = request.with_body(body.as_bytes());
    SoapAnswer { soap, attachment: None, content_type: "text/xml; charset=UTF-8".into() }
}
