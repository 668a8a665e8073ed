//! The OCSP responder (RFC 6960, `trust.md` 9.2): good for serials that were issued, revoked for those on the list,
//! unknown for all others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use der::asn1::{BitString, GeneralizedTime};
use der::{Decode, Encode};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, ResponderId,
    ResponseData, RevokedInfo, SingleResponse, Version,
};

use super::error::SandboxError;
use super::keys::pki_error;
use super::pki::Pki;
use super::station::Stations;
use crate::crypto;
use crate::time::{SharedClock, UnixTime};

/// From thisUpdate to nextUpdate.
const VALIDITY_SECS: i64 = 86_400;

/// The responder of one certificate authority.
pub struct Responder {
    pki: Arc<Pki>,
    issuer_name_hash: [u8; 20],
    issuer_key_hash: [u8; 20],
    issued: Mutex<BTreeSet<Vec<u8>>>,
    revoked: Mutex<BTreeSet<Vec<u8>>>,
}

impl Responder {
    /// The responder for everything that `pki`'s authority has issued.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn new(pki: Arc<Pki>) -> Result<Self, SandboxError> {
        let ca =
            x509_cert::Certificate::from_der(pki.ca.certificate().der()).map_err(|e| pki_error("ca", e))?;
        let tbs = &ca.tbs_certificate;
        let name = tbs.subject.to_der().map_err(|e| pki_error("ca", e))?;
        let key = tbs.subject_public_key_info.subject_public_key.raw_bytes();
        Ok(Self {
            issuer_name_hash: crypto::sha1(&name),
            issuer_key_hash: crypto::sha1(key),
            issued: Mutex::new(pki.issued_serials()),
            revoked: Mutex::default(),
            pki,
        })
    }

    /// Revokes (or, with `false`, makes good again) the certificate with this serial number.
    pub fn set_revoked(&self, serial: Vec<u8>, revoked: bool) {
        let mut list = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked {
            list.insert(serial)
        } else {
            list.remove(&serial)
        };
    }

    /// Knows the certificate with this serial number from now on.
    pub fn issued(&self, serial: Vec<u8>) {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).insert(serial);
    }

    /// Answers the DER of an OCSP request with the DER of an OCSP response; its first certificate is the one that
    /// counts.
    pub fn respond(&self, request: &[u8], now: UnixTime) -> Vec<u8> {
        let response = match OcspRequest::from_der(request) {
            Ok(request) => match request.tbs_request.request_list.into_iter().next() {
                Some(asked) if self.is_ours(&asked.req_cert) => self.signed(asked.req_cert, now),
                Some(_) => Ok(OcspResponse::unauthorized()),
                None => Ok(OcspResponse::malformed_request()),
            },
            Err(_) => Ok(OcspResponse::malformed_request()),
        };
        response.unwrap_or_else(|_| OcspResponse::internal_error()).to_der().unwrap_or_default()
    }

    fn is_ours(&self, id: &CertId) -> bool {
        id.hash_algorithm.oid == const_oid::db::rfc5912::ID_SHA_1
            && id.issuer_name_hash.as_bytes() == self.issuer_name_hash
            && id.issuer_key_hash.as_bytes() == self.issuer_key_hash
    }

    fn status(&self, serial: &[u8], now: UnixTime) -> der::Result<CertStatus> {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(serial);
        Ok(if revoked {
            CertStatus::Revoked(RevokedInfo {
                revocation_time: generalized(now.plus_secs(-3600))?,
                revocation_reason: None,
            })
        } else if self.issued.lock().unwrap_or_else(PoisonError::into_inner).contains(serial) {
            CertStatus::good()
        } else {
            CertStatus::unknown()
        })
    }

    fn signed(&self, asked: CertId, now: UnixTime) -> der::Result<OcspResponse> {
        let signer = &self.pki.ocsp;
        let certificate = x509_cert::Certificate::from_der(signer.certificate().der())?;
        let now = UnixTime::from_secs(now.secs());
        let cert_status = self.status(asked.serial_number.as_bytes(), now)?;
        let data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByName(certificate.tbs_certificate.subject.clone()),
            produced_at: generalized(now)?,
            responses: vec![SingleResponse {
                // The request's own identifier comes back as it was asked.
                cert_id: asked,
                cert_status,
                this_update: generalized(now)?,
                next_update: Some(generalized(now.plus_secs(VALIDITY_SECS))?),
                single_extensions: None,
            }],
            response_extensions: None,
        };
        let signature = signer.sign(&data.to_der()?).map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
        OcspResponse::successful(BasicOcspResponse {
            tbs_response_data: data,
            signature_algorithm: spki::AlgorithmIdentifierOwned::from_der(
                &signer.key().algorithm_identifier(),
            )?,
            signature: BitString::from_bytes(&signature)?,
            certs: Some(vec![certificate]),
        })
    }
}

fn generalized(time: UnixTime) -> der::Result<OcspGeneralizedTime> {
    let secs = u64::try_from(time.secs()).unwrap_or(0);
    Ok(OcspGeneralizedTime(GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(secs))?))
}

struct Service {
    responder: Arc<Responder>,
    stations: Arc<Stations>,
    clock: SharedClock,
}

/// The responder over HTTP: POST of `application/ocsp-request` to any path.
pub(super) fn router(responder: Arc<Responder>, stations: Arc<Stations>, clock: SharedClock) -> Router {
    let service = Arc::new(Service { responder, stations, clock });
    Router::new().route("/", post(answer)).route("/{*path}", post(answer)).with_state(service)
}

async fn answer(State(service): State<Arc<Service>>, request: Bytes) -> Result<Response, StatusCode> {
    service.stations.ocsp.enter().await?;
    let response = service.responder.respond(&request, service.clock.now());
    Ok(([(header::CONTENT_TYPE, "application/ocsp-response")], response).into_response())
}
