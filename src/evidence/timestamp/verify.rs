//! Whether a token was made by a listed time-stamping authority, and for which data.

use super::error::TimestampError;
use super::request::read_digest_algorithm;
use super::token::{OID_TST_INFO, SignerId, TimestampToken, parse_response};
use crate::crypto::der::{self, DerError, Reader, write};
use crate::crypto::{Certificate, Digest, DigestAlgorithm, EcdsaFormat, Name, SignatureAlgorithm, sha1};
use crate::time::UnixTime;
use crate::trust::Policy;

const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const OID_MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const OID_SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
const OID_SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const OID_SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];

/// A time-stamp that holds.
#[derive(Debug, Clone)]
pub struct VerifiedTimestamp {
    /// When the data existed.
    pub time: UnixTime,
    /// The authority, as the global configuration lists it.
    pub authority: Certificate,
    /// Whether only a switch of the policy made it acceptable (SHA-1, RSA below 2048 bits).
    pub is_legacy: bool,
}

/// An answer of a time-stamping authority that passed all checks, ready to be stored.
#[derive(Debug, Clone)]
pub struct AcceptedTimestamp {
    /// The token in DER, with the authority's certificate in it.
    pub token: Vec<u8>,
    /// The time of the stamp.
    pub time: UnixTime,
}

impl TimestampToken {
    /// Verifies that one of `authorities` stamped `data` (`signature.md` 5.4 and its last section).
    ///
    /// Beyond official servers: the stamp's time lies within the certificate's validity, the signing certificate
    /// attribute names the listed certificate, digests and keys are not weaker than `policy` admits.
    ///
    /// # Errors
    /// [`TimestampError`] in the order data, authority, signature.
    pub fn verify(
        &self,
        data: &[u8],
        authorities: &[Certificate],
        policy: &Policy,
    ) -> Result<VerifiedTimestamp, TimestampError> {
        if self.imprint.algorithm().digest(data) != self.imprint {
            return Err(TimestampError::OtherData);
        }
        if authorities.is_empty() {
            return Err(TimestampError::NoAuthority);
        }
        let mut failure = TimestampError::UnknownAuthority;
        for authority in authorities.iter().filter(|authority| self.signer.id.names(authority)) {
            match self.verify_with(authority, policy) {
                Ok(is_legacy) => {
                    return Ok(VerifiedTimestamp {
                        time: self.gen_time,
                        authority: authority.clone(),
                        is_legacy,
                    });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn verify_with(&self, authority: &Certificate, policy: &Policy) -> Result<bool, TimestampError> {
        const MALFORMED: TimestampError = TimestampError::Signer("the signed attributes are malformed");
        let attributes = Attributes::read(&self.signer.attributes).map_err(|_| MALFORMED)?;
        if attributes.content_type != OID_TST_INFO {
            return Err(TimestampError::Signer("the content type attribute names something else"));
        }
        if self.signer.digest.digest(&self.content).as_ref() != attributes.message_digest {
            return Err(TimestampError::Signer("the message digest attribute is wrong"));
        }
        for digest in attributes.certificate_digests.iter().flatten() {
            if digest.algorithm().digest(authority.der()) != *digest {
                return Err(TimestampError::Signer("it names another certificate than the listed one"));
            }
        }
        for time in [Some(self.gen_time), attributes.signing_time].into_iter().flatten() {
            if !authority.is_valid_at(time) {
                return Err(TimestampError::Signer("the authority's certificate was not valid at its time"));
            }
        }
        let algorithm = self
            .signer
            .signature_algorithm()
            .ok_or(TimestampError::Signer("the signature algorithm is not supported"))?;
        let is_legacy = self.check_strength(authority, algorithm, policy)?;
        // Signed as a SET (RFC 5652 5.4), although carried with an implicit tag.
        let signed = write(der::SET, &attributes.in_der_order());
        authority
            .public_key()
            .verify(algorithm, &signed, &self.signer.signature, EcdsaFormat::Der)
            .map_err(|_| TimestampError::Signer("the signature value is wrong"))?;
        Ok(is_legacy)
    }

    /// Whether something weak is used that the policy admits.
    fn check_strength(
        &self,
        authority: &Certificate,
        algorithm: SignatureAlgorithm,
        policy: &Policy,
    ) -> Result<bool, TimestampError> {
        policy.check_signature(Some(algorithm), authority.public_key()).map_err(TimestampError::Signer)?;
        let is_weak = |digest| matches!(digest, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224);
        let weak_digest = is_weak(self.imprint.algorithm()) || is_weak(self.signer.digest);
        if weak_digest && !policy.allow_sha1 {
            return Err(TimestampError::Signer("its digest algorithm is too weak"));
        }
        let is_short = Policy::STRICT.check_key(authority.public_key()).is_err();
        Ok(weak_digest || algorithm.is_legacy() || is_short)
    }
}

/// Checks the answer to a request for `imprint` and makes the token that is stored (`signature.md` 5.2).
///
/// # Errors
/// [`TimestampError`]: not granted, malformed, for another digest, or not signed by one of `authorities`.
pub fn accept_response(
    response: &[u8],
    imprint: &Digest,
    authorities: &[Certificate],
    policy: &Policy,
) -> Result<AcceptedTimestamp, TimestampError> {
    let token = parse_response(response)?;
    if token.imprint != *imprint {
        return Err(TimestampError::OtherData);
    }
    if authorities.is_empty() {
        return Err(TimestampError::NoAuthority);
    }
    let mut failure = TimestampError::UnknownAuthority;
    for authority in authorities.iter().filter(|authority| token.signer.id.names(authority)) {
        match token.verify_with(authority, policy) {
            Ok(_) => {
                return Ok(AcceptedTimestamp {
                    token: token.with_certificate(authority)?,
                    time: token.gen_time,
                });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl SignerId {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial(issuer, serial) => {
                certificate.serial() == serial.as_slice()
                    && Name::from_der(issuer).is_ok_and(|issuer| issuer == *certificate.issuer())
            }
            Self::KeyId(key_id) => {
                certificate.subject_key_id() == Some(key_id.as_slice())
                    || sha1(certificate.public_key().key_bits()).as_slice() == key_id.as_slice()
            }
        }
    }
}

impl super::token::SignerInfo {
    /// Many authorities write just `rsaEncryption`; the digest algorithm then completes it.
    fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        let oid = Reader::new(&self.algorithm).oid().ok()?;
        if oid == OID_RSA {
            return match self.digest {
                DigestAlgorithm::Sha1 => Some(SignatureAlgorithm::RsaSha1),
                DigestAlgorithm::Sha224 => None,
                DigestAlgorithm::Sha256 => Some(SignatureAlgorithm::RsaSha256),
                DigestAlgorithm::Sha384 => Some(SignatureAlgorithm::RsaSha384),
                DigestAlgorithm::Sha512 => Some(SignatureAlgorithm::RsaSha512),
            };
        }
        let algorithm = SignatureAlgorithm::from_identifier(&self.algorithm).ok()??;
        (algorithm.digest() == self.digest).then_some(algorithm)
    }
}

/// The signed attributes that count, each exactly once.
struct Attributes<'a> {
    content_type: &'a [u8],
    message_digest: &'a [u8],
    signing_time: Option<UnixTime>,
    /// Of version 1 and of version 2 of the attribute; at least one is present.
    certificate_digests: [Option<Digest>; 2],
    encoded: Vec<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    fn read(content: &'a [u8]) -> Result<Self, DerError> {
        let mut single = SingleValues::default();
        let mut encoded = Vec::new();
        let mut reader = Reader::new(content);
        while !reader.is_empty() {
            let attribute = reader.expect(der::SEQUENCE)?;
            encoded.push(attribute.whole);
            let mut fields = attribute.reader();
            let oid = fields.oid()?;
            let values = fields.expect(der::SET)?.content;
            fields.finish()?;
            single.put(oid, values)?;
        }
        let missing = DerError("a signed attribute is missing");
        let mut content_type = Reader::new(single.content_type.ok_or(missing)?);
        let message_digest = der::single(single.message_digest.ok_or(missing)?, der::OCTET_STRING)?.content;
        let signing_time = single.signing_time.map(|value| Reader::new(value).time()).transpose()?;
        let certificate_digests = [
            single.certificate.map(|value| certificate_digest(value, false)).transpose()?,
            single.certificate_v2.map(|value| certificate_digest(value, true)).transpose()?,
        ];
        if certificate_digests.iter().all(Option::is_none) {
            return Err(missing);
        }
        Ok(Self {
            content_type: content_type.oid()?,
            message_digest,
            signing_time,
            certificate_digests,
            encoded,
        })
    }

    fn in_der_order(&self) -> Vec<u8> {
        let mut encoded = self.encoded.clone();
        encoded.sort_unstable();
        encoded.concat()
    }
}

#[derive(Default)]
struct SingleValues<'a> {
    content_type: Option<&'a [u8]>,
    message_digest: Option<&'a [u8]>,
    signing_time: Option<&'a [u8]>,
    certificate: Option<&'a [u8]>,
    certificate_v2: Option<&'a [u8]>,
}

impl<'a> SingleValues<'a> {
    fn put(&mut self, oid: &[u8], values: &'a [u8]) -> Result<(), DerError> {
        let slot = match oid {
            OID_CONTENT_TYPE => &mut self.content_type,
            OID_MESSAGE_DIGEST => &mut self.message_digest,
            OID_SIGNING_TIME => &mut self.signing_time,
            OID_SIGNING_CERTIFICATE => &mut self.certificate,
            OID_SIGNING_CERTIFICATE_V2 => &mut self.certificate_v2,
            _ => return Ok(()),
        };
        let mut reader = Reader::new(values);
        let value = reader.element()?.whole;
        reader.finish()?;
        if slot.replace(value).is_some() {
            return Err(DerError("a signed attribute occurs twice"));
        }
        Ok(())
    }
}

/// Digest of the first certificate of a SigningCertificate (SHA-1) or SigningCertificateV2 (RFC 5035).
fn certificate_digest(value: &[u8], is_v2: bool) -> Result<Digest, DerError> {
    let mut certificates = der::single(value, der::SEQUENCE)?.reader().sequence()?;
    let mut first = certificates.sequence()?;
    let algorithm = match first.peek_tag() {
        Some(der::SEQUENCE) if is_v2 => read_digest_algorithm(&mut first)?,
        _ if is_v2 => DigestAlgorithm::Sha256,
        _ => DigestAlgorithm::Sha1,
    };
    let digest = first.expect(der::OCTET_STRING)?.content;
    Digest::from_bytes(algorithm, digest).ok_or(DerError("digest of another length than its algorithm's"))
}
