//! Signature algorithms and their three spellings: XML URI, Java name, object identifier.

use super::DigestAlgorithm;
use super::der::{self, DerError, Reader};

/// A signature algorithm. The ones with SHA-1 are for evidence of the past only (`is_legacy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SignatureAlgorithm {
    RsaSha1,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaSha1,
    EcdsaSha224,
    EcdsaSha256,
    EcdsaSha384,
    EcdsaSha512,
}

/// Padding or scheme of a signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Pkcs1,
    Pss,
    Ecdsa,
}

use DigestAlgorithm::{Sha1, Sha224, Sha256, Sha384, Sha512};
use SignatureAlgorithm as A;

// Algorithm, scheme, digest, JCA name, XML signature URI.
const TABLE: [(A, Scheme, DigestAlgorithm, &str, &str); 12] = [
    (A::RsaSha1, Scheme::Pkcs1, Sha1, "SHA1withRSA", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    (
        A::RsaSha256,
        Scheme::Pkcs1,
        Sha256,
        "SHA256withRSA",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ),
    (
        A::RsaSha384,
        Scheme::Pkcs1,
        Sha384,
        "SHA384withRSA",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    ),
    (
        A::RsaSha512,
        Scheme::Pkcs1,
        Sha512,
        "SHA512withRSA",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    ),
    (
        A::RsaPssSha256,
        Scheme::Pss,
        Sha256,
        "SHA256withRSAandMGF1",
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    ),
    (
        A::RsaPssSha384,
        Scheme::Pss,
        Sha384,
        "SHA384withRSAandMGF1",
        "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    ),
    (
        A::RsaPssSha512,
        Scheme::Pss,
        Sha512,
        "SHA512withRSAandMGF1",
        "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    ),
    (A::EcdsaSha1, Scheme::Ecdsa, Sha1, "SHA1withECDSA", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
    (
        A::EcdsaSha224,
        Scheme::Ecdsa,
        Sha224,
        "SHA224withECDSA",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224",
    ),
    (
        A::EcdsaSha256,
        Scheme::Ecdsa,
        Sha256,
        "SHA256withECDSA",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    ),
    (
        A::EcdsaSha384,
        Scheme::Ecdsa,
        Sha384,
        "SHA384withECDSA",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    ),
    (
        A::EcdsaSha512,
        Scheme::Ecdsa,
        Sha512,
        "SHA512withECDSA",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    ),
];

const PKCS1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA_SHA1: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA2: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

impl SignatureAlgorithm {
    fn row(self) -> &'static (A, Scheme, DigestAlgorithm, &'static str, &'static str) {
        // TABLE is in the order of the variants (asserted by a test).
        &TABLE[self as usize]
    }

    /// The XML signature URI.
    pub fn uri(self) -> &'static str {
        self.row().4
    }

    /// The JCA name, as management requests spell it.
    pub fn name(self) -> &'static str {
        self.row().3
    }

    /// The digest that is signed.
    pub fn digest(self) -> DigestAlgorithm {
        self.row().2
    }

    /// By URI, exactly.
    pub fn from_uri(uri: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.4 == uri).map(|row| row.0)
    }

    /// By JCA name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.3.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// Whether keys are elliptic curve keys.
    pub fn is_ecdsa(self) -> bool {
        self.scheme() == Scheme::Ecdsa
    }

    /// Whether the digest is SHA-1: accepted for evidence of the past only, with a switch.
    pub fn is_legacy(self) -> bool {
        self.digest() == Sha1
    }

    pub(super) fn scheme(self) -> Scheme {
        self.row().1
    }

    /// The DER AlgorithmIdentifier, for certificates and OCSP answers that are made here.
    pub fn to_identifier(self) -> Vec<u8> {
        let null = der::write(der::NULL, &[]);
        let pkcs1 = |last: u8| der::write(der::OID, &[&PKCS1[..], &[last]].concat());
        let ecdsa =
            |last: u8| der::write_sequence(&[&der::write(der::OID, &[&ECDSA_SHA2[..], &[last]].concat())]);
        match self {
            A::RsaSha1 => der::write_sequence(&[&pkcs1(5), &null]),
            A::RsaSha256 => der::write_sequence(&[&pkcs1(11), &null]),
            A::RsaSha384 => der::write_sequence(&[&pkcs1(12), &null]),
            A::RsaSha512 => der::write_sequence(&[&pkcs1(13), &null]),
            A::RsaPssSha256 | A::RsaPssSha384 | A::RsaPssSha512 => {
                let hash = der::write_sequence(&[&der::write(der::OID, self.digest().oid()), &null]);
                let mask = der::write_sequence(&[&pkcs1(8), &hash]);
                let salt = der::write_unsigned(&[self.digest().length() as u8]);
                let parameters = [der::write(0xa0, &hash), der::write(0xa1, &mask), der::write(0xa2, &salt)];
                der::write_sequence(&[&pkcs1(10), &der::write(der::SEQUENCE, &parameters.concat())])
            }
            A::EcdsaSha1 => der::write_sequence(&[&der::write(der::OID, &ECDSA_SHA1)]),
            A::EcdsaSha224 => ecdsa(1),
            A::EcdsaSha256 => ecdsa(2),
            A::EcdsaSha384 => ecdsa(3),
            A::EcdsaSha512 => ecdsa(4),
        }
    }

    /// From the content of an X.509 AlgorithmIdentifier; `Ok(None)` when it is one that is not supported
    /// (MD5 and older among them).
    pub fn from_identifier(content: &[u8]) -> Result<Option<Self>, DerError> {
        let mut reader = Reader::new(content);
        let oid = reader.oid()?;
        if let Some((&last, prefix)) = oid.split_last() {
            if prefix == PKCS1 {
                return Ok(match last {
                    5 => Some(A::RsaSha1),
                    10 => pss_digest(reader)?,
                    11 => Some(A::RsaSha256),
                    12 => Some(A::RsaSha384),
                    13 => Some(A::RsaSha512),
                    _ => None,
                });
            }
            if prefix == ECDSA_SHA2 {
                return Ok(match last {
                    1 => Some(A::EcdsaSha224),
                    2 => Some(A::EcdsaSha256),
                    3 => Some(A::EcdsaSha384),
                    4 => Some(A::EcdsaSha512),
                    _ => None,
                });
            }
        }
        Ok((oid == ECDSA_SHA1).then_some(A::EcdsaSha1))
    }
}

// RSASSA-PSS-params: only the hash is read; its defaults (SHA-1) are refused, salt length is checked by use.
fn pss_digest(mut reader: Reader<'_>) -> Result<Option<SignatureAlgorithm>, DerError> {
    let mut parameters = reader.sequence()?;
    let Some(hash) = parameters.optional(0xa0)? else { return Ok(None) };
    let digest = DigestAlgorithm::from_oid(hash.reader().sequence()?.oid()?);
    Ok(match digest {
        Some(Sha256) => Some(A::RsaPssSha256),
        Some(Sha384) => Some(A::RsaPssSha384),
        Some(Sha512) => Some(A::RsaPssSha512),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_variants() {
        for row in TABLE {
            assert_eq!(row.0.row().0, row.0);
            assert_eq!(SignatureAlgorithm::from_uri(row.0.uri()), Some(row.0));
            assert_eq!(SignatureAlgorithm::from_name(&row.0.name().to_uppercase()), Some(row.0));
            let identifier = row.0.to_identifier();
            let content = der::single(&identifier, der::SEQUENCE).unwrap().content;
            assert_eq!(SignatureAlgorithm::from_identifier(content), Ok(Some(row.0)));
        }
    }

    #[test]
    fn does_not_know_md5() {
        let md5_with_rsa = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04, 0x05, 0x00];
        assert_eq!(SignatureAlgorithm::from_identifier(&md5_with_rsa), Ok(None));
    }
}
