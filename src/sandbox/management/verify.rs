//! What a central server verifies of a management request (`trust.md` 8.4).

use super::registrations::Registrations;
use crate::control::management::{Addressed, BinaryPart, Form, ManagementRequest, Parts};
use crate::crypto::{Certificate, EcdsaFormat, SignatureAlgorithm};
use crate::message::{ErrorCode, MemberId, SoapMessage, XRoadError};
use crate::sandbox::parameters;
use crate::sandbox::pki::Pki;
use crate::sandbox::plan::Plan;
use crate::time::UnixTime;
use crate::trust::{
    CertStatus, GlobalConf, OcspResponse, Part, PartKind, Policy, is_auth_certificate, is_sign_certificate,
    subject_client_id,
};

/// A request is not what it should be.
pub fn invalid_request(text: impl Into<String>) -> XRoadError {
    XRoadError::new(ErrorCode::InvalidRequest, text.into())
}

fn certificate_refused(text: impl Into<String>) -> XRoadError {
    XRoadError::new(ErrorCode::CertValidation, text.into())
}

/// What a request is verified against.
pub struct Verifier<'v> {
    pub pki: &'v Pki,
    pub plan: &'v Plan,
    pub parts: &'v Parts,
    pub now: UnixTime,
    /// It came to the registration service, not through X-Road.
    pub straight: bool,
}

impl Verifier<'_> {
    pub fn verify(
        &self,
        message: &SoapMessage,
        addressed: &Addressed,
        registrations: &Registrations,
    ) -> Result<(), XRoadError> {
        let header = message.header();
        let owner = addressed.server.owner();
        if header.client != owner.client() {
            return Err(invalid_request("the consumer is not the owner of the server"));
        }
        if addressed.provider != parameters::management_provider(self.plan) {
            return Err(invalid_request("the management services have another provider"));
        }
        let form = addressed.request.form();
        if (form == Form::Registration) != self.straight {
            return Err(invalid_request("this service does not take such requests"));
        }
        let global_conf = self.global_conf(registrations)?;
        match (&form, self.parts.proofs.as_slice()) {
            (Form::Plain, []) => Ok(()),
            (Form::Signed(client), [signature, certificate, ocsp]) => {
                let certificate = self.sign_certificate(&global_conf, certificate, ocsp)?;
                self.check_signature(signature, &certificate)?;
                match client {
                    Some(client) => self.check_subject(&global_conf, &certificate, &client.member()),
                    None => Ok(()),
                }
            }
            (Form::Registration, [by_key, by_owner, authentication, certificate, ocsp]) => {
                self.check_authentication(&addressed.request, authentication, by_key)?;
                let certificate = self.sign_certificate(&global_conf, certificate, ocsp)?;
                self.check_signature(by_owner, &certificate)?;
                self.check_subject(&global_conf, &certificate, &owner)
            }
            _ => Err(invalid_request("the request has not the parts that it should have")),
        }
    }

    fn check_authentication(
        &self,
        request: &ManagementRequest,
        part: &BinaryPart,
        signature: &BinaryPart,
    ) -> Result<(), XRoadError> {
        let ManagementRequest::AuthCertReg { certificate: asked, .. } = request else {
            return Err(invalid_request("only authentication certificates are registered so"));
        };
        if part.bytes.as_ref() != asked.as_slice() {
            return Err(invalid_request("the certificate is not the one that the request names"));
        }
        let certificate = self.issued(part)?;
        if !is_auth_certificate(&certificate) {
            return Err(certificate_refused("the certificate is not one for authentication"));
        }
        self.check_signature(signature, &certificate)
    }

    fn issued(&self, part: &BinaryPart) -> Result<Certificate, XRoadError> {
        let certificate =
            Certificate::from_der(&part.bytes).map_err(|error| certificate_refused(error.to_string()))?;
        let is_good =
            certificate.is_issued_by(self.pki.ca.certificate()) && certificate.is_valid_at(self.now);
        if is_good {
            Ok(certificate)
        } else {
            Err(certificate_refused("the certificate is not approved or has ended"))
        }
    }

    fn sign_certificate(
        &self,
        global_conf: &GlobalConf,
        part: &BinaryPart,
        ocsp: &BinaryPart,
    ) -> Result<Certificate, XRoadError> {
        let certificate = self.issued(part)?;
        if !is_sign_certificate(&certificate) {
            return Err(certificate_refused("the certificate is not one for signing"));
        }
        let response =
            OcspResponse::from_der(&ocsp.bytes).map_err(|error| certificate_refused(error.to_string()))?;
        let ca = self.pki.ca.certificate();
        response
            .verify(ca, &certificate, self.now, global_conf, &Policy::default())
            .map_err(|error| certificate_refused(error.to_string()))?;
        match response.status() {
            CertStatus::Good => Ok(certificate),
            _ => Err(certificate_refused("the certificate is revoked or unknown")),
        }
    }

    fn check_signature(&self, signature: &BinaryPart, certificate: &Certificate) -> Result<(), XRoadError> {
        let refused =
            || XRoadError::new(ErrorCode::InvalidSignatureValue, "a signature of the request is wrong");
        let name = signature.algorithm.as_deref().unwrap_or_default();
        let algorithm = SignatureAlgorithm::from_name(name).ok_or_else(refused)?;
        let key = certificate.public_key();
        key.verify(algorithm, &self.parts.soap, &signature.bytes, EcdsaFormat::Der).map_err(|_| refused())
    }

    fn check_subject(
        &self,
        global_conf: &GlobalConf,
        certificate: &Certificate,
        member: &MemberId,
    ) -> Result<(), XRoadError> {
        let subject = subject_client_id(global_conf, certificate, &self.plan.instance)?;
        if subject == *member {
            return Ok(());
        }
        Err(invalid_request(format!("the signing certificate is of {subject}, not of {member}")))
    }

    fn global_conf(&self, registrations: &Registrations) -> Result<GlobalConf, XRoadError> {
        let bytes = parameters::shared_of(self.plan, self.pki, registrations).into_bytes();
        let expires = Some(self.now.plus_secs(60));
        let shared =
            Part { kind: PartKind::Shared, instance: self.plan.instance.clone(), bytes, version: 6, expires };
        GlobalConf::from_parts(&self.plan.instance, &[shared], None)
    }
}
