//! What the XAdES properties say: the certificate that was meant, intermediates, OCSP responses, the time.

use super::document::{Read, binary, children_of, digest_method, ids, malformed};
use super::names::{DS, XADES};
use crate::crypto::{Certificate, Name, der};
use crate::limits::OCSP_PARTS_MAX;
use crate::time::UnixTime;
use crate::trust::{OcspResponse, Policy};
use crate::xml::Node;

/// The claimed time of signing, which nobody vouches for.
pub(super) fn signing_time(signed: Node<'_>) -> Option<UnixTime> {
    signed.child(XADES, "SigningTime").and_then(|node| UnixTime::parse_rfc3339(node.text().trim()))
}

/// Checks that SigningCertificate or SigningCertificateV2 names `certificate` by digest and issuer.
pub(super) fn check_signing_certificate(
    signed: Node<'_>,
    certificate: &Certificate,
    policy: &Policy,
) -> Read<()> {
    let mut named = children_of(signed)?
        .filter(|node| node.is(XADES, "SigningCertificate") || node.is(XADES, "SigningCertificateV2"));
    let (Some(named), None) = (named.next(), named.next()) else {
        return Err(malformed("no signing certificate among the signed properties, or two"));
    };
    // The first is the signing certificate; others would be its issuers.
    let cert = children_of(named)?.next().filter(|node| node.is(XADES, "Cert"));
    let cert = cert.ok_or_else(|| malformed("no certificate named among the signed properties"))?;
    check_certificate_id(cert, certificate, policy)
}

fn check_certificate_id(cert: Node<'_>, certificate: &Certificate, policy: &Policy) -> Read<()> {
    let mut children = children_of(cert)?;
    let digest = children.next().filter(|node| node.is(XADES, "CertDigest"));
    check_digest(
        digest.ok_or_else(|| malformed("a certificate named without digest"))?,
        certificate,
        policy,
    )?;
    let matches = match children.next() {
        Some(issuer) if issuer.is(XADES, "IssuerSerial") => {
            let mut parts = children_of(issuer)?;
            let name = parts.next().filter(|node| node.is(DS, "X509IssuerName"));
            let serial = parts.next().filter(|node| node.is(DS, "X509SerialNumber"));
            let name = name.is_some_and(|name| is_issuer(&name.text(), certificate.issuer()));
            name && serial.is_some_and(|serial| serial.text().trim() == certificate.serial_decimal())
        }
        Some(issuer) if issuer.is(XADES, "IssuerSerialV2") => is_issuer_serial(&binary(issuer)?, certificate),
        // Optional in the second version only.
        None => cert.parent().is_some_and(|parent| parent.local() == "SigningCertificateV2"),
        Some(_) => false,
    };
    if matches && children.next().is_none() { Ok(()) } else { Err(malformed("another certificate is named")) }
}

fn check_digest(element: Node<'_>, certificate: &Certificate, policy: &Policy) -> Read<()> {
    let mut parts = children_of(element)?;
    let method = parts.next().filter(|node| node.is(DS, "DigestMethod"));
    let value = parts.next().filter(|node| node.is(DS, "DigestValue"));
    let (Some(method), Some(value), None) = (method, value, parts.next()) else {
        return Err(malformed("a certificate digest has a method and a value"));
    };
    let method = super::verify::acceptable(digest_method(method)?, policy)?;
    if method.digest(certificate.der()).as_ref() != binary(value)? {
        return Err(malformed("the digest of another certificate"));
    }
    Ok(())
}

// The digest binds the certificate already; spellings of the same name differ between writers. A part in
// hexadecimal or under a numeric type cannot be compared as text.
fn is_issuer(text: &str, issuer: &Name) -> bool {
    let parts = |text: &str| {
        let mut parts: Vec<String> = text
            .to_lowercase()
            .split(',')
            .map(|part| part.chars().filter(|c| !c.is_whitespace() && *c != '\\' && *c != '"').collect())
            .collect();
        parts.sort_unstable();
        parts
    };
    let numeric = |text: &str| text.contains("=#") || text.contains("OID.");
    let own = issuer.to_string();
    numeric(text) || numeric(&own) || parts(text) == parts(&own)
}

// IssuerSerial of RFC 5035: general names with one directory name, and the serial number.
fn is_issuer_serial(bytes: &[u8], certificate: &Certificate) -> bool {
    let read = || -> Result<bool, der::DerError> {
        let mut both = der::single(bytes, der::SEQUENCE)?.reader();
        let mut names = both.sequence()?;
        let name = Name::from_der(names.expect(DIRECTORY_NAME)?.content)?;
        names.finish()?;
        let serial = both.integer()?;
        let serial_digits =
            |bytes: &[u8]| bytes.iter().skip_while(|b| **b == 0).copied().collect::<Vec<u8>>();
        Ok(name == *certificate.issuer() && serial_digits(serial) == serial_digits(certificate.serial()))
    };
    read().unwrap_or(false)
}

const DIRECTORY_NAME: u8 = 0xa4;
const EXTRA_CERTIFICATES_MAX: usize = 10;

/// The intermediate certificates that CompleteCertificateRefs names, in its order.
pub(super) fn extra_certificates(unsigned: Option<Node<'_>>, policy: &Policy) -> Read<Vec<Certificate>> {
    let Some(unsigned) = unsigned else { return Ok(Vec::new()) };
    let mut certificates = Vec::new();
    let groups = unsigned.elements().filter(|node| node.is(XADES, "CompleteCertificateRefs"));
    for cert in
        groups.flat_map(|refs| refs.elements().filter(|n| n.is(XADES, "CertRefs"))).flat_map(Node::elements)
    {
        if !cert.is(XADES, "Cert") || certificates.len() == EXTRA_CERTIFICATES_MAX {
            return Err(malformed("too many certificate references, or something else among them"));
        }
        let id = ids(cert, &["URI"])?.first().copied().flatten().and_then(|uri| uri.strip_prefix('#'));
        let id = id.ok_or_else(|| malformed("a certificate reference without URI"))?;
        let values =
            unsigned.elements().filter(|node| node.is(XADES, "CertificateValues")).flat_map(Node::elements);
        let found = values.filter(|node| node.is(XADES, "EncapsulatedX509Certificate"));
        let found = found.filter(|node| node.attribute("Id") == Some(id)).map(binary).next();
        let bytes = found.ok_or_else(|| malformed("a certificate reference to nothing"))??;
        let certificate =
            Certificate::from_der(&bytes).map_err(|_| malformed("an unreadable certificate"))?;
        let digest = children_of(cert)?.next().filter(|node| node.is(XADES, "CertDigest"));
        check_digest(
            digest.ok_or_else(|| malformed("a certificate reference without digest"))?,
            &certificate,
            policy,
        )?;
        certificates.push(certificate);
    }
    Ok(certificates)
}

/// The embedded OCSP responses; none is `malformed_signature`.
pub(super) fn ocsp_responses(unsigned: Option<Node<'_>>) -> Read<Vec<OcspResponse>> {
    let none = || malformed("no OCSP response in the signature");
    let values = unsigned.ok_or_else(none)?.elements().filter(|node| node.is(XADES, "RevocationValues"));
    let values = values.flat_map(|node| node.elements().filter(|n| n.is(XADES, "OCSPValues")));
    let mut responses = Vec::new();
    for value in values.flat_map(Node::elements).filter(|node| node.is(XADES, "EncapsulatedOCSPValue")) {
        if responses.len() == OCSP_PARTS_MAX {
            return Err(malformed("too many OCSP responses"));
        }
        let response = OcspResponse::from_der(&binary(value)?);
        responses.push(response.map_err(|_| malformed("an unreadable OCSP response"))?);
    }
    if responses.is_empty() { Err(none()) } else { Ok(responses) }
}
