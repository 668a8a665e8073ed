//! What a token gives: keys with their certificates, and ways to sign with them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto::{Certificate, SignError, SigningKey};
use crate::message::MemberId;

/// What a key is for. Fixed for the life of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPurpose {
    /// Signing messages of a member.
    Signing,
    /// Authenticating this server to others; on software tokens only.
    Authentication,
}

/// The life of a certificate on its token (`trust.md` 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateStatus {
    /// Imported, nothing else.
    Saved,
    /// The registration request was sent.
    RegistrationInProgress,
    /// In use.
    Registered,
    /// The deletion request was sent.
    DeletionInProgress,
    /// Was registered, but the global configuration no longer has it.
    GlobalError,
}

impl CertificateStatus {
    /// From the words of keyconf.xml. Whatever begins with `registered` counts as that.
    pub fn from_words(words: &str) -> Option<Self> {
        Some(match words {
            "saved" => Self::Saved,
            "registration in progress" => Self::RegistrationInProgress,
            "deletion in progress" => Self::DeletionInProgress,
            "global error" => Self::GlobalError,
            _ if words.starts_with("registered") => Self::Registered,
            _ => return None,
        })
    }
}

/// A certificate of a key.
#[derive(Debug, Clone)]
pub struct TokenCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// Whose messages it signs; `None` for authentication certificates.
    pub member: Option<MemberId>,
    /// Switched on by the administrator.
    pub active: bool,
    /// Where it is in its life; `None` when the token's words for it are unknown.
    pub status: Option<CertificateStatus>,
}

/// A key of a token that is logged in.
#[derive(Clone)]
pub struct TokenKey {
    /// Upper-case hex.
    pub id: String,
    /// `None` before the first request or certificate.
    pub purpose: Option<KeyPurpose>,
    /// Signs. Shared with the signing thread.
    pub key: Arc<dyn SigningKey>,
    /// The private key as PKCS#8 DER, when the token gives it away: TLS needs it.
    pub pkcs8: Option<Arc<[u8]>>,
    /// Its certificates, in the token's order.
    pub certificates: Vec<TokenCertificate>,
    /// Whether one signature may cover several messages (`batch_signing_enabled`).
    pub batch_signing: bool,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("TokenKey");
        out.field("id", &self.id).field("purpose", &self.purpose).field("certificates", &self.certificates);
        out.finish_non_exhaustive()
    }
}

/// A place that holds keys. Software tokens are here; a PKCS#11 module is to be another implementation.
pub trait Token: Send + Sync {
    /// A name for people.
    fn name(&self) -> String;
    /// Every key that can be used now, with its certificates as they are now.
    fn keys(&self) -> Result<Vec<TokenKey>, TokenError>;
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The PIN does not open a file.
    #[error("the PIN does not open {}", path.display())]
    Pin {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The token has no key with this id.
    #[error("the token has no key {id}")]
    NoKey {
        /// The id.
        id: String,
    },
    /// The certificate is for another key.
    #[error("the certificate is not for key {id}")]
    OtherKey {
        /// The id.
        id: String,
    },
    /// The certificate's key usage does not go with the key's purpose, or goes with both.
    #[error("the certificate's usage is not the purpose of key {id}")]
    WrongUsage {
        /// The id.
        id: String,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] SignError),
}
