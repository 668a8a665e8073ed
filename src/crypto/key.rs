//! Public keys and verification.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest as lc_digest;
use aws_lc_rs::signature::{self as lc, UnparsedPublicKey, VerificationAlgorithm};

use super::algorithm::Scheme;
use super::der::{self, DerError, Reader};
use super::{Digest, DigestAlgorithm, SignatureAlgorithm, ecdsa};

/// The NIST curves that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Bytes of a coordinate, and of each half of a raw signature.
    pub const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The digest whose length is the curve's: what the prehash interface calls the shortened digest.
    pub(super) const fn native_digest(self) -> DigestAlgorithm {
        match self {
            Self::P256 => DigestAlgorithm::Sha256,
            Self::P384 => DigestAlgorithm::Sha384,
            Self::P521 => DigestAlgorithm::Sha512,
        }
    }

    fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(Self::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Some(Self::P521),
            _ => None,
        }
    }
}

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Elliptic curve.
    Ec {
        /// The curve.
        curve: Curve,
    },
    /// Anything else: it can be carried, not used.
    Unsupported,
}

/// How an ECDSA value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcdsaFormat {
    /// `r || s`, as in XML signatures; short halves are tolerated.
    Raw,
    /// ASN.1 SEQUENCE, as everywhere else.
    Der,
}

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The value does not belong to this key and message.
    #[error("signature value is wrong")]
    Wrong,
    /// Key and algorithm do not go together, or one of them is not supported.
    #[error("algorithm is not supported with this key")]
    Unsupported,
}

static VERIFICATIONS: AtomicU64 = AtomicU64::new(0);

/// Public-key operations that checked a signature since the process started: those of messages, certificates, OCSP
/// responses and time-stamps, not those inside of TLS. For metrics only.
pub fn verifications() -> u64 {
    VERIFICATIONS.load(Ordering::Relaxed)
}

/// A public key as a SubjectPublicKeyInfo carries it.
#[derive(Debug, Clone)]
pub struct PublicKey {
    spki: Arc<[u8]>,
    bits: Arc<[u8]>,
    kind: KeyKind,
}

const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo. A key of an unknown kind is carried as `KeyKind::Unsupported`.
    pub fn from_spki(spki: &[u8]) -> Result<Self, DerError> {
        let mut reader = der::single(spki, der::SEQUENCE)?.reader();
        let mut algorithm = reader.sequence()?;
        let bits = reader.bit_string()?;
        reader.finish()?;
        let oid = algorithm.oid()?;
        let kind = if oid == RSA {
            KeyKind::Rsa { bits: modulus_bits(bits)? }
        } else if oid == EC {
            let curve = algorithm.optional(der::OID)?.and_then(|curve| Curve::from_oid(curve.content));
            curve.map_or(KeyKind::Unsupported, |curve| KeyKind::Ec { curve })
        } else {
            KeyKind::Unsupported
        };
        Ok(Self { spki: spki.into(), bits: bits.into(), kind })
    }

    /// Kind and size.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Content of the BIT STRING without its first octet: what OCSP's key hash covers.
    pub fn key_bits(&self) -> &[u8] {
        &self.bits
    }

    /// Verifies `signature` over `message`, which is hashed with the algorithm's digest.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
        format: EcdsaFormat,
    ) -> Result<(), VerifyError> {
        self.verify_digest(algorithm, &algorithm.digest().digest(message), signature, format)
    }

    /// Verifies `signature` over a digest made before. `digest` must be of the algorithm's digest.
    pub fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &Digest,
        signature: &[u8],
        format: EcdsaFormat,
    ) -> Result<(), VerifyError> {
        if digest.algorithm() != algorithm.digest() {
            return Err(VerifyError::Unsupported);
        }
        match (self.kind, algorithm.scheme()) {
            (KeyKind::Rsa { bits }, scheme @ (Scheme::Pkcs1 | Scheme::Pss)) => {
                let with =
                    rsa_verification(bits, scheme, algorithm.digest()).ok_or(VerifyError::Unsupported)?;
                self.check(with, digest.algorithm(), digest.as_ref(), signature)
            }
            (KeyKind::Ec { curve }, Scheme::Ecdsa) => {
                let raw = match format {
                    EcdsaFormat::Raw => ecdsa::widen_raw(signature, curve.width()),
                    EcdsaFormat::Der => ecdsa::der_to_raw(signature, curve.width()).ok(),
                };
                let raw = raw.ok_or(VerifyError::Wrong)?;
                let with: &'static dyn VerificationAlgorithm = match curve {
                    Curve::P256 => &lc::ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &lc::ECDSA_P384_SHA384_FIXED,
                    Curve::P521 => &lc::ECDSA_P521_SHA512_FIXED,
                };
                let native = curve.native_digest();
                self.check(with, native, &fit_digest(digest.as_ref(), native.length()), &raw)
            }
            _ => Err(VerifyError::Unsupported),
        }
    }

    fn check(
        &self,
        with: &'static dyn VerificationAlgorithm,
        algorithm: DigestAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let digest = lc_digest::Digest::import_less_safe(digest, algorithm.provider())
            .map_err(|_| VerifyError::Unsupported)?;
        VERIFICATIONS.fetch_add(1, Ordering::Relaxed);
        UnparsedPublicKey::new(with, &self.bits)
            .verify_digest(&digest, signature)
            .map_err(|_| VerifyError::Wrong)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

/// The digest as the number that ECDSA signs: its leftmost bits when it is longer than the curve, the
/// same number with leading zeros when it is shorter (FIPS 186-5, 6.4). So P-256 signs SHA-512 digests.
pub(super) fn fit_digest(digest: &[u8], width: usize) -> Vec<u8> {
    let kept = digest.get(..width).unwrap_or(digest);
    let mut fitted = vec![0; width - kept.len()];
    fitted.extend_from_slice(kept);
    fitted
}

fn rsa_verification(
    bits: usize,
    scheme: Scheme,
    digest: DigestAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use DigestAlgorithm::{Sha1, Sha256, Sha384, Sha512};
    let modern = bits >= 2048;
    Some(match (scheme, digest) {
        (Scheme::Pkcs1, Sha1) => &lc::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Scheme::Pkcs1, Sha256) if modern => &lc::RSA_PKCS1_2048_8192_SHA256,
        (Scheme::Pkcs1, Sha256) => &lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Scheme::Pkcs1, Sha384) => &lc::RSA_PKCS1_2048_8192_SHA384,
        (Scheme::Pkcs1, Sha512) if modern => &lc::RSA_PKCS1_2048_8192_SHA512,
        (Scheme::Pkcs1, Sha512) => &lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Scheme::Pss, Sha256) => &lc::RSA_PSS_2048_8192_SHA256,
        (Scheme::Pss, Sha384) => &lc::RSA_PSS_2048_8192_SHA384,
        (Scheme::Pss, Sha512) => &lc::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn modulus_bits(bits: &[u8]) -> Result<usize, DerError> {
    let modulus = Reader::new(bits).sequence()?.integer()?;
    let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
    let significant = modulus.get(zeros..).unwrap_or_default();
    let first = significant.first().map_or(0, |octet| octet.leading_zeros() as usize);
    Ok(significant.len() * 8 - first)
}
