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

/// The DER request for one certificate: no nonce, no signature, no extensions.
pub fn ocsp_request(certificate: &Certificate, issuer: &Certificate) -> Vec<u8> {
    let request = der::write_sequence(&[&CertId::new(certificate, issuer).to_der()]);
    let list = der::write_sequence(&[&request]);
    der::write_sequence(&[&der::write_sequence(&[&list])])
}
