//! Own keys and certificates.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use super::TlsError;

/// A chain and its private key. The chain goes out as it is: no root belongs into it (`transport.md` trap 2).
pub struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    /// From DER: the chain, leaf first, and a private key in PKCS#8, PKCS#1 or SEC 1.
    pub fn from_der(chain: &[Bytes], private_key: &[u8]) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::try_from(private_key.to_vec())
            .map_err(|reason| rustls::Error::General(reason.to_string()))?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
        Ok(Self::from_signing_key(chain, key))
    }

    /// From a key that signs elsewhere, such as in a hardware token.
    pub fn from_signing_key(chain: &[Bytes], key: Arc<dyn SigningKey>) -> Self {
        let chain = chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsIdentity({} certificates)", self.0.cert.len())
    }
}

/// The identity of the moment, asked for at every handshake; `None` while there is none. A change (another `Arc`)
/// ends the resumption of sessions made with the one before. An `Arc<ArcSwapOption<_>>` fits:
/// `Arc::new(move || swap.load_full())`.
pub type IdentitySource = Arc<dyn Fn() -> Option<Arc<TlsIdentity>> + Send + Sync>;

/// An identity that never changes.
pub fn fixed_identity(identity: TlsIdentity) -> IdentitySource {
    let identity = Arc::new(identity);
    Arc::new(move || Some(Arc::clone(&identity)))
}
