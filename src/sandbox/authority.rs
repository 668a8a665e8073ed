//! The certificate authority as a service: POST of a certificate request (PEM or DER) to `/sign` gives the certificate in
//! PEM. It signs whatever asks for signing or for authentication alone, as a test authority does.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose};

use super::error::SandboxError;
use super::keys::{self, pki_error};
use super::ocsp::Responder;
use super::options::KeyType;
use super::pki::{Pki, random_serial, set_validity};
use crate::crypto::Certificate;
use crate::time::{SharedClock, UnixTime};

/// Signs requests.
pub struct Authority {
    pki: Arc<Pki>,
    kind: KeyType,
    responder: Arc<Responder>,
}

impl Authority {
    /// The authority of `pki`; the responder learns what it issues.
    pub fn new(pki: Arc<Pki>, kind: KeyType, responder: Arc<Responder>) -> Self {
        Self { pki, kind, responder }
    }

    /// A certificate for a request in PEM or DER. Key usage and subject are those of the request.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn sign(&self, request: &[u8], now: UnixTime) -> Result<Certificate, SandboxError> {
        let failed = |error: &dyn std::fmt::Display| pki_error("a certificate request", error);
        let der = match request.starts_with(b"-----BEGIN") {
            true => der::pem::decode_vec(request).map_err(|error| failed(&error))?.1,
            false => request.to_vec(),
        };
        let mut request =
            CertificateSigningRequestParams::from_der(&der.into()).map_err(|error| failed(&error))?;
        let params = &mut request.params;
        set_validity(params, now);
        params.serial_number = Some(random_serial());
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = match params.key_usages.contains(&KeyUsagePurpose::ContentCommitment) {
            true => Vec::new(),
            false => vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth],
        };
        let ca = rustls_pki_types::CertificateDer::from(self.pki.ca.certificate().der());
        let issuer = Issuer::from_ca_cert_der(&ca, keys::for_builder(self.kind, self.pki.ca.key())?);
        let issuer = issuer.map_err(|error| failed(&error))?;
        let certificate = request.signed_by(&issuer).map_err(|error| failed(&error))?;
        let certificate = Certificate::from_der(certificate.der()).map_err(|error| failed(&error))?;
        self.responder.issued(certificate.serial().to_vec());
        Ok(certificate)
    }
}

/// The service over HTTP.
pub(super) fn router(authority: Arc<Authority>, clock: SharedClock) -> Router {
    Router::new().route("/sign", post(sign)).with_state((authority, clock))
}

async fn sign(State((authority, clock)): State<(Arc<Authority>, SharedClock)>, request: Bytes) -> Response {
    match authority.sign(&request, clock.now()) {
        Ok(certificate) => {
            let pem = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate.der());
            pem.unwrap_or_default().into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
