//! Reading an OCSP answer.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::request::{AnyCertId, CertId};
use crate::crypto::der::{self, DerError, Reader};
use crate::crypto::{Certificate, DigestAlgorithm, Name, SignatureAlgorithm, sha512};
use crate::limits;
use crate::time::UnixTime;

/// Why bytes are not an OCSP answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// Not the expected structure.
    #[error("malformed OCSP response: {0}")]
    Malformed(#[from] DerError),
    /// The responder answered with an error (RFC 6960, 4.2.1).
    #[error("the OCSP responder refused: status {0}")]
    Refused(u8),
    /// Larger than accepted.
    #[error("OCSP response is too large")]
    TooLarge,
}

/// What the answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertStatus {
    /// Not revoked.
    Good,
    /// Revoked since.
    Revoked {
        /// The time of revocation.
        at: UnixTime,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// A parsed answer; cloning is cheap. Only the first single response counts (X-Road 7.8 behaviour).
#[derive(Clone)]
pub struct OcspResponse(Arc<Inner>);

pub(super) struct Inner {
    pub der: Bytes,
    pub digest: [u8; 64],
    pub tbs: std::ops::Range<usize>,
    pub responder: ResponderId,
    pub produced_at: UnixTime,
    pub cert_id: Option<CertId>,
    /// What any of the single responses says is revoked, and since when.
    pub revoked: Vec<(AnyCertId, UnixTime)>,
    pub status: CertStatus,
    pub this_update: UnixTime,
    pub next_update: Option<UnixTime>,
    pub algorithm: Option<SignatureAlgorithm>,
    pub signature: Box<[u8]>,
    pub certificates: Vec<Certificate>,
    pub unknown_critical: bool,
}

pub(super) enum ResponderId {
    Name(Name),
    KeyHash(Box<[u8]>),
}

const OCSP_BASIC: [u8; 9] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const CERTIFICATES_MAX: usize = 16;
const FURTHER_RESPONSES_MAX: usize = 64;

impl OcspResponse {
    /// Reads a DER OCSPResponse with status successful.
    pub fn from_der(der: &[u8]) -> Result<Self, OcspError> {
        if der.len() > limits::OCSP_RESPONSE_BYTES_MAX {
            return Err(OcspError::TooLarge);
        }
        Ok(Self(Arc::new(parse(der)?)))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// The bytes as received.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The same bytes, shared.
    pub fn der_bytes(&self) -> Bytes {
        self.0.der.clone()
    }

    /// What the answer says.
    pub fn status(&self) -> CertStatus {
        self.0.status
    }

    /// From when on the statement holds.
    pub fn this_update(&self) -> UnixTime {
        self.0.this_update
    }

    /// When a newer statement will be there, if the responder says so.
    pub fn next_update(&self) -> Option<UnixTime> {
        self.0.next_update
    }

    /// When the answer was signed; decides nothing.
    pub fn produced_at(&self) -> UnixTime {
        self.0.produced_at
    }

    /// Whether the first single response is about this certificate.
    pub fn is_about(&self, id: &CertId) -> bool {
        self.0.cert_id.as_ref() == Some(id)
    }

    /// Whether any of the single responses, by an id of any digest, says that `certificate` of `issuer` was revoked
    /// at or before `at`. Who said so is not checked.
    pub(super) fn says_revoked(&self, certificate: &Certificate, issuer: &Certificate, at: UnixTime) -> bool {
        self.0.revoked.iter().any(|(id, since)| *since <= at && id.names(certificate, issuer))
    }
}

impl PartialEq for OcspResponse {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for OcspResponse {}

impl fmt::Debug for OcspResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OcspResponse({:?} at {})", self.0.status, self.0.this_update)
    }
}

fn parse(bytes: &[u8]) -> Result<Inner, OcspError> {
    let mut outer = der::single(bytes, der::SEQUENCE)?.reader();
    match outer.expect(der::ENUMERATED)?.content {
        [0] => {}
        [status] => return Err(OcspError::Refused(*status)),
        _ => return Err(DerError("malformed status").into()),
    }
    let wrapper = outer.expect(0xa0)?;
    outer.finish()?;
    let mut typed = der::single(wrapper.content, der::SEQUENCE)?.reader();
    if typed.oid()? != OCSP_BASIC {
        return Err(DerError("not a basic response").into());
    }
    let basic = typed.expect(der::OCTET_STRING)?.content;
    typed.finish()?;

    let mut basic = der::single(basic, der::SEQUENCE)?.reader();
    let tbs = basic.expect(der::SEQUENCE)?;
    let algorithm = SignatureAlgorithm::from_identifier(basic.expect(der::SEQUENCE)?.content)?;
    let signature = basic.bit_string()?;
    let certificates = match basic.optional(0xa0)? {
        Some(wrapper) => certificates(wrapper.reader().sequence()?)?,
        None => Vec::new(),
    };
    basic.finish()?;

    let mut data = tbs.reader();
    data.optional(0xa0)?;
    let responder = data.element()?;
    let responder = match responder.tag {
        0xa1 => ResponderId::Name(Name::from_der(responder.content)?),
        0xa2 => ResponderId::KeyHash(der::single(responder.content, der::OCTET_STRING)?.content.into()),
        _ => return Err(DerError("unexpected responder id").into()),
    };
    let produced_at = data.time()?;
    let mut responses = data.sequence()?;
    let first = single_response(responses.sequence()?)?;
    let mut revoked = Vec::new();
    for count in 0.. {
        if responses.is_empty() {
            break;
        }
        if count == FURTHER_RESPONSES_MAX {
            return Err(DerError("too many single responses").into());
        }
        let further = single_response(responses.sequence()?)?;
        revoked.extend(further.revocation());
    }
    revoked.extend(first.revocation());
    let SingleResponse { id, status, this_update, next_update, mut unknown_critical } = first;
    unknown_critical |= critical_extension(data.optional(0xa1)?)?;
    data.finish()?;

    let start = tbs.whole.as_ptr() as usize - bytes.as_ptr() as usize;
    Ok(Inner {
        der: Bytes::copy_from_slice(bytes),
        digest: sha512(bytes),
        tbs: start..start + tbs.whole.len(),
        responder,
        produced_at,
        cert_id: id.sha1(),
        revoked,
        status,
        this_update,
        next_update,
        algorithm,
        signature: signature.into(),
        certificates,
        unknown_critical,
    })
}

// One that cannot be read spoils the answer, also where a configured certificate would do: who damages an answer
// on its way has no right to an opinion on which parts of it count.
fn certificates(mut list: Reader<'_>) -> Result<Vec<Certificate>, DerError> {
    let mut certificates = Vec::new();
    while !list.is_empty() {
        let element = list.expect(der::SEQUENCE)?;
        if certificates.len() == CERTIFICATES_MAX {
            return Err(DerError("too many certificates"));
        }
        let certificate = Certificate::from_der(element.whole);
        certificates.push(certificate.map_err(|_| DerError("a certificate that is none"))?);
    }
    Ok(certificates)
}

struct SingleResponse {
    id: AnyCertId,
    status: CertStatus,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    unknown_critical: bool,
}

impl SingleResponse {
    fn revocation(&self) -> Option<(AnyCertId, UnixTime)> {
        match self.status {
            CertStatus::Revoked { at } => Some((self.id.clone(), at)),
            _ => None,
        }
    }
}

fn single_response(mut single: Reader<'_>) -> Result<SingleResponse, DerError> {
    let id = cert_id(single.sequence()?)?;
    let status = single.element()?;
    let status = match status.tag {
        0x80 => CertStatus::Good,
        0xa1 => CertStatus::Revoked { at: status.reader().time()? },
        0x82 => CertStatus::Unknown,
        _ => return Err(DerError("unexpected certificate status")),
    };
    let this_update = single.time()?;
    let next_update = match single.optional(0xa0)? {
        Some(wrapper) => Some(wrapper.reader().time()?),
        None => None,
    };
    let unknown_critical = critical_extension(single.optional(0xa1)?)?;
    single.finish()?;
    Ok(SingleResponse { id, status, this_update, next_update, unknown_critical })
}

// Parameters of the digest may be NULL or absent.
fn cert_id(mut fields: Reader<'_>) -> Result<AnyCertId, DerError> {
    let mut algorithm = fields.sequence()?;
    let digest = DigestAlgorithm::from_oid(algorithm.oid()?);
    let parameters = algorithm.optional(der::NULL)?;
    let plain = parameters.is_none_or(|null| null.content.is_empty()) && algorithm.is_empty();
    let name_hash = fields.expect(der::OCTET_STRING)?.content.into();
    let key_hash = fields.expect(der::OCTET_STRING)?.content.into();
    let serial = fields.integer()?.into();
    fields.finish()?;
    Ok(AnyCertId { digest: digest.filter(|_| plain), name_hash, key_hash, serial })
}

fn critical_extension(wrapper: Option<der::Element<'_>>) -> Result<bool, DerError> {
    let Some(wrapper) = wrapper else { return Ok(false) };
    let mut list = wrapper.reader().sequence()?;
    let mut critical = false;
    while !list.is_empty() {
        let mut extension = list.sequence()?;
        extension.oid()?;
        critical |= extension.optional(der::BOOLEAN)?.is_some_and(|flag| flag.content != [0]);
    }
    Ok(critical)
}
