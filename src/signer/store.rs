//! Hermod's own software token: a directory with one PKCS#12 file per key and an index of certificates.
//!
//! ```text
//! tokens/
//!   keys.toml          the index below, readable, no secrets
//!   <KEY ID>.p12       one private key, encrypted with the PIN; it may be a credential of that name instead
//!
//! [[key]]
//! id = "9A…"                         # 20 random bytes in upper-case hex
//! purpose = "signing"                # or "authentication"
//! [[key.certificate]]
//! member = ["LAB", "GOV", "100"]     # instance, class, code; signing certificates only
//! status = "registered"              # saved, registration-in-progress, deletion-in-progress, global-error
//! active = true
//! contents = "MII…"                  # DER in base64
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::pkcs12;
use super::token::{CertificateStatus, KeyPurpose, Token, TokenCertificate, TokenError, TokenKey};
use crate::crypto::{Certificate, SigningKey, SoftwareKey, to_hex};
use crate::message::MemberId;
use crate::trust::{is_auth_certificate, is_sign_certificate};

const INDEX: &str = "keys.toml";

/// What kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA with so many bits.
    Rsa(usize),
    /// EC on the curve P-256.
    EcP256,
}

impl Default for KeyAlgorithm {
    fn default() -> Self {
        KeyAlgorithm::Rsa(3072)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    #[serde(default)]
    key: Vec<IndexKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexKey {
    id: String,
    purpose: KeyPurpose,
    #[serde(default)]
    certificate: Vec<IndexCertificate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexCertificate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<[String; 3]>,
    status: CertificateStatus,
    active: bool,
    contents: String,
}

/// A software token in a directory of its own.
#[derive(Debug, Clone)]
pub struct SoftwareToken {
    directory: PathBuf,
    pin: String,
}

impl SoftwareToken {
    /// The token in this directory, which is made if need be (mode 0700). The PIN is tried when keys are read.
    pub fn open(directory: &Path, pin: &str) -> Result<Self, TokenError> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |source| TokenError::Io { path: directory.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        Ok(Self { directory: directory.to_owned(), pin: pin.to_owned() })
    }

    /// Makes a key. Returns its id and the key, whose public half goes into a certificate request.
    pub fn create_key(
        &self,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
    ) -> Result<(String, SoftwareKey), TokenError> {
        let key = match algorithm {
            KeyAlgorithm::Rsa(bits) => SoftwareKey::generate_rsa(bits)?,
            KeyAlgorithm::EcP256 => SoftwareKey::generate_ec_p256()?,
        };
        let id = self.import_key(purpose, &key)?;
        Ok((id, key))
    }

    /// Takes in a key that was made elsewhere. Returns its new id.
    pub fn import_key(&self, purpose: KeyPurpose, key: &SoftwareKey) -> Result<String, TokenError> {
        let mut random = [0; 20];
        let no_randomness = |_| crate::crypto::SignError::Token("no randomness".into());
        aws_lc_rs::rand::fill(&mut random).map_err(no_randomness)?;
        let id = to_hex(&random).to_ascii_uppercase();
        let path = self.key_path(&id);
        let malformed = |reason| TokenError::Malformed { path: path.clone(), reason };
        let bytes = pkcs12::write_key(key, &id, &self.pin).map_err(malformed)?;
        write_atomically(&path, &bytes)?;
        let mut index = self.read_index()?;
        index.key.push(IndexKey { id: id.clone(), purpose, certificate: Vec::new() });
        self.write_index(&index)?;
        Ok(id)
    }

    /// Adds a certificate to a key, or replaces what is known about it. `member` is `None` for authentication.
    /// A certificate for both purposes, or for the other one, is refused (`wrong_cert_usage` upstream).
    pub fn put_certificate(
        &self,
        key_id: &str,
        certificate: &Certificate,
        member: Option<&MemberId>,
        status: CertificateStatus,
        active: bool,
    ) -> Result<(), TokenError> {
        if self.read_key(key_id)?.public_key_spki() != certificate.public_key().spki() {
            return Err(TokenError::OtherKey { id: key_id.to_owned() });
        }
        let (signs, authenticates) = (is_sign_certificate(certificate), is_auth_certificate(certificate));
        let purpose = self.read_index()?.key.iter().find(|key| key.id == key_id).map(|key| key.purpose);
        let fits = match purpose {
            Some(KeyPurpose::Signing) => signs && !authenticates && member.is_some(),
            Some(KeyPurpose::Authentication) => authenticates && !signs && member.is_none(),
            None => return Err(TokenError::NoKey { id: key_id.to_owned() }),
        };
        if !fits {
            return Err(TokenError::WrongUsage { id: key_id.to_owned() });
        }
        let member = member.map(|m| [m.instance(), m.member_class(), m.member_code()].map(str::to_owned));
        let contents = STANDARD.encode(certificate.der());
        let mut index = self.read_index()?;
        let key = index.key.iter_mut().find(|key| key.id == key_id);
        let key = key.ok_or_else(|| TokenError::NoKey { id: key_id.to_owned() })?;
        key.certificate.retain(|known| known.contents != contents);
        key.certificate.push(IndexCertificate { member, status, active, contents });
        self.write_index(&index)
    }

    /// The private key with this id.
    pub fn read_key(&self, id: &str) -> Result<SoftwareKey, TokenError> {
        let path = self.key_path(id);
        let given = || crate::host::credential(&format!("{id}.p12"));
        let path = if path.exists() { path } else { given().unwrap_or(path) };
        let pkcs8 = pkcs12::read_key(&path, id, &self.pin)?;
        Ok(SoftwareKey::from_pkcs8_der(&pkcs8)?)
    }

    fn key_path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.p12"))
    }

    fn read_index(&self) -> Result<Index, TokenError> {
        let path = self.directory.join(INDEX);
        if !path.exists() {
            return Ok(Index::default());
        }
        let malformed = |reason: String| TokenError::Malformed { path: path.clone(), reason };
        let text =
            String::from_utf8(pkcs12::read_file(&path)?).map_err(|error| malformed(error.to_string()))?;
        let index: Index = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        match index.key.iter().find(|key| !key.id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            Some(key) => Err(malformed(format!("{:?} is not a key id", key.id))),
            None => Ok(index),
        }
    }

    fn write_index(&self, index: &Index) -> Result<(), TokenError> {
        let path = self.directory.join(INDEX);
        let malformed = |reason: String| TokenError::Malformed { path: path.clone(), reason };
        let text = toml::to_string(index).map_err(|error| malformed(error.to_string()))?;
        write_atomically(&path, text.as_bytes())
    }

    fn token_key(&self, entry: IndexKey) -> Result<TokenKey, TokenError> {
        let key = self.read_key(&entry.id)?;
        let path = self.directory.join(INDEX);
        let mut certificates = Vec::new();
        for known in entry.certificate {
            let malformed = |reason| TokenError::Malformed { path: path.clone(), reason };
            let der = STANDARD.decode(&known.contents).map_err(|error| malformed(error.to_string()))?;
            let certificate = Certificate::from_der(&der).map_err(|error| malformed(error.to_string()))?;
            let member = known.member.map(|[instance, class, code]| MemberId::new(&instance, &class, &code));
            let member = member.transpose().map_err(|error| malformed(error.to_string()))?;
            let (active, status) = (known.active, Some(known.status));
            certificates.push(TokenCertificate { certificate, member, active, status });
        }
        Ok(TokenKey {
            id: entry.id,
            purpose: Some(entry.purpose),
            pkcs8: Some(key.pkcs8_der().into()),
            key: Arc::new(key),
            certificates,
            batch_signing: true,
        })
    }
}

impl Token for SoftwareToken {
    fn name(&self) -> String {
        format!("software token {}", self.directory.display())
    }

    fn keys(&self) -> Result<Vec<TokenKey>, TokenError> {
        self.read_index()?.key.into_iter().map(|entry| self.token_key(entry)).collect()
    }
}

/// Writes a file of mode 0600 so that after a crash either the old or the new one is there.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TokenError> {
    use std::os::unix::fs::OpenOptionsExt;
    let write = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|source| TokenError::Io { path: path.to_owned(), source })
}
