//! Private keys: the trait that tokens implement, and keys held in memory.

use aws_lc_rs::digest as lc_digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaKeyPair};

use super::algorithm::Scheme;
use super::key::fit_digest;
use super::{Curve, SignatureAlgorithm};

/// Why a key could not be made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The private key's encoding or kind is not supported.
    #[error("private key is not supported")]
    Key,
    /// The algorithm does not go with the key.
    #[error("algorithm is not supported with this key")]
    Algorithm,
    /// The token failed to sign, in its words.
    #[error("signing failed: {0}")]
    Token(String),
}

/// A key that signs. Calls may block (a hardware token's round trip) and may come from several threads.
pub trait SigningKey: Send + Sync {
    /// The one algorithm that this key signs with.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// The public half as DER SubjectPublicKeyInfo.
    fn public_key_spki(&self) -> &[u8];
    /// Hashes `message` with the algorithm's digest and signs. ECDSA values are raw `r || s` of full width.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key held in memory. It signs with SHA-512 unless told otherwise.
pub struct SoftwareKey {
    pair: Pair,
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(Curve, EcdsaKeyPair),
}

impl SoftwareKey {
    /// Reads a PKCS#8 private key: RSA of 2048 to 8192 bits, or EC on P-256, P-384 or P-521.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, SignError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) {
            let spki = pair.public_key().as_der().map_err(|_| SignError::Key)?.as_ref().to_vec();
            let pair = Pair::Rsa(pair);
            return Ok(Self { pair, pkcs8: pkcs8.to_vec(), spki, algorithm: SignatureAlgorithm::RsaSha512 });
        }
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(ec_signing(curve), pkcs8) {
                let spki = pair.public_key().as_der().map_err(|_| SignError::Key)?.as_ref().to_vec();
                let pair = Pair::Ec(curve, pair);
                let algorithm = SignatureAlgorithm::EcdsaSha512;
                return Ok(Self { pair, pkcs8: pkcs8.to_vec(), spki, algorithm });
            }
        }
        Err(SignError::Key)
    }

    /// A new RSA key of 2048, 3072, 4096 or 8192 bits.
    pub fn generate_rsa(bits: usize) -> Result<Self, SignError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            _ => return Err(SignError::Key),
        };
        let pair = RsaKeyPair::generate(size).map_err(|_| SignError::Key)?;
        Self::from_pkcs8_der(pair.as_der().map_err(|_| SignError::Key)?.as_ref())
    }

    /// A new EC key on P-256.
    pub fn generate_ec_p256() -> Result<Self, SignError> {
        let pair = EcdsaKeyPair::generate(ec_signing(Curve::P256)).map_err(|_| SignError::Key)?;
        Self::from_pkcs8_der(pair.to_pkcs8v1().map_err(|_| SignError::Key)?.as_ref())
    }

    /// The same key, signing with another algorithm.
    pub fn with_algorithm(mut self, algorithm: SignatureAlgorithm) -> Result<Self, SignError> {
        let fits = matches!(
            (&self.pair, algorithm.scheme()),
            (Pair::Rsa(_), Scheme::Pkcs1 | Scheme::Pss) | (Pair::Ec(..), Scheme::Ecdsa)
        );
        if !fits || algorithm.is_legacy() {
            return Err(SignError::Algorithm);
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The private key as PKCS#8 DER. Handle with care: it is not encrypted.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Signs as [`SigningKey::sign`] does, but gives ECDSA values in ASN.1, as certificates, OCSP answers,
    /// the global configuration and management requests carry them.
    pub fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let value = self.sign(message)?;
        match self.pair {
            Pair::Rsa(_) => Ok(value),
            Pair::Ec(..) => super::ecdsa::raw_to_der(&value).ok_or(SignError::Key),
        }
    }

    /// The signature algorithm as DER AlgorithmIdentifier.
    pub fn algorithm_identifier(&self) -> Vec<u8> {
        self.algorithm.to_identifier()
    }
}

impl SigningKey for SoftwareKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key_spki(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |_| SignError::Token("the cryptographic library refused".to_owned());
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding = rsa_padding(self.algorithm).ok_or(SignError::Algorithm)?;
                let mut value = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut value).map_err(failed)?;
                Ok(value)
            }
            Pair::Ec(curve, pair) => {
                let native = curve.native_digest();
                let digest = self.algorithm.digest().digest(message);
                let fitted = fit_digest(digest.as_ref(), native.length());
                let fitted =
                    lc_digest::Digest::import_less_safe(&fitted, native.provider()).map_err(failed)?;
                Ok(pair.sign_digest(&fitted).map_err(failed)?.as_ref().to_vec())
            }
        }
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftwareKey({})", self.algorithm.name())
    }
}

fn ec_signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

fn rsa_padding(algorithm: SignatureAlgorithm) -> Option<&'static dyn lc::RsaEncoding> {
    Some(match algorithm {
        SignatureAlgorithm::RsaSha256 => &lc::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaSha384 => &lc::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaSha512 => &lc::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &lc::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &lc::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPssSha512 => &lc::RSA_PSS_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{EcdsaFormat, KeyKind, PublicKey, VerifyError};

    #[test]
    fn trap_signature_10_p256_signs_sha512_digests() {
        let key = SoftwareKey::generate_ec_p256().unwrap();
        assert_eq!(key.algorithm(), SignatureAlgorithm::EcdsaSha512);
        let public = PublicKey::from_spki(key.public_key_spki()).unwrap();
        assert_eq!(public.kind(), KeyKind::Ec { curve: Curve::P256 });
        let value = key.sign(b"message").unwrap();
        assert_eq!(value.len(), 64);
        let verify = |algorithm, message: &[u8], value: &[u8], format| {
            public.verify(algorithm, message, value, format)
        };
        let with = SignatureAlgorithm::EcdsaSha512;
        assert_eq!(verify(with, b"message", &value, EcdsaFormat::Raw), Ok(()));
        assert_eq!(verify(with, b"Message", &value, EcdsaFormat::Raw), Err(VerifyError::Wrong));
        assert_eq!(
            verify(SignatureAlgorithm::EcdsaSha256, b"message", &value, EcdsaFormat::Raw),
            Err(VerifyError::Wrong)
        );
        assert_eq!(
            verify(SignatureAlgorithm::RsaSha512, b"message", &value, EcdsaFormat::Raw),
            Err(VerifyError::Unsupported)
        );
        let der = super::super::ecdsa::raw_to_der(&value).unwrap();
        assert_eq!(verify(with, b"message", &der, EcdsaFormat::Der), Ok(()));
        // An independent route: the library's own pair of this curve with this digest.
        let direct = lc::UnparsedPublicKey::new(&lc::ECDSA_P256_SHA512_ASN1, public.spki());
        direct.verify(b"message", &der).unwrap();
    }

    #[test]
    fn rsa_signs_with_both_paddings() {
        let key = SoftwareKey::generate_rsa(2048).unwrap();
        let public = PublicKey::from_spki(key.public_key_spki()).unwrap();
        assert_eq!(public.kind(), KeyKind::Rsa { bits: 2048 });
        let again = SoftwareKey::from_pkcs8_der(key.pkcs8_der()).unwrap();
        let again = again.with_algorithm(SignatureAlgorithm::RsaPssSha512).unwrap();
        for key in [&key, &again] {
            let value = key.sign(b"message").unwrap();
            assert_eq!(public.verify(key.algorithm(), b"message", &value, EcdsaFormat::Raw), Ok(()));
            assert!(public.verify(key.algorithm(), b"other", &value, EcdsaFormat::Raw).is_err());
        }
        assert!(again.with_algorithm(SignatureAlgorithm::EcdsaSha512).is_err());
        assert!(SoftwareKey::from_pkcs8_der(b"no key").is_err());
    }
}
