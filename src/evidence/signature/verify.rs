use std::sync::{Arc, Mutex};

use super::super::hash_chain::VerifiedNodes;
use super::super::part::PartName;
use super::document::{self, Read, SignatureDocument, malformed};
use super::parts::{CoveredParts, check_parts};
use super::{SignatureData, properties};
use bytes::Bytes;

use crate::crypto::{Certificate, Digest, DigestAlgorithm, EcdsaFormat, KeyKind, SignatureAlgorithm};
use crate::limits::SIGNATURE_BYTES_MAX;
use crate::message::{ClientId, ErrorCode, MemberId, XRoadError};
use crate::time::UnixTime;
use crate::trust::{self, CertId, ChainContext, GlobalConf, OcspResponse, Policy};
use crate::xml::{C14n, Node, canonicalize_within};

/// A part of the message whose signature is verified.
#[derive(Debug, Clone, Copy)]
pub struct SignedPart<'a> {
    /// Which part.
    pub name: PartName,
    /// Its digest, made here while it was received.
    pub digest: Digest,
    /// Its bytes, where they are at hand.
    pub bytes: Option<&'a [u8]>,
}

/// Where the signature was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyMode {
    /// In a message from another server: all parts are there, each must be covered and nothing else may be.
    Exchange,
    /// In a container: parts may be absent; those that are present must be covered.
    Container,
}

/// What is to be verified (`signature.md` 3).
#[derive(Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The signature with its hash chain.
    pub data: &'a SignatureData,
    /// The parts at hand, the message first.
    pub parts: &'a [SignedPart<'a>],
    /// Who must have signed; the subsystem does not matter.
    pub signer: &'a ClientId,
    /// The time of use: now, or the time of the time-stamp.
    pub at: UnixTime,
    /// The configuration.
    pub global_conf: &'a GlobalConf,
    /// The rules.
    pub policy: &'a Policy,
    /// Where the signature was met.
    pub mode: VerifyMode,
}

/// A signature that was found good; only the verifier makes one.
#[derive(Debug, Clone)]
pub struct VerifiedSignature {
    pub(super) document: Arc<VerifiedDocument>,
    parts: CoveredParts,
}

/// What was found out about a signature document, whichever message it came with.
#[derive(Debug)]
pub(super) struct VerifiedDocument {
    pub(super) references: Vec<(String, DigestAlgorithm, Vec<u8>)>,
    certificate: Certificate,
    pub(super) member: MemberId,
    signing_time: Option<UnixTime>,
    signature_value: Vec<u8>,
    path: Vec<Certificate>,
    ocsp_responses: Vec<OcspResponse>,
    pub(super) valid_until: UnixTime,
    warnings: Vec<&'static str>,
    // The document itself, and the hash chain result that it covers: all messages of a batch carry the same.
    pub(super) bytes: Bytes,
    pub(super) hash_chain_result: Option<Bytes>,
    /// Nodes of the tree below that result.
    pub(super) nodes: Mutex<VerifiedNodes>,
}

impl VerifiedSignature {
    /// The certificate that signed.
    pub fn sign_certificate(&self) -> &Certificate {
        &self.document.certificate
    }

    /// The member that the certificate belongs to.
    pub fn member(&self) -> &MemberId {
        &self.document.member
    }

    /// The claimed time of signing; nobody vouches for it.
    pub fn signing_time(&self) -> Option<UnixTime> {
        self.document.signing_time
    }

    /// The decoded signature value, which a single time-stamp covers.
    pub fn signature_value(&self) -> &[u8] {
        &self.document.signature_value
    }

    /// The certificate path without the trust anchor, the signing certificate first.
    pub fn path(&self) -> &[Certificate] {
        &self.document.path
    }

    /// The OCSP responses of the document.
    pub fn ocsp_responses(&self) -> &[OcspResponse] {
        &self.document.ocsp_responses
    }

    /// Until when the verdict holds, as far as certificates and OCSP responses say.
    pub fn valid_until(&self) -> UnixTime {
        self.document.valid_until
    }

    /// The signature parts of a message of an exchange: what its batch has in common is one copy, shared by all its
    /// messages, so that none of them holds the buffer in which it came.
    pub fn shared(&self, hash_chain: Option<Bytes>) -> SignatureData {
        let (signature, hash_chain_result) =
            (self.document.bytes.clone(), self.document.hash_chain_result.clone());
        SignatureData { signature, hash_chain_result, hash_chain, chain_path: self.parts.chain_path.clone() }
    }

    /// URIs of data that is covered but was not at hand (containers only).
    pub fn absent(&self) -> &[String] {
        &self.parts.absent
    }

    /// What only a switch of the policy has let pass: `sha1`, `rsa1024`, `future_ocsp`.
    pub fn warnings(&self) -> &[&'static str] {
        &self.document.warnings
    }
}

/// Verifies a signature completely. Codes are those of official servers, without the prefix
/// `signature_verification`, which the caller adds in an exchange.
pub fn verify(request: &VerifyRequest<'_>) -> Result<VerifiedSignature, XRoadError> {
    verify_by(request, trust::subject_client_id)
}

/// As [`verify`], with another way to tell whose a certificate is: for evidence of instances that use a
/// certificate profile of their own.
pub fn verify_by(
    request: &VerifyRequest<'_>,
    identify: impl FnOnce(&GlobalConf, &Certificate, &str) -> Result<MemberId, XRoadError>,
) -> Result<VerifiedSignature, XRoadError> {
    let parsed = document::parse(&request.data.signature)?;
    let signature = SignatureDocument::read(&parsed)?;
    let certificate = signing_certificate(&signature)?;
    let member = check_signer(request, &certificate, identify)?;
    let algorithm = check_value(&signature, &certificate, request.policy)?;
    let signed = signature.signed_signature_properties;
    properties::check_signing_certificate(signed, &certificate, request.policy)?;
    let mut document = VerifiedDocument {
        references: owned_references(&signature, request.policy)?,
        signing_time: properties::signing_time(signed),
        member,
        path: Vec::new(),
        ocsp_responses: Vec::new(),
        valid_until: request.at,
        warnings: Vec::new(),
        signature_value: Vec::new(),
        bytes: Bytes::new(),
        hash_chain_result: None,
        nodes: Mutex::default(),
        certificate,
    };
    let parts = check_parts(&document, request)?;
    // Copies: slices would hold the whole receive buffer.
    document.bytes = Bytes::copy_from_slice(&request.data.signature);
    document.hash_chain_result = request.data.hash_chain_result.as_deref().map(Bytes::copy_from_slice);
    check_trust(&mut document, &signature, request)?;
    warn(&mut document, algorithm, request);
    document.signature_value = signature.signature_value;
    Ok(VerifiedSignature { document: Arc::new(document), parts })
}

/// Checks the parts of another message against a document that was verified before.
pub(super) fn verify_again(
    document: &Arc<VerifiedDocument>,
    request: &VerifyRequest<'_>,
) -> Result<VerifiedSignature, XRoadError> {
    let parts = check_parts(document, request)?;
    Ok(VerifiedSignature { document: document.clone(), parts })
}

fn signing_certificate(signature: &SignatureDocument<'_>) -> Read<Certificate> {
    let bytes = signature.certificate.as_ref().ok_or_else(|| malformed("no signing certificate"))?;
    let certificate =
        Certificate::from_der(bytes).map_err(|_| malformed("an unreadable signing certificate"))?;
    match certificate.key_usage() {
        None => Err(XRoadError::new(ErrorCode::InternalError, "signing certificate without key usage")),
        Some(usage) if !usage.non_repudiation() => Err(malformed("the certificate is not for signatures")),
        Some(_) => Ok(certificate),
    }
}

fn check_signer(
    request: &VerifyRequest<'_>,
    certificate: &Certificate,
    identify: impl FnOnce(&GlobalConf, &Certificate, &str) -> Result<MemberId, XRoadError>,
) -> Read<MemberId> {
    let member = identify(request.global_conf, certificate, request.signer.instance())?;
    if member == request.signer.member() {
        return Ok(member);
    }
    let text = format!("certificate of \"{member}\" signed for \"{}\"", request.signer.member());
    Err(XRoadError::new(ErrorCode::IncorrectCertificate, text))
}

pub(super) fn wrong_value(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::InvalidSignatureValue, text)
}

// The signature over SignedInfo, then the digest of the signed properties.
pub(super) fn check_value(
    signature: &SignatureDocument<'_>,
    certificate: &Certificate,
    policy: &Policy,
) -> Read<SignatureAlgorithm> {
    let algorithm = SignatureAlgorithm::from_uri(signature.signature_method);
    policy.check_signature(algorithm, certificate.public_key()).map_err(wrong_value)?;
    let algorithm = algorithm.ok_or_else(|| wrong_value("unknown signature algorithm"))?;
    let signed_info = canonical(signature.signed_info, signature.canonicalization)?;
    let verified = certificate.public_key().verify(
        algorithm,
        &signed_info,
        &signature.signature_value,
        EcdsaFormat::Raw,
    );
    verified.map_err(|_| wrong_value("signature value does not match"))?;
    let reference = &signature.properties;
    let properties = canonical(signature.signed_properties, reference.transform)?;
    let method = acceptable(reference.method, policy)?;
    if method.digest(&properties).as_ref() != reference.digest {
        return Err(wrong_value("digest of the signed properties does not match"));
    }
    Ok(algorithm)
}

fn canonical(node: Node<'_>, method: C14n) -> Read<Vec<u8>> {
    canonicalize_within(node, method, &[], 4 * SIGNATURE_BYTES_MAX)
        .map_err(|_| malformed("canonical form is too large"))
}

/// Digest algorithms that evidence may use under a policy.
pub(super) fn acceptable(method: DigestAlgorithm, policy: &Policy) -> Read<DigestAlgorithm> {
    match method {
        DigestAlgorithm::Sha1 if !policy.allow_sha1 => Err(malformed("digests with SHA-1 are not accepted")),
        method => Ok(method),
    }
}

fn owned_references(
    signature: &SignatureDocument<'_>,
    policy: &Policy,
) -> Read<Vec<(String, DigestAlgorithm, Vec<u8>)>> {
    let own =
        |r: &document::DataReference| Ok((r.uri.to_owned(), acceptable(r.method, policy)?, r.digest.clone()));
    signature.references.iter().map(own).collect()
}

fn check_trust(
    document: &mut VerifiedDocument,
    signature: &SignatureDocument<'_>,
    request: &VerifyRequest<'_>,
) -> Read<()> {
    let unsigned = signature.unsigned_signature_properties;
    let extra = properties::extra_certificates(unsigned, request.policy)?;
    document.ocsp_responses = properties::ocsp_responses(unsigned)?;
    let context = ChainContext {
        global_conf: request.global_conf,
        instance: request.signer.instance(),
        ocsp: &document.ocsp_responses,
        at: request.at,
        policy: request.policy,
    };
    document.path = trust::verify_chain(context, &document.certificate, &extra)?;
    document.valid_until = valid_until(document, request);
    Ok(())
}

// The earliest end among the certificates of the path and the answers about them.
fn valid_until(document: &VerifiedDocument, request: &VerifyRequest<'_>) -> UnixTime {
    let certificates = document.path.iter().map(Certificate::not_after);
    let about = |answer: &&OcspResponse| {
        document.path.iter().any(|certificate| {
            let issuer = request.global_conf.ca_by_subject(request.signer.instance(), certificate.issuer());
            issuer.is_none_or(|issuer| answer.is_about(&CertId::new(certificate, issuer)))
        })
    };
    let answers = document.ocsp_responses.iter().filter(about);
    let answers = answers.map(|answer| answer.usable_until(request.global_conf));
    certificates.chain(answers).min().unwrap_or(request.at)
}

fn warn(document: &mut VerifiedDocument, algorithm: SignatureAlgorithm, request: &VerifyRequest<'_>) {
    let path = &document.path;
    let sha1 = algorithm.is_legacy()
        || path.iter().any(|c| c.signature_algorithm().is_some_and(SignatureAlgorithm::is_legacy))
        || document.references.iter().any(|(_, method, _)| *method == DigestAlgorithm::Sha1);
    let short = |c: &Certificate| matches!(c.public_key().kind(), KeyKind::Rsa { bits } if bits < 2048);
    let latest = request.at.plus_secs(request.policy.clock_skew_secs);
    let future = document.ocsp_responses.iter().any(|answer| answer.this_update() > latest);
    let found = [(sha1, "sha1"), (path.iter().any(short), "rsa1024"), (future, "future_ocsp")];
    document.warnings = found.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
}
