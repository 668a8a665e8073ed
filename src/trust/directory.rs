//! Signed configuration directories: what a source publishes, verified before anything in it is believed.

mod error;
mod fields;
mod multipart;
#[cfg(test)]
mod tests;

pub use error::DirectoryError;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use self::fields::Parameters;
use self::multipart::{Entity, boundary_of, split_lenient, split_strict};
use super::anchor::Location;
use super::{Metadata, Part, PartKind, Policy, PrivateParams, SharedParams};
use crate::crypto::{Certificate, Digest, DigestAlgorithm, EcdsaFormat, SignatureAlgorithm};
use crate::limits;
use crate::time::UnixTime;

/// A directory whose signature was verified and that has not expired.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The last moment at which it holds.
    pub expires: UnixTime,
    /// Version that decides the schema of its files: 2 to 6, from the signed header.
    pub version: u8,
    /// The files of the location's instance.
    pub parts: Vec<DirectoryPart>,
    /// Files of other instances than the location's. Not to be used unless the operator says so.
    pub others: Vec<DirectoryPart>,
}

/// One file that a directory lists.
#[derive(Debug, Clone)]
pub struct DirectoryPart {
    /// `SHARED-PARAMETERS`, `PRIVATE-PARAMETERS` or the name of an optional part; empty when not given.
    pub content_identifier: String,
    /// The instance, when given.
    pub instance: Option<String>,
    /// URI reference of the file.
    pub content_location: String,
    /// The name that the source suggests, base name only.
    pub content_file_name: Option<String>,
    /// What the file must hash to.
    pub digest: Digest,
}

const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Verifies a downloaded directory with the certificates of the location it came from, and reads it. The
/// order of checks and their codes are those of official clients (`trust.md` 1.7, steps 3 to 15).
pub fn verify(
    bytes: &[u8],
    location: &Location,
    now: UnixTime,
    policy: &Policy,
) -> Result<Directory, DirectoryError> {
    if bytes.len() > limits::GLOBAL_CONF_DIRECTORY_BYTES_MAX {
        return Err(DirectoryError::Malformed("it is too large"));
    }
    let outer = Entity::read(bytes)?;
    let outer = split_lenient(outer.body, &boundary_of(&outer)?);
    let (content, signature) = match outer.as_slice() {
        [] => return Err(DirectoryError::MissingSignedData),
        [_] => return Err(DirectoryError::MissingExpirationDate),
        [content, signature] => (Entity::read(content)?, Entity::read(signature)?),
        _ => return Err(DirectoryError::Malformed("it has more than two parts")),
    };
    verify_signature(content.body, &signature, &location.verification_certs, policy)?;
    read_content(&content, location, now, policy)
}

fn verify_signature(
    signed: &[u8],
    signature: &Entity<'_>,
    verification_certs: &[Vec<u8>],
    policy: &Policy,
) -> Result<(), DirectoryError> {
    let value = decode_base64(signature.body).ok_or(DirectoryError::SignatureDecode)?;
    check_transfer_fields(signature)?;
    let algorithm = signature.required("Signature-Algorithm-Id")?;
    let hash = Parameters::read(&signature.required("Verification-certificate-hash")?);
    let digest = hash.get("hash-algorithm-id");
    let digest = digest
        .ok_or(DirectoryError::MissingParameter("verification-certificate-hash", "hash-algorithm-id"))?;
    let algorithm = SignatureAlgorithm::from_uri(&algorithm).ok_or(DirectoryError::Algorithm(algorithm))?;
    let digest = DigestAlgorithm::from_uri(digest).ok_or_else(|| DirectoryError::Algorithm(digest.into()))?;

    let wanted = decode_base64(hash.value.as_bytes()).and_then(|value| Digest::from_bytes(digest, &value));
    let found = verification_certs.iter().find(|bytes| Some(digest.digest(bytes)) == wanted);
    let certificate = found.and_then(|bytes| Certificate::from_der_or_pem(bytes).ok());
    let key = certificate.ok_or(DirectoryError::MissingVerificationCert)?.public_key().clone();
    let refused = |_| DirectoryError::Signature;
    policy.check_signature(Some(algorithm), &key).map_err(refused)?;
    key.verify(algorithm, signed, &value, EcdsaFormat::Der).map_err(|_| DirectoryError::Signature)
}

fn read_content(
    content: &Entity<'_>,
    location: &Location,
    now: UnixTime,
    policy: &Policy,
) -> Result<Directory, DirectoryError> {
    let parts = split_strict(content.body, &boundary_of(content)?)?;
    let Some((head, files)) = parts.split_first() else { return Err(DirectoryError::MissingSignedData) };
    let head = Entity::read(head)?;
    let expires = head.required("Expire-date")?;
    let expires =
        UnixTime::parse_rfc3339(expires.trim()).ok_or(DirectoryError::WrongValue("expire-date", expires))?;
    if now > expires {
        return Err(DirectoryError::Outdated);
    }
    if files.len() > limits::GLOBAL_CONF_PARTS_MAX {
        return Err(DirectoryError::Malformed("it lists too many files"));
    }
    let listed: Vec<DirectoryPart> =
        files.iter().map(|file| read_part(&Entity::read(file)?, policy)).collect::<Result<_, _>>()?;
    let version = match head.field("Version") {
        None => 2,
        Some(version) => {
            let number = version.trim().parse().ok().filter(|number| (2..=6).contains(number));
            number.ok_or(DirectoryError::Version(version))?
        }
    };
    let (parts, others): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|part| part.instance.as_ref().is_none_or(|instance| *instance == location.instance));
    Ok(Directory { expires, version, parts, others })
}

fn read_part(entity: &Entity<'_>, policy: &Policy) -> Result<DirectoryPart, DirectoryError> {
    check_transfer_fields(entity)?;
    let content_location = entity.required("Content-location")?;
    let algorithm = entity.required("Hash-algorithm-id")?;
    let identifier = Parameters::read(&entity.field("Content-identifier").unwrap_or_default());
    let instance = identifier.get("instance").map(|instance| unquote(instance).to_owned());
    let is_parameters =
        matches!(PartKind::from_content_identifier(&identifier.value), PartKind::Shared | PartKind::Private);
    if is_parameters && instance.is_none() {
        return Err(DirectoryError::MissingParameter("content-identifier", "instance"));
    }
    let known = DigestAlgorithm::from_uri(algorithm.trim());
    let known = known.filter(|known| policy.allow_sha1 || known.length() >= 32);
    let known = known.ok_or(DirectoryError::Algorithm(algorithm))?;
    let digest = decode_base64(entity.body).and_then(|value| Digest::from_bytes(known, &value));
    let digest = digest.ok_or(DirectoryError::Malformed("a digest does not fit its algorithm"))?;
    let file_name = entity.field("Content-file-name");
    let content_file_name =
        file_name.map(|name| name.rsplit(['/', '\\']).next().unwrap_or_default().trim().to_owned());
    Ok(DirectoryPart {
        content_identifier: identifier.value,
        instance,
        content_location,
        content_file_name,
        digest,
    })
}

fn check_transfer_fields(entity: &Entity<'_>) -> Result<(), DirectoryError> {
    for (name, expected) in
        [("content-type", "application/octet-stream"), ("content-transfer-encoding", "base64")]
    {
        let value = entity.required(name)?;
        if value != expected {
            return Err(DirectoryError::WrongValue(name, value));
        }
    }
    Ok(())
}

// Official servers put single quotes around the instance, configuration proxies double ones.
fn unquote(value: &str) -> &str {
    let inner = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.unwrap_or(value)
}

// As lenient as Java's MIME decoder: what is not of the alphabet is skipped.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let symbol = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let symbols: Vec<u8> = text.iter().copied().filter(symbol).collect();
    LENIENT_BASE64.decode(symbols).ok()
}

impl DirectoryPart {
    /// What the file is.
    pub fn kind(&self) -> PartKind {
        PartKind::from_content_identifier(&self.content_identifier)
    }

    /// The absolute URL of the file; absolute references to other hosts are followed, as upstream does.
    pub fn url(&self, directory_url: &str) -> String {
        let reference = self.content_location.trim();
        let scheme_end = reference.find("://").unwrap_or(usize::MAX);
        if reference.get(..scheme_end).is_some_and(|scheme| scheme.bytes().all(|b| b.is_ascii_alphabetic())) {
            return reference.to_owned();
        }
        let (scheme, rest) = directory_url.split_once("://").unwrap_or(("http", directory_url));
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(host_end);
        if let Some(network_path) = reference.strip_prefix("//") {
            return format!("{scheme}://{network_path}");
        }
        if reference.starts_with('/') {
            return format!("{scheme}://{host}{reference}");
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or("/");
        format!("{scheme}://{host}{folder}{reference}")
    }

    /// Whether a file is the one that the directory lists.
    pub fn matches(&self, file: &[u8]) -> bool {
        self.digest.algorithm().digest(file) == self.digest
    }
}

impl Directory {
    /// Checks a downloaded file (`trust.md` 1.7, steps 18 to 20): digest, schema, instance.
    pub fn check_file(
        &self,
        part: &DirectoryPart,
        location: &Location,
        bytes: Vec<u8>,
    ) -> Result<Part, DirectoryError> {
        if !part.matches(&bytes) {
            return Err(DirectoryError::Integrity(part.content_location.clone()));
        }
        let malformed = |error: super::SchemaError| DirectoryError::Schema(error.to_string());
        let read = match part.kind() {
            PartKind::Shared => Some(SharedParams::parse(&bytes, self.version).map_err(malformed)?.instance),
            PartKind::Private => {
                Some(PrivateParams::parse(&bytes, self.version).map_err(malformed)?.instance)
            }
            _ => None,
        };
        let instance = part.instance.as_ref().unwrap_or(&location.instance).clone();
        match read {
            Some(read) if read != instance || read != location.instance => {
                return Err(DirectoryError::Instance(read));
            }
            _ => {}
        }
        Ok(Part { kind: part.kind(), instance, bytes, version: self.version, expires: Some(self.expires) })
    }

    /// The metadata to store beside a file.
    pub fn metadata(&self, part: &DirectoryPart, location: &Location) -> Metadata {
        Metadata {
            content_identifier: Some(part.content_identifier.clone()),
            instance_identifier: Some(part.instance.as_ref().unwrap_or(&location.instance).clone()),
            expiration_date: Some(self.expires.to_rfc3339()),
            content_file_name: part.content_file_name.clone(),
            content_location: Some(part.content_location.clone()),
            configuration_version: Some(self.version.to_string()),
        }
    }
}
