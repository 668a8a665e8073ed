//! Private keys of the sandbox and what is signed with them.

use super::error::SandboxError;
use super::options::KeyType;
use crate::crypto::{Certificate, SignatureAlgorithm, SigningKey as _, SoftwareKey};

/// A private key together with its certificate.
pub struct Identity {
    key: SoftwareKey,
    certificate: Certificate,
}

impl Identity {
    /// From a key and its certificate in DER.
    pub(super) fn new(key: SoftwareKey, certificate: &[u8]) -> Result<Self, SandboxError> {
        let certificate = Certificate::from_der(certificate).map_err(|e| pki_error("a certificate", e))?;
        Ok(Self { key, certificate })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key. It signs with SHA-512 (RSA) or SHA-256 (EC).
    pub fn key(&self) -> &SoftwareKey {
        &self.key
    }

    /// Signs `message` as certificates, OCSP responses and configuration directories are signed: ECDSA in DER.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it does not for a key that it made.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SandboxError> {
        self.key.sign_der(message).map_err(|e| pki_error("a signature", e))
    }

    /// What [`Self::sign`] signs with.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

/// How strong a key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Signs messages, proves a server, or is the trust anchor: RSA 3072.
    Member,
    /// A service of the sandbox: RSA 2048.
    Service,
}

/// A new key.
pub(super) fn generate(kind: KeyType, strength: Strength) -> Result<SoftwareKey, SandboxError> {
    let key = match (kind, strength) {
        (KeyType::Ec, _) => SoftwareKey::generate_ec_p256(),
        (KeyType::Rsa, Strength::Member) => SoftwareKey::generate_rsa(3072),
        (KeyType::Rsa2048, _) | (KeyType::Rsa, Strength::Service) => SoftwareKey::generate_rsa(2048),
    };
    choose_digest(kind, key.map_err(|e| pki_error("a key", e))?)
}

/// A key from its PKCS#8 DER.
pub(super) fn from_pkcs8(kind: KeyType, pkcs8: &[u8]) -> Result<SoftwareKey, SandboxError> {
    choose_digest(kind, SoftwareKey::from_pkcs8_der(pkcs8).map_err(|e| pki_error("a key from its file", e))?)
}

fn choose_digest(kind: KeyType, key: SoftwareKey) -> Result<SoftwareKey, SandboxError> {
    let algorithm = match kind {
        KeyType::Rsa | KeyType::Rsa2048 => SignatureAlgorithm::RsaSha512,
        // What certificate libraries agree on for P-256.
        KeyType::Ec => SignatureAlgorithm::EcdsaSha256,
    };
    key.with_algorithm(algorithm).map_err(|e| pki_error("a key of the wanted kind", e))
}

/// The same key as the certificate builder wants it.
pub(super) fn for_builder(kind: KeyType, key: &SoftwareKey) -> Result<rcgen::KeyPair, SandboxError> {
    let algorithm = match kind {
        KeyType::Ec => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyType::Rsa | KeyType::Rsa2048 => &rcgen::PKCS_RSA_SHA512,
    };
    let pkcs8 = rustls_pki_types::PrivatePkcs8KeyDer::from(key.pkcs8_der());
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, algorithm).map_err(|e| pki_error("a key", e))
}

pub(super) fn pki_error(what: impl Into<String>, reason: impl std::fmt::Display) -> SandboxError {
    SandboxError::Pki { what: what.into(), reason: reason.to_string() }
}
