//! The certificate extensions that decide something.

use super::der::{self, DerError, Reader};

/// Content octets of object identifiers.
#[allow(missing_docs)]
pub mod oid {
    pub const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
    pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
    pub const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
    pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
    pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub const AUTHORITY_INFORMATION_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
    pub const OCSP_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    pub const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    pub const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
    pub const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
    pub const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
}

/// The bits of the keyUsage extension, most significant first as in RFC 5280, 4.2.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

#[allow(missing_docs)]
impl KeyUsage {
    fn bit(self, bit: u8) -> bool {
        self.0 & (0x8000 >> bit) != 0
    }
    pub fn digital_signature(self) -> bool {
        self.bit(0)
    }
    pub fn non_repudiation(self) -> bool {
        self.bit(1)
    }
    pub fn key_encipherment(self) -> bool {
        self.bit(2)
    }
    pub fn data_encipherment(self) -> bool {
        self.bit(3)
    }
    pub fn key_agreement(self) -> bool {
        self.bit(4)
    }
    pub fn key_cert_sign(self) -> bool {
        self.bit(5)
    }
}

/// The basicConstraints extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicConstraints {
    /// Whether the subject is a CA.
    pub ca: bool,
    /// How many intermediate certificates may follow.
    pub path_length: Option<u32>,
}

/// What the extensions of one certificate say.
#[derive(Debug, Clone, Default)]
pub struct Extensions {
    /// keyUsage.
    pub key_usage: Option<KeyUsage>,
    /// extendedKeyUsage: content octets of the purposes.
    pub extended_key_usage: Option<Vec<Box<[u8]>>>,
    /// basicConstraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<Box<[u8]>>,
    /// URLs of OCSP responders in authorityInfoAccess, in order.
    pub ocsp_urls: Vec<String>,
    /// A critical extension is there that this server does not understand.
    pub unknown_critical: bool,
    /// nameConstraints is there; it is not evaluated, so a CA that has it is refused.
    pub name_constraints: bool,
}

impl Extensions {
    /// Reads the content of the `Extensions` SEQUENCE.
    pub(super) fn parse(mut list: Reader<'_>) -> Result<Self, DerError> {
        let mut extensions = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.is_empty() {
            let mut extension = list.sequence()?;
            let id = extension.oid()?;
            let critical = extension.optional(der::BOOLEAN)?.is_some_and(|flag| flag.content != [0]);
            let value = extension.expect(der::OCTET_STRING)?.content;
            extension.finish()?;
            if seen.contains(&id) {
                return Err(DerError("repeated extension"));
            }
            seen.push(id);
            extensions.take(id, critical, value)?;
        }
        Ok(extensions)
    }

    fn take(&mut self, id: &[u8], critical: bool, value: &[u8]) -> Result<(), DerError> {
        match id {
            oid::KEY_USAGE => {
                let content = der::single(value, der::BIT_STRING)?.content;
                let (_, octets) = content.split_first().ok_or(DerError("empty key usage"))?;
                let octet = |at: usize| u16::from(octets.get(at).copied().unwrap_or(0));
                self.key_usage = Some(KeyUsage(octet(0) << 8 | octet(1)));
            }
            oid::EXTENDED_KEY_USAGE => {
                let mut list = der::single(value, der::SEQUENCE)?.reader();
                let mut purposes = Vec::new();
                while !list.is_empty() {
                    purposes.push(list.oid()?.into());
                }
                self.extended_key_usage = Some(purposes);
            }
            oid::BASIC_CONSTRAINTS => {
                let mut fields = der::single(value, der::SEQUENCE)?.reader();
                let ca = fields.optional(der::BOOLEAN)?.is_some_and(|flag| flag.content != [0]);
                let path_length = match fields.optional(der::INTEGER)? {
                    Some(number) => Some(path_length(number.content)?),
                    None => None,
                };
                self.basic_constraints = Some(BasicConstraints { ca, path_length });
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id = Some(der::single(value, der::OCTET_STRING)?.content.into());
            }
            oid::AUTHORITY_INFORMATION_ACCESS => self.take_access(value)?,
            oid::NAME_CONSTRAINTS => self.name_constraints = true,
            oid::SUBJECT_ALTERNATIVE_NAME | oid::CERTIFICATE_POLICIES | oid::AUTHORITY_KEY_IDENTIFIER => {}
            _ => self.unknown_critical |= critical,
        }
        Ok(())
    }

    fn take_access(&mut self, value: &[u8]) -> Result<(), DerError> {
        const URI: u8 = 0x86;
        let mut list = der::single(value, der::SEQUENCE)?.reader();
        while !list.is_empty() {
            let mut access = list.sequence()?;
            let method = access.oid()?;
            let location = access.element()?;
            if method == oid::OCSP_ACCESS && location.tag == URI {
                self.ocsp_urls.push(String::from_utf8_lossy(location.content).into_owned());
            }
        }
        Ok(())
    }
}

fn path_length(content: &[u8]) -> Result<u32, DerError> {
    if content.is_empty() || content.len() > 4 || content.first().is_some_and(|octet| octet & 0x80 != 0) {
        return Err(DerError("malformed path length"));
    }
    Ok(content.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
}
