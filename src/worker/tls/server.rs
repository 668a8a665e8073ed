//! Server configurations: towards other security servers and towards information systems.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, ServerConfig, SupportedCipherSuite};

use super::identity::{IdentitySource, TlsIdentity};
use super::provider::TlsVersions;
use super::resumption::{LimitedSessions, LimitedTicketer};
use super::verify::CallbackVerifier;
use super::{MULTIPLEXED, RustlsSession, TlsError};

/// Judges the leaf (DER) of a peer at the handshake; not called on resumed sessions.
pub type AcceptCertificate = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// CA subject names (DER) for the CertificateRequest, asked for at every handshake; another `Arc` is a change.
pub type IssuerHints = Arc<dyn Fn() -> Arc<Vec<Bytes>> + Send + Sync>;

/// What a server demands of its clients.
#[derive(Clone)]
pub enum ClientAuth {
    /// No certificate is asked for.
    None,
    /// A certificate is asked for, not needed, and any is taken: self-signed, expired, unknown (`transport.md` 2.1).
    Wanted,
    /// A certificate is needed and `accept` must take its leaf (`transport.md` 3.1).
    Required {
        /// Is this a registered authentication certificate?
        accept: AcceptCertificate,
        /// Names of the certification authorities to hint at.
        hints: IssuerHints,
    },
}

/// A TLS server configuration that follows changes of its key, certificates and hints.
pub struct TlsServer {
    identity: IdentitySource,
    client_auth: ClientAuth,
    versions: TlsVersions,
    extra_suites: Vec<SupportedCipherSuite>,
    resumption: bool,
    multiplexing: bool,
    current: Mutex<Option<Current>>,
}

struct Current {
    identity: Arc<TlsIdentity>,
    hints: Arc<Vec<Bytes>>,
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// TLS 1.3 and 1.2 with the built-in suites.
    pub fn new(identity: IdentitySource, client_auth: ClientAuth) -> Self {
        let (versions, extra_suites) = (TlsVersions::Both, Vec::new());
        Self {
            identity,
            client_auth,
            versions,
            extra_suites,
            resumption: true,
            multiplexing: false,
            current: Mutex::new(None),
        }
    }

    /// The same with these protocol versions, and suites that come after the built-in ones.
    pub fn with_suites(self, versions: TlsVersions, extra_suites: Vec<SupportedCipherSuite>) -> Self {
        Self { versions, extra_suites, ..self }
    }

    /// The same with sessions that can be resumed, or with a full handshake for each connection.
    pub fn with_resumption(self, resumption: bool) -> Self {
        Self { resumption, ..self }
    }

    /// The same, multiplexing the connections of clients that offer it.
    pub fn with_multiplexing(self, multiplexing: bool) -> Self {
        Self { multiplexing, ..self }
    }

    /// A session for one accepted connection.
    pub(in crate::worker) fn session(&self) -> Result<RustlsSession, TlsError> {
        Ok(RustlsSession::server(UnbufferedServerConnection::new(self.config()?)?))
    }

    // A new identity starts with new tickets: a resumed session would go on under the old certificate.
    // New hints alone keep them.
    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let identity = (self.identity)().ok_or(TlsError::NoIdentity)?;
        let hints = match &self.client_auth {
            ClientAuth::Required { hints, .. } => hints(),
            ClientAuth::None | ClientAuth::Wanted => Arc::default(),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = current.as_ref().filter(|before| Arc::ptr_eq(&before.identity, &identity));
        if let Some(before) = before
            && (Arc::ptr_eq(&before.hints, &hints) || before.hints == hints)
        {
            return Ok(Arc::clone(&before.config));
        }
        let config = self.build(&identity, &hints, before.map(|before| &*before.config))?;
        *current = Some(Current { identity, hints, config: Arc::clone(&config) });
        Ok(config)
    }

    fn build(
        &self,
        identity: &TlsIdentity,
        hints: &[Bytes],
        before: Option<&ServerConfig>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = self.versions.provider(&self.extra_suites);
        let algorithms = provider.signature_verification_algorithms;
        let hints = hints.iter().map(|name| DistinguishedName::from(name.to_vec())).collect();
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(self.versions.list())?;
        let verifier = match &self.client_auth {
            ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
            ClientAuth::Wanted => {
                Arc::new(CallbackVerifier { accept: None, mandatory: false, hints, algorithms })
            }
            ClientAuth::Required { accept, .. } => {
                let accept = Some(Arc::clone(accept));
                Arc::new(CallbackVerifier { accept, mandatory: true, hints, algorithms })
            }
        };
        let resolver = Arc::new(OneIdentity(identity.certified_key()));
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
        config.enable_secret_extraction = true;
        if self.multiplexing {
            config.alpn_protocols = vec![MULTIPLEXED.to_vec(), b"http/1.1".to_vec()];
        }
        // GCM before CBC whatever order a TLS 1.2 client prefers.
        config.ignore_client_order = true;
        match before {
            Some(before) => {
                config.ticketer = Arc::clone(&before.ticketer);
                config.session_storage = Arc::clone(&before.session_storage);
            }
            None if self.resumption => {
                config.ticketer = LimitedTicketer::new()?;
                config.session_storage = LimitedSessions::new();
            }
            None => config.session_storage = Arc::new(NoServerSessionStorage {}),
        }
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("versions", &self.versions).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct OneIdentity(Arc<CertifiedKey>);

impl ResolvesServerCert for OneIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
