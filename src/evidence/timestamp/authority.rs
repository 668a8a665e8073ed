//! The other side: the answers of a time-stamping authority.

use super::request::{TimestampRequest, write_imprint};
use super::token::{CONTEXT_0, OID_TST_INFO, content_info};
use crate::crypto::der::{self, write, write_sequence, write_unsigned};
use crate::crypto::{Certificate, SignError, SigningKey, ecdsa, sha256};
use crate::time::UnixTime;

const OID_PKCS9: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09];
const OID_ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];
const NULL: &[u8] = &[der::NULL, 0];

/// Answers a request: a granted `TimeStampResp` in DER with a token signed by `key`, whose certificate is `certificate`.
///
/// `serial` must differ from token to token. The time is written in whole seconds.
///
/// # Errors
/// The key's.
pub fn make_response(
    key: &dyn SigningKey,
    certificate: &Certificate,
    request: &TimestampRequest,
    gen_time: UnixTime,
    serial: u64,
) -> Result<Vec<u8>, SignError> {
    let token = make_token(key, certificate, request, gen_time, serial)?;
    Ok(write_sequence(&[&write_sequence(&[&write(der::INTEGER, &[0])]), &token]))
}

/// A `TimeStampResp` that rejects the request (status 2) and says why.
pub fn make_rejection(text: &str) -> Vec<u8> {
    const UTF8_STRING: u8 = 0x0c;
    let text = write_sequence(&[&write(UTF8_STRING, text.as_bytes())]);
    write_sequence(&[&write_sequence(&[&write(der::INTEGER, &[2]), &text])])
}

fn make_token(
    key: &dyn SigningKey,
    certificate: &Certificate,
    request: &TimestampRequest,
    gen_time: UnixTime,
    serial: u64,
) -> Result<Vec<u8>, SignError> {
    let algorithm = key.algorithm();
    let digest = algorithm.digest();
    let info = tst_info(request, gen_time, serial);
    let attributes = signed_attributes(certificate, digest.digest(&info).as_ref(), gen_time);
    let mut signature = key.sign(&write(der::SET, &attributes))?;
    if algorithm.is_ecdsa() {
        signature = ecdsa::raw_to_der(&signature).ok_or(SignError::Algorithm)?;
    }
    let digest_algorithm = write_sequence(&[&write(der::OID, digest.oid()), NULL]);
    let signer = write_sequence(&[
        &write_unsigned(&[1]),
        &write_sequence(&[certificate.issuer().der(), &write(der::INTEGER, certificate.serial())]),
        &digest_algorithm,
        &write(CONTEXT_0, &attributes),
        &algorithm.to_identifier(),
        &write(der::OCTET_STRING, &signature),
    ]);
    let content = write(CONTEXT_0, &write(der::OCTET_STRING, &info));
    let certificates =
        if request.certificate_wanted { write(CONTEXT_0, certificate.der()) } else { Vec::new() };
    let signed_data = write_sequence(&[
        &write_unsigned(&[3]),
        &write(der::SET, &digest_algorithm),
        &write_sequence(&[&write(der::OID, OID_TST_INFO), &content]),
        &certificates,
        &write(der::SET, &signer),
    ]);
    Ok(content_info(&signed_data))
}

fn tst_info(request: &TimestampRequest, gen_time: UnixTime, serial: u64) -> Vec<u8> {
    let nonce = request.nonce.as_ref().map(|nonce| write(der::INTEGER, nonce)).unwrap_or_default();
    write_sequence(&[
        &write_unsigned(&[1]),
        &write(der::OID, request.policy.as_deref().unwrap_or(OID_ANY_POLICY)),
        &write_imprint(&request.imprint),
        &write_unsigned(&serial.to_be_bytes()),
        &write(der::GENERALIZED_TIME, generalized_time(gen_time).as_bytes()),
        &nonce,
    ])
}

/// Content of the set of signed attributes, in DER order.
fn signed_attributes(certificate: &Certificate, message_digest: &[u8], at: UnixTime) -> Vec<u8> {
    let pkcs9 = |tail: &[u8]| write(der::OID, &[&OID_PKCS9, tail].concat());
    let attribute = |oid: &[u8], value: &[u8]| write_sequence(&[oid, &write(der::SET, value)]);
    // The digest algorithm of ESSCertIDv2 is SHA-256 by default, and a default is left out in DER.
    let certificate_id = write_sequence(&[&write(der::OCTET_STRING, &sha256(certificate.der()))]);
    let mut attributes = [
        attribute(&pkcs9(&[3]), &write(der::OID, OID_TST_INFO)),
        attribute(&pkcs9(&[4]), &write(der::OCTET_STRING, message_digest)),
        attribute(&pkcs9(&[5]), &signing_time(at)),
        attribute(&pkcs9(&[0x10, 0x02, 0x2f]), &write_sequence(&[&write_sequence(&[&certificate_id])])),
    ];
    attributes.sort_unstable();
    attributes.concat()
}

/// UTCTime up to 2049, GeneralizedTime after (RFC 5652 11.3).
fn signing_time(at: UnixTime) -> Vec<u8> {
    let text = generalized_time(at);
    match text.get(2..) {
        Some(short) if text.as_str() < "2050" => write(der::UTC_TIME, short.as_bytes()),
        _ => write(der::GENERALIZED_TIME, text.as_bytes()),
    }
}

fn generalized_time(at: UnixTime) -> String {
    let (year, month, day, hour, minute, second, _) = at.civil();
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}
