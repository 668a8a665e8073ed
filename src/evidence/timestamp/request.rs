//! Time-stamp requests (RFC 3161 2.4.1).

use crate::crypto::der::{self, DerError, Reader, write, write_sequence, write_unsigned};
use crate::crypto::{Digest, DigestAlgorithm};

/// A time-stamp request as a time-stamping authority reads it.
#[derive(Debug, Clone)]
pub struct TimestampRequest {
    /// What is to be stamped.
    pub imprint: Digest,
    /// Content octets of the requested policy's object identifier.
    pub policy: Option<Vec<u8>>,
    /// Content octets of the nonce, to be repeated in the token.
    pub nonce: Option<Vec<u8>>,
    /// Whether the token shall contain the authority's certificate.
    pub certificate_wanted: bool,
}

impl TimestampRequest {
    /// Reads a DER `TimeStampReq`.
    ///
    /// # Errors
    /// Malformed, another version, an unknown digest algorithm, or a digest of the wrong length.
    pub fn parse(bytes: &[u8]) -> Result<Self, DerError> {
        let mut request = der::single(bytes, der::SEQUENCE)?.reader();
        if request.integer()? != [1] {
            return Err(DerError("unsupported version"));
        }
        let imprint = read_imprint(&mut request)?;
        let policy = request.optional(der::OID)?.map(|oid| oid.content.to_vec());
        let nonce = request.optional(der::INTEGER)?.map(|nonce| nonce.content.to_vec());
        let certificate_wanted = request.optional(der::BOOLEAN)?.is_some_and(|wanted| wanted.content != [0]);
        request.optional(EXTENSIONS)?;
        request.finish()?;
        Ok(Self { imprint, policy, nonce, certificate_wanted })
    }
}

const EXTENSIONS: u8 = 0xa0;

/// The request that this server sends: version 1, imprint without algorithm parameters, nothing else.
pub fn request_der(imprint: &Digest) -> Vec<u8> {
    write_sequence(&[&write_unsigned(&[1]), &write_imprint(imprint)])
}

/// `MessageImprint`.
pub(super) fn write_imprint(imprint: &Digest) -> Vec<u8> {
    let algorithm = write_sequence(&[&write(der::OID, imprint.algorithm().oid())]);
    write_sequence(&[&algorithm, &write(der::OCTET_STRING, imprint.as_ref())])
}

pub(super) fn read_imprint(reader: &mut Reader<'_>) -> Result<Digest, DerError> {
    let mut imprint = reader.sequence()?;
    let algorithm = read_digest_algorithm(&mut imprint)?;
    let value = imprint.expect(der::OCTET_STRING)?.content;
    imprint.finish()?;
    Digest::from_bytes(algorithm, value).ok_or(DerError("digest of another length than its algorithm's"))
}

/// An AlgorithmIdentifier of a digest: parameters absent or NULL.
pub(super) fn read_digest_algorithm(reader: &mut Reader<'_>) -> Result<DigestAlgorithm, DerError> {
    let mut identifier = reader.sequence()?;
    let algorithm =
        DigestAlgorithm::from_oid(identifier.oid()?).ok_or(DerError("unsupported digest algorithm"))?;
    identifier.optional(der::NULL)?;
    identifier.finish()?;
    Ok(algorithm)
}
