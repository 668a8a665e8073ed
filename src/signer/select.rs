//! Which certificates may be used now (`trust.md` 6.2).

use crate::crypto::{Certificate, to_hex};
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;
use crate::trust::{OcspResponse, TrustSnapshot};

use super::token::{CertificateStatus, TokenCertificate};

/// A certificate that may be used, and what goes with it.
#[derive(Debug, Clone)]
pub(super) struct Usable {
    /// The certificate and the intermediate authorities above it; the topmost authority is left out.
    pub chain: Vec<Certificate>,
    /// One answer per certificate of `chain`, in its order.
    pub ocsp_responses: Vec<OcspResponse>,
    /// The last moment at which all of this holds.
    pub until: UnixTime,
}

/// Checks activity, registration and dates. The error is one clause.
pub(super) fn check_state(certificate: &TokenCertificate, now: UnixTime) -> Result<(), &'static str> {
    if !certificate.active {
        return Err("it is not active");
    }
    if certificate.status != Some(CertificateStatus::Registered) {
        return Err("it is not registered");
    }
    if !certificate.certificate.is_valid_at(now) {
        return Err("it is not valid at this time");
    }
    Ok(())
}

/// The certificate with the authorities above it in an instance, topmost included.
pub(super) fn chain_of(
    trust: &TrustSnapshot,
    instance: &str,
    certificate: &Certificate,
) -> Result<Vec<Certificate>, XRoadError> {
    let chain = trust.global_conf.cert_chain(instance, certificate);
    if chain.len() < 2 {
        let issuer = certificate.issuer();
        let text = format!("Certificate issuer \"{issuer}\" is not approved in instance {instance}");
        return Err(XRoadError::new(ErrorCode::CannotCreateSignature, text));
    }
    Ok(chain)
}

/// Checks everything, OCSP answers of the whole chain included: what a signature must carry. Every error is
/// `cannot_create_signature`.
pub(super) fn usable(
    certificate: &TokenCertificate,
    instance: &str,
    trust: &TrustSnapshot,
    now: UnixTime,
) -> Result<Usable, XRoadError> {
    let failed = |text: String| XRoadError::new(ErrorCode::CannotCreateSignature, text);
    let subject = certificate.certificate.subject();
    check_state(certificate, now)
        .map_err(|reason| failed(format!("Certificate \"{subject}\" cannot be used: {reason}")))?;
    let mut chain = chain_of(trust, instance, &certificate.certificate)?;
    let issuers = chain.split_off(1);
    let top = issuers.len() - 1;
    chain.extend(issuers.iter().take(top).cloned());
    let missing: Vec<String> = chain
        .iter()
        .filter(|link| trust.ocsp.get(link).is_none())
        .map(|link| to_hex(link.sha256()))
        .collect();
    if !missing.is_empty() {
        let list = missing.join(", ");
        return Err(failed(format!("OCSP responses are not available for certificates with hashes: {list}")));
    }
    let mut until = certificate.certificate.not_after();
    let mut ocsp_responses = Vec::with_capacity(chain.len());
    for (link, issuer) in chain.iter().zip(&issuers) {
        let Some(response) = trust.ocsp.get(link) else { continue };
        response
            .verify(issuer, link, now, &trust.global_conf, &trust.policy)
            .map_err(|error| failed(format!("Certificate \"{}\" cannot be used: {error}", link.subject())))?;
        until = until.min(response.usable_until(&trust.global_conf));
        ocsp_responses.push(response.clone());
    }
    Ok(Usable { chain, ocsp_responses, until })
}
