//! Time-stamp responses and tokens (RFC 3161 2.4.2, RFC 5652), read without trusting anything in them.

use super::ber;
use super::error::TimestampError;
use super::request::{read_digest_algorithm, read_imprint};
use crate::crypto::der::{self, DerError, Reader, write, write_sequence};
use crate::crypto::{Certificate, Digest, DigestAlgorithm};
use crate::limits;
use crate::time::UnixTime;

pub(super) const OID_SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
pub(super) const OID_TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
pub(super) const CONTEXT_0: u8 = 0xa0;
const CONTEXT_0_PRIMITIVE: u8 = 0x80;
const CONTEXT_1: u8 = 0xa1;

/// A time-stamp token that is well-formed; nothing about it has been verified yet.
#[derive(Debug, Clone)]
pub struct TimestampToken {
    der: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) imprint: Digest,
    pub(super) gen_time: UnixTime,
    pub(super) signer: SignerInfo,
}

/// The one signer of a token.
#[derive(Debug, Clone)]
pub(super) struct SignerInfo {
    pub id: SignerId,
    pub digest: DigestAlgorithm,
    /// Content octets of the signed attributes.
    pub attributes: Vec<u8>,
    /// Content octets of the signature's AlgorithmIdentifier.
    pub algorithm: Vec<u8>,
    pub signature: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) enum SignerId {
    /// DER of the issuer's name, and the serial number's content octets.
    IssuerAndSerial(Vec<u8>, Vec<u8>),
    KeyId(Vec<u8>),
}

impl TimestampToken {
    /// Reads a token in BER or DER.
    ///
    /// # Errors
    /// [`TimestampError::Malformed`], or [`TimestampError::SignerInfoNotFound`] unless there is exactly one signer.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        if bytes.len() > limits::TIMESTAMP_TOKEN_BYTES_MAX {
            return Err(TimestampError::Malformed(DerError("token too large")));
        }
        let der = ber::to_der(bytes)?;
        let parts = SignedData::read(&der)?;
        let content = parts.content.to_vec();
        // The content is an encoding of its own; its digest is over the bytes as they are.
        let info = ber::to_der(&content)?;
        let (imprint, gen_time) = read_tst_info(&info)?;
        let signer = read_only_signer(parts.signers)?;
        Ok(Self { content, imprint, gen_time, signer, der })
    }

    /// The token in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The digest that has been stamped.
    pub fn imprint(&self) -> &Digest {
        &self.imprint
    }

    /// The time that the token claims.
    pub fn claimed_time(&self) -> UnixTime {
        self.gen_time
    }

    /// The token in DER with `certificate` among its certificates, for third parties (X-Road stores it so).
    ///
    /// # Errors
    /// None in practice: the token has been read before.
    pub fn with_certificate(&self, certificate: &Certificate) -> Result<Vec<u8>, TimestampError> {
        let parts = SignedData::read(&self.der)?;
        let mut certificates = Vec::new();
        let mut reader = Reader::new(parts.certificates.unwrap_or_default());
        while !reader.is_empty() {
            certificates.push(reader.element()?.whole);
        }
        if !certificates.contains(&certificate.der()) {
            certificates.push(certificate.der());
        }
        certificates.sort_unstable();
        let set = write(CONTEXT_0, &certificates.concat());
        let signed_data = write_sequence(&[parts.before_certificates, &set, parts.after_certificates]);
        Ok(content_info(&signed_data))
    }
}

/// ContentInfo around a SignedData.
pub(super) fn content_info(signed_data: &[u8]) -> Vec<u8> {
    write_sequence(&[&write(der::OID, OID_SIGNED_DATA), &write(CONTEXT_0, signed_data)])
}

/// Reads a `TimeStampResp`, BER or DER, down to the token that it grants.
///
/// # Errors
/// [`TimestampError::NotGranted`] for any status but granted (0) and grantedWithMods (1); else as for the token.
pub fn parse_response(bytes: &[u8]) -> Result<TimestampToken, TimestampError> {
    if bytes.len() > limits::TIMESTAMP_TOKEN_BYTES_MAX {
        return Err(TimestampError::Malformed(DerError("response too large")));
    }
    let der = ber::to_der(bytes)?;
    let mut response = der::single(&der, der::SEQUENCE)?.reader();
    let mut status_info = response.sequence()?;
    let status = status_info.integer()?;
    if status != [0] && status != [1] {
        let mut text = String::new();
        if let Some(strings) = status_info.optional(der::SEQUENCE)? {
            let mut strings = strings.reader();
            while !strings.is_empty() && text.len() < 200 {
                text.push_str(&String::from_utf8_lossy(strings.element()?.content));
            }
        }
        return Err(TimestampError::NotGranted { status: status.to_vec(), text });
    }
    let token = response.expect(der::SEQUENCE)?.whole;
    response.finish()?;
    TimestampToken::parse(token)
}

struct SignedData<'a> {
    content: &'a [u8],
    certificates: Option<&'a [u8]>,
    signers: &'a [u8],
    before_certificates: &'a [u8],
    after_certificates: &'a [u8],
}

impl<'a> SignedData<'a> {
    fn read(token: &'a [u8]) -> Result<Self, DerError> {
        let mut info = der::single(token, der::SEQUENCE)?.reader();
        if info.oid()? != OID_SIGNED_DATA {
            return Err(DerError("not signed data"));
        }
        let explicit = info.expect(CONTEXT_0)?;
        info.finish()?;
        let whole = der::single(explicit.content, der::SEQUENCE)?.content;
        let mut data = Reader::new(whole);
        let mut used = data.expect(der::INTEGER)?.whole.len();
        used += data.expect(der::SET)?.whole.len();
        let encapsulated = data.expect(der::SEQUENCE)?;
        used += encapsulated.whole.len();
        let content = read_content(encapsulated.reader())?;
        let certificates = data.optional(CONTEXT_0)?;
        let after = used + certificates.map_or(0, |certificates| certificates.whole.len());
        data.optional(CONTEXT_1)?;
        let signers = data.expect(der::SET)?.content;
        data.finish()?;
        Ok(Self {
            content,
            certificates: certificates.map(|certificates| certificates.content),
            signers,
            before_certificates: whole.get(..used).unwrap_or_default(),
            after_certificates: whole.get(after..).unwrap_or_default(),
        })
    }
}

fn read_content(mut encapsulated: Reader<'_>) -> Result<&[u8], DerError> {
    if encapsulated.oid()? != OID_TST_INFO {
        return Err(DerError("not a time-stamp token"));
    }
    let explicit = encapsulated.expect(CONTEXT_0)?.content;
    encapsulated.finish()?;
    der::single(explicit, der::OCTET_STRING).map(|octets| octets.content)
}

fn read_tst_info(content: &[u8]) -> Result<(Digest, UnixTime), DerError> {
    let mut info = der::single(content, der::SEQUENCE)?.reader();
    if info.integer()? != [1] {
        return Err(DerError("unsupported version"));
    }
    info.oid()?;
    let imprint = read_imprint(&mut info)?;
    info.integer()?;
    if info.peek_tag() != Some(der::GENERALIZED_TIME) {
        return Err(DerError("no time"));
    }
    // Only times with the zone Z are read (RFC 3161 2.4.2).
    let gen_time = info.time()?;
    // Accuracy, ordering, nonce, authority and extensions are known to the authority only.
    while !info.is_empty() {
        info.element()?;
    }
    Ok((imprint, gen_time))
}

fn read_only_signer(signers: &[u8]) -> Result<SignerInfo, TimestampError> {
    let mut signers = Reader::new(signers);
    if signers.is_empty() {
        return Err(TimestampError::SignerInfoNotFound);
    }
    let mut signer = signers.sequence()?;
    if !signers.is_empty() {
        return Err(TimestampError::SignerInfoNotFound);
    }
    signer.integer()?;
    let id = read_signer_id(&mut signer)?;
    let digest = read_digest_algorithm(&mut signer)?;
    let attributes = signer.expect(CONTEXT_0)?.content.to_vec();
    let algorithm = signer.expect(der::SEQUENCE)?.content.to_vec();
    let signature = signer.expect(der::OCTET_STRING)?.content.to_vec();
    signer.optional(CONTEXT_1)?;
    signer.finish()?;
    Ok(SignerInfo { id, digest, attributes, algorithm, signature })
}

fn read_signer_id(signer: &mut Reader<'_>) -> Result<SignerId, DerError> {
    if let Some(key_id) = signer.optional(CONTEXT_0_PRIMITIVE)? {
        return Ok(SignerId::KeyId(key_id.content.to_vec()));
    }
    let mut id = signer.sequence()?;
    let issuer = id.expect(der::SEQUENCE)?.whole.to_vec();
    let serial = id.integer()?.to_vec();
    id.finish()?;
    Ok(SignerId::IssuerAndSerial(issuer, serial))
}
