//! Client configurations: towards other security servers and towards services.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{ResolvesClientCert, Resumption, Tls12Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme, SupportedCipherSuite};

use super::identity::{IdentitySource, TlsIdentity};
use super::provider::TlsVersions;
use super::resumption::ClientSessions;
use super::server::AcceptCertificate;
use super::verify::CallbackVerifier;
use super::{MULTIPLEXED, RustlsSession, TlsError};

/// A TLS client configuration that follows changes of its key and certificates.
///
/// The own certificate is presented whatever issuers the server hints at (`transport.md` 3.1). Names are not
/// compared; any server certificate passes unless a callback judges it; the caller checks
/// `ClientConnection::peer_certificates` before it sends, on resumed connections too.
pub struct TlsClient {
    identity: Option<IdentitySource>,
    accept: Option<AcceptCertificate>,
    versions: TlsVersions,
    extra_suites: Vec<SupportedCipherSuite>,
    resumption: bool,
    multiplexing: bool,
    current: Mutex<Option<Current>>,
}

struct Current {
    identity: Option<Arc<TlsIdentity>>,
    generation: u64,
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// A client that presents `identity` (`None`: anonymous) and leaves the server's certificate to its caller.
    pub fn new(identity: Option<IdentitySource>) -> Self {
        let (versions, extra_suites) = (TlsVersions::Both, Vec::new());
        Self {
            identity,
            accept: None,
            versions,
            extra_suites,
            resumption: true,
            multiplexing: false,
            current: Mutex::new(None),
        }
    }

    /// The same with a judge of the server's leaf at every full handshake.
    pub fn with_accept(self, accept: AcceptCertificate) -> Self {
        Self { accept: Some(accept), ..self }
    }

    /// The same with these protocol versions, and suites that come after the built-in ones.
    pub fn with_suites(self, versions: TlsVersions, extra_suites: Vec<SupportedCipherSuite>) -> Self {
        Self { versions, extra_suites, ..self }
    }

    /// The same with sessions that are resumed, or with a full handshake for each connection.
    pub fn with_resumption(self, resumption: bool) -> Self {
        Self { resumption, ..self }
    }

    /// The same, offering to multiplex connections; servers that do not know that take no notice.
    pub fn with_multiplexing(self, multiplexing: bool) -> Self {
        Self { multiplexing, ..self }
    }

    /// A session towards `host` (a name or an IP address; names are sent as SNI).
    pub(in crate::worker) fn session(&self, host: &str) -> Result<RustlsSession, TlsError> {
        let name =
            ServerName::try_from(host.to_string()).map_err(|_| TlsError::ServerName(host.to_string()))?;
        let (config, _) = self.config()?;
        Ok(RustlsSession::client(UnbufferedClientConnection::new(config, name)?))
    }

    /// The configuration of the moment, for a client that is no worker's.
    ///
    /// # Errors
    /// As for any connection: there is no identity, or no configuration can be made.
    pub fn config_for_streams(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let (mut config, _) = self.config()?;
        if self.multiplexing {
            // It speaks HTTP/1.1 and nothing else.
            Arc::make_mut(&mut config).alpn_protocols.clear();
        }
        Ok(config)
    }

    /// Number of the configuration of the moment, unique in the process: connections made under another number
    /// show another identity and are not to be reused.
    pub(in crate::worker) fn generation(&self) -> Result<u64, TlsError> {
        self.config().map(|(_, generation)| generation)
    }

    fn config(&self) -> Result<(Arc<ClientConfig>, u64), TlsError> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        let identity = match &self.identity {
            Some(source) => Some(source().ok_or(TlsError::NoIdentity)?),
            None => None,
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &*current
            && current.identity.as_ref().map(Arc::as_ptr) == identity.as_ref().map(Arc::as_ptr)
        {
            return Ok((Arc::clone(&current.config), current.generation));
        }
        let config = Arc::new(self.build(identity.as_deref())?);
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        *current = Some(Current { identity, generation, config: Arc::clone(&config) });
        Ok((config, generation))
    }

    fn build(&self, identity: Option<&TlsIdentity>) -> Result<ClientConfig, TlsError> {
        let provider = self.versions.provider(&self.extra_suites);
        let algorithms = provider.signature_verification_algorithms;
        let verifier =
            CallbackVerifier { accept: self.accept.clone(), mandatory: false, hints: Vec::new(), algorithms };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions.list())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(Always(identity.certified_key()))),
            None => builder.with_no_client_auth(),
        };
        config.enable_secret_extraction = true;
        if self.multiplexing {
            config.alpn_protocols = vec![MULTIPLEXED.to_vec(), b"http/1.1".to_vec()];
        }
        config.resumption = match self.resumption {
            true => Resumption::store(Arc::new(ClientSessions::default()))
                .tls12_resumption(Tls12Resumption::SessionIdOrTickets),
            false => Resumption::disabled(),
        };
        Ok(config)
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("versions", &self.versions).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
