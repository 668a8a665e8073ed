//! What makes an answer count (X-Road 7.8 behaviour and the stricter rules of this server).

use super::cache::Signer;
use super::request::CertId;
use super::response::{CertStatus, OcspResponse, ResponderId};
use crate::crypto::{Certificate, EcdsaFormat, SignatureAlgorithm, oid, sha1};
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;
use crate::trust::{GlobalConf, Policy};

fn incorrect(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::IncorrectValidationInfo, text)
}

impl OcspResponse {
    /// Verifies that the answer says "good" about `certificate`, issued by `issuer`, at `at`. In this order:
    /// certificate id, responder known, signature, responder authorised (and valid at the time, and strong
    /// enough), fresh, nextUpdate, else `incorrect_validation_info`; status good, else `cert_validation`.
    pub fn verify(
        &self,
        issuer: &Certificate,
        certificate: &Certificate,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        self.verify_for(None, issuer, certificate, at, global_conf, policy)
    }

    // As `verify`; a listed responder must be listed by `instance`, if one is given.
    fn verify_for(
        &self,
        instance: Option<&str>,
        issuer: &Certificate,
        certificate: &Certificate,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        self.verify_origin(instance, issuer, certificate, at, global_conf, policy)?;
        self.verify_times(at, global_conf, policy)?;
        match self.status() {
            CertStatus::Good => Ok(()),
            CertStatus::Revoked { .. } => Err(revoked()),
            CertStatus::Unknown => Err(XRoadError::new(
                ErrorCode::CertValidation,
                "OCSP response says that the certificate is unknown",
            )),
        }
    }

    /// As [`Self::verify`], but whatever the status is: what a fetcher checks before it stores an answer.
    pub fn verify_for_storage(
        &self,
        issuer: &Certificate,
        certificate: &Certificate,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        self.verify_origin(None, issuer, certificate, at, global_conf, policy)?;
        self.verify_times(at, global_conf, policy)
    }

    /// Whether the answer has become too old to be used at `at`.
    pub fn is_expired(&self, at: UnixTime, global_conf: &GlobalConf) -> bool {
        self.usable_until(global_conf) < at
    }

    /// The last moment at which the answer is fresh and nextUpdate, where enforced, has not passed.
    pub fn usable_until(&self, global_conf: &GlobalConf) -> UnixTime {
        let fresh = self.this_update().plus_secs(global_conf.ocsp_freshness_secs());
        match self.next_update() {
            Some(next) if global_conf.verify_next_update() => fresh.min(next),
            _ => fresh,
        }
    }

    fn verify_origin(
        &self,
        instance: Option<&str>,
        issuer: &Certificate,
        certificate: &Certificate,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        if !self.is_about(&CertId::new(certificate, issuer)) {
            return Err(incorrect("OCSP response is not about this certificate"));
        }
        self.verify_authority(instance, issuer, certificate, at, global_conf, policy)
    }

    // Whoever answered may speak about certificates of this issuer.
    fn verify_authority(
        &self,
        instance: Option<&str>,
        issuer: &Certificate,
        certificate: &Certificate,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        let inner = self.inner();
        let key = (inner.digest, *certificate.sha256(), *issuer.sha256());
        let Signer { responder, is_vouched_for } = match global_conf.ocsp_checks.get(&key) {
            Some(signer) => signer,
            None => {
                let responder = self.find_responder(global_conf)?;
                self.verify_signature(&responder)?;
                let is_vouched_for = is_vouched_for(&responder, issuer);
                let signer = Signer { responder, is_vouched_for };
                global_conf.ocsp_checks.insert(key, signer.clone());
                signer
            }
        };
        let is_listed = global_conf.lists_ocsp_responder(instance, issuer, &responder);
        if !is_listed && !is_vouched_for {
            return Err(incorrect("OCSP responder is not authorised by the issuer of the certificate"));
        }
        policy.check_signature(inner.algorithm, responder.public_key()).map_err(incorrect)?;
        if responder != *issuer {
            if !responder.is_valid_at(at) {
                return Err(incorrect("OCSP responder certificate is not valid at this time"));
            }
            // Only what the issuer vouches for by its signature; a listed one is vouched for by its listing.
            let legacy = responder.signature_algorithm().is_none_or(SignatureAlgorithm::is_legacy);
            if legacy && !is_listed && !policy.allow_sha1 {
                return Err(incorrect("OCSP responder certificate is signed with SHA-1"));
            }
            if responder.has_unknown_critical() {
                return Err(incorrect("OCSP responder certificate has an unknown critical extension"));
            }
        }
        if inner.unknown_critical {
            return Err(incorrect("OCSP response has an unknown critical extension"));
        }
        Ok(())
    }

    // By name or key hash; configured responders first, then CAs, then what the answer carries. Only the
    // first match is tried, as upstream does: a signer and a responder may share a name.
    fn find_responder(&self, global_conf: &GlobalConf) -> Result<Certificate, XRoadError> {
        let inner = self.inner();
        let matches = |candidate: &&Certificate| match &inner.responder {
            ResponderId::Name(name) => candidate.subject() == name,
            ResponderId::KeyHash(hash) => sha1(candidate.public_key().key_bits())[..] == **hash,
        };
        let configured = global_conf.ocsp_responder_certificates().iter();
        let mut candidates =
            configured.chain(global_conf.ca_certificates()).chain(&inner.certificates).filter(matches);
        candidates.next().cloned().ok_or_else(|| incorrect("OCSP responder is not known"))
    }

    fn verify_signature(&self, responder: &Certificate) -> Result<(), XRoadError> {
        let inner = self.inner();
        let algorithm =
            inner.algorithm.ok_or_else(|| incorrect("OCSP signature algorithm is not supported"))?;
        let tbs = inner.der.get(inner.tbs.clone()).unwrap_or_default();
        responder
            .public_key()
            .verify(algorithm, tbs, &inner.signature, EcdsaFormat::Der)
            .map_err(|_| incorrect("signature on OCSP response is not valid"))
    }

    fn verify_times(
        &self,
        at: UnixTime,
        global_conf: &GlobalConf,
        policy: &Policy,
    ) -> Result<(), XRoadError> {
        if self.this_update() < at.plus_secs(-global_conf.ocsp_freshness_secs()) {
            return Err(incorrect("OCSP response is too old (thisUpdate)"));
        }
        if self.this_update() > at.plus_secs(policy.clock_skew_secs) && !policy.allow_future_ocsp {
            return Err(incorrect("OCSP response is from the future (thisUpdate)"));
        }
        if global_conf.verify_next_update() && self.next_update().is_some_and(|next| next < at) {
            return Err(incorrect("OCSP response is too old (nextUpdate)"));
        }
        Ok(())
    }
}

fn revoked() -> XRoadError {
    XRoadError::new(ErrorCode::CertValidation, "OCSP response says that the certificate is revoked")
}

// The CA itself, or issued by it for this purpose.
fn is_vouched_for(responder: &Certificate, issuer: &Certificate) -> bool {
    responder == issuer || (responder.has_purpose(oid::OCSP_SIGNING) && responder.is_issued_by(issuer))
}

/// Checks `certificate` of a member or server of `instance` against all answers about it: one that is authentic and says "revoked" at or before
/// `at` decides, however old; otherwise one must pass all checks. No answer: `cert_validation`.
pub(in crate::trust) fn check_all(
    instance: &str,
    answers: &[OcspResponse],
    issuer: &Certificate,
    certificate: &Certificate,
    at: UnixTime,
    global_conf: &GlobalConf,
    policy: &Policy,
) -> Result<(), XRoadError> {
    let id = CertId::new(certificate, issuer);
    let mut verdict = Err(XRoadError::new(
        ErrorCode::CertValidation,
        format!("no OCSP response for certificate \"{}\"", certificate.subject()),
    ));
    let mut first = true;
    // In any of its statements, under an id of any digest: bad news needs no particular form.
    let revoking = answers.iter().filter(|answer| answer.says_revoked(certificate, issuer, at));
    for answer in revoking {
        if answer.verify_authority(Some(instance), issuer, certificate, at, global_conf, policy).is_ok() {
            return Err(revoked());
        }
    }
    for answer in answers.iter().filter(|answer| answer.is_about(&id)) {
        let checked = answer.verify_for(Some(instance), issuer, certificate, at, global_conf, policy);
        if first || (verdict.is_err() && checked.is_ok()) {
            verdict = checked;
        }
        first = false;
    }
    verdict
}
