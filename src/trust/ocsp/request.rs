//! Certificate ids and requests.

use crate::crypto::{Certificate, DigestAlgorithm, der, sha1};

/// Which certificate an answer is about: SHA-1 hashes of the issuer's name and key, and the serial number.
/// Ids with another digest never match (X-Road 7.8 behaviour).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertId {
    pub(super) name_hash: [u8; 20],
    pub(super) key_hash: [u8; 20],
    pub(super) serial: Vec<u8>,
}

impl CertId {
    /// The id of `certificate` under `issuer`.
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Self {
        Self {
            name_hash: issuer.subject().sha1(),
            key_hash: sha1(issuer.public_key().key_bits()),
            serial: certificate.serial().to_vec(),
        }
    }

    /// DER with an explicit NULL as parameters of the digest algorithm: official servers insist on it.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = der::write_sequence(&[
            &der::write(der::OID, DigestAlgorithm::Sha1.oid()),
            &der::write(der::NULL, &[]),
        ]);
        der::write_sequence(&[
            &algorithm,
            &der::write(der::OCTET_STRING, &self.name_hash),
            &der::write(der::OCTET_STRING, &self.key_hash),
            &der::write(der::INTEGER, &self.serial),
        ])
    }
}

/// A certificate id as an answer spells it, with whatever digest.
#[derive(Debug, Clone)]
pub(super) struct AnyCertId {
    /// `None` for a digest that is not known here.
    pub(super) digest: Option<DigestAlgorithm>,
    pub(super) name_hash: Box<[u8]>,
    pub(super) key_hash: Box<[u8]>,
    pub(super) serial: Box<[u8]>,
}

impl AnyCertId {
    /// The id as such that can match, if it is one.
    pub(super) fn sha1(&self) -> Option<CertId> {
        let sha1 = self.digest == Some(DigestAlgorithm::Sha1);
        Some(CertId {
            name_hash: sha1.then(|| hash20(&self.name_hash)).flatten()?,
            key_hash: hash20(&self.key_hash)?,
            serial: self.serial.to_vec(),
        })
    }

    /// Whether it is the id of `certificate` under `issuer`.
    pub(super) fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.digest.is_some_and(|digest| {
            *self.serial == *certificate.serial()
                && digest.digest(issuer.subject().der()).as_ref() == &*self.name_hash
                && digest.digest(issuer.public_key().key_bits()).as_ref() == &*self.key_hash
        })
    }
}

fn hash20(bytes: &[u8]) -> Option<[u8; 20]> {
    bytes.try_into().ok()
}

/// The DER request for one certificate: no nonce, no signature, no extensions.
pub fn ocsp_request(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let request = der::write_sequence(&[&CertId::new(certificate, issuer).to_der()]);
    let list = der::write_sequence(&[&request]);
    der::write_sequence(&[&der::write_sequence(&[&list])])
}
