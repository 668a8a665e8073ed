//! Certificate chains.

use super::ocsp::{self, OcspResponse};
use super::{GlobalConf, Policy};
use crate::crypto::Certificate;
use crate::limits;
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;

impl GlobalConf {
    /// The chain of `certificate` in an instance: itself, the CAs above it, the topmost last. Built by issuer
    /// names, nothing is verified. Ends early when an issuer is not known.
    pub fn cert_chain(&self, instance: &str, certificate: &Certificate) -> Vec<Certificate> {
        let mut chain = vec![certificate.clone()];
        let mut last = certificate;
        while !last.is_self_issued() && chain.len() <= limits::INTERMEDIATE_CERTS_MAX {
            let Some(issuer) = self.ca_by_subject(instance, last.issuer()) else { break };
            chain.push(issuer.clone());
            last = issuer;
        }
        chain
    }
}

/// What a chain is verified with.
#[derive(Clone, Copy)]
pub struct ChainContext<'a> {
    /// The configuration.
    pub global_conf: &'a GlobalConf,
    /// Instance whose CAs may be trust anchors: that of the signer, or of the other party.
    pub instance: &'a str,
    /// Answers at hand; further ones are ignored.
    pub ocsp: &'a [OcspResponse],
    /// The time of use.
    pub at: UnixTime,
    /// The rules.
    pub policy: &'a Policy,
}

/// Verifies `end_entity` with the CA that issued it (directly) as trust anchor, as signatures and providers'
/// authentication certificates are. Gives the path without the anchor, end entity first. Errors:
/// `cannot_create_cert_path.internal_error`, `invalid_cert_path.…`.
pub fn verify_chain(
    context: ChainContext<'_>,
    end_entity: &Certificate,
    additional: &[Certificate],
) -> Result<Vec<Certificate>, XRoadError> {
    let anchor = context.global_conf.ca_by_subject(context.instance, end_entity.issuer());
    let anchor = anchor.ok_or_else(|| {
        cannot_create(&format!(
            "issuer \"{}\" is not approved in instance \"{}\"",
            end_entity.issuer(),
            context.instance
        ))
    })?;
    verify_chain_to(context, anchor, end_entity, additional)
}

/// Verifies `end_entity` up to `anchor`. The anchor is only a name and a key: its own validity, extensions
/// and status do not count (`trust.md` 4.5). OCSP answers are needed for all of the path but the anchor.
pub fn verify_chain_to(
    context: ChainContext<'_>,
    anchor: &Certificate,
    end_entity: &Certificate,
    additional: &[Certificate],
) -> Result<Vec<Certificate>, XRoadError> {
    let path = build_path(context, anchor, end_entity, additional).map_err(cannot_create)?;
    for (at, certificate) in path.iter().enumerate() {
        let issuer = path.get(at + 1).unwrap_or(anchor);
        let checked = check_status(context, issuer, certificate);
        checked.map_err(|error| error.within(ErrorCode::InvalidCertPath))?;
    }
    Ok(path)
}

// The issuer that counts for OCSP is the configured CA with that name, where there is one.
fn check_status(
    context: ChainContext<'_>,
    issuer: &Certificate,
    certificate: &Certificate,
) -> Result<(), XRoadError> {
    let configured = context.global_conf.ca_by_subject(context.instance, certificate.issuer());
    let issuer = configured.unwrap_or(issuer);
    let ChainContext { global_conf, instance, ocsp, at, policy } = context;
    ocsp::check_all(instance, ocsp, issuer, certificate, at, global_conf, policy)
}

// Official servers have no code for what is wrong with a path, hence the second half (X-Road 7.8 behaviour).
fn cannot_create(text: &str) -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, text.to_owned()).within(ErrorCode::CannotCreateCertPath)
}

/// Searches a path from `end_entity` to `anchor` through `additional`: every certificate within its validity,
/// signed by the next, without extensions that are not understood; intermediates are CAs that may sign
/// certificates, path lengths kept. The search is bounded.
fn build_path(
    context: ChainContext<'_>,
    anchor: &Certificate,
    end_entity: &Certificate,
    additional: &[Certificate],
) -> Result<Vec<Certificate>, &'static str> {
    if end_entity == anchor {
        return Err("the certificate is itself a trust anchor");
    }
    if additional.len() > limits::INTERMEDIATE_CERTS_MAX {
        return Err("too many intermediate certificates");
    }
    check_certificate(context, end_entity)?;
    let mut search = Search { context, anchor, additional, steps: 0, failure: "no path to a trust anchor" };
    let mut path = vec![end_entity.clone()];
    if search.extend(&mut path) { Ok(path) } else { Err(search.failure) }
}

struct Search<'a> {
    context: ChainContext<'a>,
    anchor: &'a Certificate,
    additional: &'a [Certificate],
    steps: usize,
    failure: &'static str,
}

impl Search<'_> {
    fn extend(&mut self, path: &mut Vec<Certificate>) -> bool {
        let Some(last) = path.last().cloned() else { return false };
        if last.issuer() == self.anchor.subject() && self.is_signed(&last, self.anchor) {
            return true;
        }
        for candidate in self.additional {
            if candidate.subject() != last.issuer() || path.contains(candidate) || candidate == self.anchor {
                continue;
            }
            if let Err(failure) = check_intermediate(self.context, candidate, path) {
                self.failure = failure;
                continue;
            }
            if !self.is_signed(&last, candidate) {
                continue;
            }
            path.push(candidate.clone());
            if self.extend(path) {
                return true;
            }
            path.pop();
        }
        false
    }

    fn is_signed(&mut self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.steps += 1;
        if self.steps > limits::CERT_PATH_STEPS_MAX {
            self.failure = "too many possible paths";
            return false;
        }
        let algorithm = certificate.signature_algorithm();
        if let Err(failure) = self.context.policy.check_signature(algorithm, issuer.public_key()) {
            self.failure = failure;
            return false;
        }
        if self.context.global_conf.issued.verify(certificate, issuer).is_err() {
            self.failure = "the signature of a certificate is wrong";
            return false;
        }
        true
    }
}

fn check_certificate(context: ChainContext<'_>, certificate: &Certificate) -> Result<(), &'static str> {
    if !certificate.is_valid_at(context.at) {
        return Err("a certificate is not valid at this time");
    }
    if certificate.has_unknown_critical() {
        return Err("a certificate has an unknown critical extension");
    }
    context.policy.check_key(certificate.public_key())
}

fn check_intermediate(
    context: ChainContext<'_>,
    certificate: &Certificate,
    below: &[Certificate],
) -> Result<(), &'static str> {
    check_certificate(context, certificate)?;
    let constraints = certificate.basic_constraints().filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or("an intermediate certificate is not of a CA")?;
    if certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err("an intermediate certificate may not sign certificates");
    }
    if certificate.extensions().name_constraints {
        return Err("an intermediate certificate has name constraints, which are not supported");
    }
    // Self-issued certificates do not count for the path length (RFC 5280, 4.2.1.9).
    let between = below.iter().skip(1).filter(|below| !below.is_self_issued()).count();
    match constraints.path_length {
        Some(length) if between > length as usize => Err("a path is longer than its CA allows"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
