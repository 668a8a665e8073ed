//! The steps that a request of either kind takes before its service is looked for.

use bytes::Bytes;

use super::error;
use crate::config::XRoadVersion;
use crate::exchange::context::{Worker, require_registered};
use crate::exchange::incoming::Incoming;
use crate::exchange::peer;
use crate::exchange::repeats::Fingerprint;
use crate::message::{ClientId, ErrorCode, ServiceId, XRoadError};
use crate::registry::{Registry, Service};
use crate::transport::HASH_ALGORITHM;
use crate::trust::TrustSnapshot;
use crate::worker::{PeerInfo, RequestHead};

/// Steps 1 to 3, and the hash algorithm: method, global configuration, version of the consumer's server.
pub fn check_head(worker: &Worker, trust: &TrustSnapshot, head: &RequestHead) -> Result<(), XRoadError> {
    if head.method != b"POST".as_slice() {
        return Err(error(ErrorCode::InvalidHttpMethod, "security servers send their messages by POST"));
    }
    worker.require_valid_global_conf(&trust.global_conf)?;
    if let Some(minimum) = &worker.shared.config.proxy.min_supported_client_version {
        let sent = head.header("x-proxy-version").map(AsRef::as_ref).unwrap_or(b"unknown");
        check_version(&String::from_utf8_lossy(sent), minimum)?;
    }
    let algorithm = head.header("x-hash-algorithm");
    match algorithm {
        Some(name) if name.eq_ignore_ascii_case(HASH_ALGORITHM.as_bytes()) => Ok(()),
        Some(name) => {
            let text = format!("hash algorithm {} is not accepted", String::from_utf8_lossy(name));
            Err(error(ErrorCode::InternalError, text))
        }
        None => Err(error(ErrorCode::InternalError, "the header field x-hash-algorithm is missing")),
    }
}

fn check_version(sent: &str, minimum: &XRoadVersion) -> Result<(), XRoadError> {
    let Some(version) = XRoadVersion::parse(sent) else {
        return Err(error(ErrorCode::InternalError, format!("\"{sent}\" is not a version")));
    };
    if version < *minimum {
        let (major, minor, patch) = minimum.numbers;
        let text = format!(
            "the client's security server has version {sent}, the oldest supported one is {major}.{minor}.{patch}"
        );
        return Err(error(ErrorCode::ClientProxyVersionNotSupported, text));
    }
    Ok(())
}

/// `Content-Type` of the transport message, and the multipart that it announces. Errors: `service_failed.…`.
pub fn begin(worker: &Worker, head: &RequestHead) -> Result<Box<Incoming>, XRoadError> {
    let content_type = head.header("content-type").map(|value| String::from_utf8_lossy(value).into_owned());
    Incoming::new(worker, content_type.as_deref().unwrap_or_default())
        .map_err(|error| error.within(ErrorCode::ServiceFailed))
}

/// Step 5, as soon as the message part is read and before anything after it is taken: the provider is served here, it
/// can sign, and the server at the other end may send for this consumer. Errors: `service_failed.…`.
pub fn check_parties(
    worker: &Worker,
    trust: &TrustSnapshot,
    registry: &Registry,
    parties: (&ClientId, &ServiceId),
    peer_info: &PeerInfo,
    ocsp: &[Bytes],
) -> Result<(), XRoadError> {
    let (client, service) = parties;
    let provider = service.client();
    let checked = require_registered(registry, &provider)
        .map(|_| ())
        .and_then(|()| worker.shared.signer.require_usable(&provider.member()))
        .and_then(|()| peer::verify_client(worker, trust, client, &peer_info.certificates, ocsp));
    checked.map_err(|error| error.within(ErrorCode::ServiceFailed))
}

/// Steps 9 and 10: the service is there, of exactly this version, and takes messages of this kind.
pub fn find_service<'r>(
    registry: &'r Registry,
    id: &ServiceId,
    is_rest: bool,
) -> Result<&'r Service, XRoadError> {
    let Some(service) = registry.service(id) else {
        // As official servers say it: people search for these words.
        let text = format!("Unknown service: {}:{id}", id.type_name());
        return Err(error(ErrorCode::UnknownService, text));
    };
    if service.service_type.is_rest() != is_rest {
        let (kind, wanted) = if is_rest { ("REST", "SOAP") } else { ("SOAP", "REST") };
        let text = format!("service {id} takes {wanted} messages, this one is {kind}");
        return Err(error(ErrorCode::ServiceType, text));
    }
    Ok(service)
}

/// Step 12: the service is not switched off.
pub fn require_enabled(service: &Service) -> Result<(), XRoadError> {
    match &service.disabled {
        Some(notice) => {
            Err(error(ErrorCode::ServiceDisabled, format!("service {} is disabled: {notice}", service.id)))
        }
        None => Ok(()),
    }
}

/// Step 13b: a signed request that has come before is counted, and refused where the service wants that.
pub fn note_repeat(
    worker: &Worker,
    registry: &Registry,
    id: &ServiceId,
    fingerprint: Fingerprint,
) -> Result<(), XRoadError> {
    if !worker.shared.repeats.is_repeat(fingerprint) {
        return Ok(());
    }
    worker.shared.counters.repeated_request();
    match registry.service(id) {
        Some(service) if service.refuse_repeats => {
            Err(error(ErrorCode::InvalidMessage, format!("this request to {id} has been received before")))
        }
        _ => Ok(()),
    }
}

/// The refusal of step 11.
pub fn access_denied(client: &ClientId, service: &ServiceId) -> XRoadError {
    error(ErrorCode::AccessDenied, format!("request is not allowed: client {client} may not call {service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_transport_05_versions_are_compared_as_semantic_versions() {
        let minimum = XRoadVersion::parse("7.6.0").unwrap();
        assert!(check_version("7.8.0", &minimum).is_ok());
        assert!(check_version("7.6.0", &minimum).is_ok());
        for old in ["7.5.9", "7.6.0-SNAPSHOT"] {
            let error = check_version(old, &minimum).unwrap_err();
            assert_eq!(error.code(), "client_proxy_version_not_supported", "{old}");
        }
        assert_eq!(check_version("unknown", &minimum).unwrap_err().code(), "internal_error");
    }
}
