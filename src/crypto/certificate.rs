//! X.509 certificates.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::der::{self, DerError};
use super::extensions::{BasicConstraints, Extensions, KeyUsage};
use super::{EcdsaFormat, Name, PublicKey, SignatureAlgorithm, VerifyError, sha1, sha256, to_hex};
use crate::time::UnixTime;

/// Why bytes are not a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Neither DER nor PEM nor bare base64.
    #[error("not a certificate: {0}")]
    Encoding(#[from] DerError),
    /// PEM or base64 text that does not decode.
    #[error("not a certificate: malformed base64")]
    Base64,
}

/// A parsed certificate; cloning is cheap. Equal when the DER bytes are.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Box<[u8]>,
    tbs: std::ops::Range<usize>,
    sha1: [u8; 20],
    sha256: [u8; 32],
    serial: Box<[u8]>,
    signature_algorithm: Option<SignatureAlgorithm>,
    signature: Box<[u8]>,
    issuer: Name,
    subject: Name,
    not_before: UnixTime,
    not_after: UnixTime,
    public_key: PublicKey,
    extensions: Extensions,
}

const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Certificate {
    /// Reads one DER certificate; trailing bytes are an error.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        Ok(Self(Arc::new(Inner::parse(der)?)))
    }

    /// Reads DER, PEM text (the first certificate of it), or bare base64 text. What follows the certificate
    /// inside the text (trust settings, padding) is left out, as Java does.
    pub fn from_der_or_pem(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.first() == Some(&der::SEQUENCE) {
            return Self::from_der(bytes);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| CertificateError::Base64)?;
        let body = match text.split_once("-----BEGIN ") {
            Some((_, rest)) => {
                let (_, body) = rest.split_once("CERTIFICATE-----").ok_or(CertificateError::Base64)?;
                body.split_once("-----END").map_or(body, |(body, _)| body)
            }
            None => text,
        };
        let compact: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = LENIENT_BASE64.decode(compact).map_err(|_| CertificateError::Base64)?;
        Self::from_der(der::Reader::new(&decoded).expect(der::SEQUENCE)?.whole)
    }

    /// The DER bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-1 over the DER bytes.
    pub fn sha1(&self) -> &[u8; 20] {
        &self.0.sha1
    }

    /// SHA-256 over the DER bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// The subject.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// The issuer.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// The serial number's content octets: big-endian two's complement.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// The serial number in decimal, as `ds:X509SerialNumber` carries it.
    pub fn serial_decimal(&self) -> String {
        decimal(&self.0.serial)
    }

    /// Start of validity.
    pub fn not_before(&self) -> UnixTime {
        self.0.not_before
    }

    /// Last second of validity.
    pub fn not_after(&self) -> UnixTime {
        self.0.not_after
    }

    /// Whether `at` lies within the validity, whose last second counts as a whole.
    pub fn is_valid_at(&self, at: UnixTime) -> bool {
        self.0.not_before <= at && at.secs() <= self.0.not_after.secs()
    }

    /// keyUsage, when present.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// extendedKeyUsage: content octets of the purposes, when present.
    pub fn extended_key_usage(&self) -> Option<&[Box<[u8]>]> {
        self.0.extensions.extended_key_usage.as_deref()
    }

    /// Whether extendedKeyUsage names `purpose` (see [`super::oid`]).
    pub fn has_purpose(&self, purpose: &[u8]) -> bool {
        self.extended_key_usage().is_some_and(|purposes| purposes.iter().any(|found| **found == *purpose))
    }

    /// basicConstraints, when present.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.basic_constraints
    }

    /// All extensions that are understood.
    pub fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Whether there is a critical extension that is not understood.
    pub fn has_unknown_critical(&self) -> bool {
        self.0.extensions.unknown_critical
    }

    /// subjectKeyIdentifier, when present.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// OCSP responder addresses of authorityInfoAccess.
    pub fn ocsp_urls(&self) -> &[String] {
        &self.0.extensions.ocsp_urls
    }

    /// The subject's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The algorithm of the issuer's signature; `None` when it is not supported (MD5, for instance).
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.0.signature_algorithm
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.0.subject == self.0.issuer
    }

    /// Whether `issuer`'s name is this certificate's issuer and its key made the signature. Which
    /// algorithm it was says [`Self::signature_algorithm`]; whether that is acceptable is for the caller.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        *self.issuer() == *issuer.subject() && self.verify_signature(issuer.public_key()).is_ok()
    }

    /// Verifies the certificate's own signature with the issuer's key.
    pub fn verify_signature(&self, issuer_key: &PublicKey) -> Result<(), VerifyError> {
        let algorithm = self.0.signature_algorithm.ok_or(VerifyError::Unsupported)?;
        let tbs = self.0.der.get(self.0.tbs.clone()).unwrap_or_default();
        issuer_key.verify(algorithm, tbs, &self.0.signature, EcdsaFormat::Der)
    }
}

impl Inner {
    fn parse(bytes: &[u8]) -> Result<Self, DerError> {
        let mut outer = der::single(bytes, der::SEQUENCE)?.reader();
        let tbs = outer.expect(der::SEQUENCE)?;
        let outer_algorithm = outer.expect(der::SEQUENCE)?;
        let signature = outer.bit_string()?;
        outer.finish()?;

        let mut fields = tbs.reader();
        fields.optional(0xa0)?;
        let serial = fields.integer()?;
        let inner_algorithm = fields.expect(der::SEQUENCE)?;
        if inner_algorithm.content != outer_algorithm.content {
            return Err(DerError("the two signature algorithms differ"));
        }
        let issuer = Name::from_der(fields.expect(der::SEQUENCE)?.whole)?;
        let mut validity = fields.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = Name::from_der(fields.expect(der::SEQUENCE)?.whole)?;
        let public_key = PublicKey::from_spki(fields.expect(der::SEQUENCE)?.whole)?;
        fields.optional(0x81)?;
        fields.optional(0x82)?;
        let extensions = match fields.optional(0xa3)? {
            Some(wrapper) => Extensions::parse(wrapper.reader().sequence()?)?,
            None => Extensions::default(),
        };
        fields.finish()?;

        let start = tbs.whole.as_ptr() as usize - bytes.as_ptr() as usize;
        Ok(Self {
            tbs: start..start + tbs.whole.len(),
            sha1: sha1(bytes),
            sha256: sha256(bytes),
            serial: serial.into(),
            signature_algorithm: SignatureAlgorithm::from_identifier(outer_algorithm.content)?,
            signature: signature.into(),
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
            der: bytes.into(),
        })
    }
}

/// A signed big-endian integer in decimal.
fn decimal(octets: &[u8]) -> String {
    let negative = octets.first().is_some_and(|octet| octet & 0x80 != 0);
    let mut magnitude: Vec<u8> = octets.to_vec();
    if negative {
        let mut carry = true;
        for octet in magnitude.iter_mut().rev() {
            let (sum, overflow) = (!*octet).overflowing_add(u8::from(carry));
            *octet = sum;
            carry = overflow;
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|octet| *octet != 0) {
        let mut remainder = 0u16;
        for octet in &mut magnitude {
            let value = remainder << 8 | u16::from(*octet);
            *octet = (value / 10) as u8;
            remainder = value % 10;
        }
        digits.push(char::from(b'0' + remainder as u8));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    if negative {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.sha256.hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, sha256 {})", self.0.subject, to_hex(&self.0.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_serial_numbers_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[0x80]), "-128");
        assert_eq!(decimal(&[0xff, 0x01]), "-255");
        assert_eq!(decimal(&[0, 0xff]), "255");
        assert_eq!(decimal(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "18446744073709551616");
    }
}
