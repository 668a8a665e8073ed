//! What the flows need: the server's shared state and each worker's own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::counters::{Counters, Phase};
use super::download::Encryptions;
use super::health::HealthSwitches;
use super::observation::Refused;
use super::peer_cache::AuthenticatedPeers;
use super::peer_ocsp::PeerOcsp;
use super::random::{Entropy, uuid};
use super::repeats::Repeats;
use super::selection::FastestAddresses;
use crate::config::Config;
use crate::control::monitoring::{Environment, Monitoring};
use crate::crypto::{Certificate, Digest};
use crate::evidence::{SharedVerificationCache, SignatureData};
use crate::log::LogHandle;
use crate::message::{ClientId, ErrorCode, MemberId, XRoadError};
use crate::registry::{Client, Registry};
use crate::signer::SignerHandle;
use crate::time::{SharedClock, UnixTime};
use crate::trust::{GlobalConf, TrustSnapshot};
use crate::worker::{Pool, SpoolSpace, TlsClient, TlsIdentity};

/// What all workers of a server share. Snapshots are replaced by the control plane and never waited for.
pub struct Shared {
    /// The configuration.
    pub config: Arc<Config>,
    /// The one clock.
    pub clock: SharedClock,
    /// The one source of random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Global configuration and own OCSP responses.
    pub trust: Arc<ArcSwap<TrustSnapshot>>,
    /// Local clients, services and rights.
    pub registry: Arc<ArcSwap<Registry>>,
    /// The signer of all members' messages.
    pub signer: SignerHandle,
    /// The message log.
    pub log: LogHandle,
    /// Stamps single records on demand (`GET /asic?force`).
    pub stamper: Arc<dyn super::StampNow>,
    /// Signed requests that came a short while ago.
    pub repeats: Repeats,
    /// OCSP responses of peers, fetched from them and kept.
    pub peer_ocsp: PeerOcsp,
    /// Key and certificates for TLS between servers, `None` while no usable one is there.
    pub authentication: Arc<ArcSwapOption<Authentication>>,
    /// TLS towards other security servers: presents the authentication certificate.
    pub peer_tls: Arc<TlsClient>,
    /// TLS towards services: presents the internal certificate.
    pub service_tls: Arc<TlsClient>,
    /// DER of the internal TLS certificate, accepted from information systems as well.
    pub internal_certificate: Option<Vec<u8>>,
    /// Runs what the data plane must not wait on a ring for (name resolution, fetches from peers' OCSP port).
    pub control: tokio::runtime::Handle,
    /// Where messages are held while they are under way: bodies too large for memory in files without names.
    pub spools: SpoolSpace,
    /// Figures for metrics.
    pub counters: Counters,
    /// What the health checks are told by others.
    pub health: Arc<HealthSwitches>,
    /// How the host fares.
    pub environment: Arc<Environment>,
    /// Verified signature documents of peers.
    pub verified: SharedVerificationCache,
    /// Places for downloads that are encrypted.
    pub encryptions: Encryptions,
    /// Takes a record of each exchange.
    pub monitoring: Arc<Monitoring>,
}

/// What this server shows to other servers.
pub struct Authentication {
    /// Certificates, leaf first, without the root.
    pub chain: Vec<Certificate>,
    /// The same with the key, for TLS.
    pub identity: Arc<TlsIdentity>,
}

/// One worker's view: the shared state, and connections and caches that no other thread touches.
pub struct Worker {
    /// Shared by all workers.
    pub shared: Arc<Shared>,
    /// Connections to other security servers.
    pub peers: Rc<Pool>,
    /// Connections to services.
    pub services: Rc<Pool>,
    /// Verified authentication chains of peers.
    pub authenticated: RefCell<AuthenticatedPeers>,
    /// Which of a provider's addresses connected fastest.
    pub fastest: RefCell<FastestAddresses>,
    /// The exchange whose refusal is told next.
    pub refused: RefCell<Option<Refused>>,
}

impl Worker {
    /// The present time.
    pub fn now(&self) -> UnixTime {
        self.shared.clock.now()
    }

    /// The present trust snapshot; held for one message so that all its checks see one state.
    pub fn trust(&self) -> Arc<TrustSnapshot> {
        self.shared.trust.load_full()
    }

    /// The present registry.
    pub fn registry(&self) -> Arc<Registry> {
        self.shared.registry.load_full()
    }

    /// A random UUID.
    pub fn uuid(&self) -> String {
        uuid(&*self.shared.entropy)
    }

    /// Step: signs the digests of a message's parts for `member`.
    pub async fn sign(&self, member: &MemberId, digests: Vec<Digest>) -> Result<SignatureData, XRoadError> {
        let began = Instant::now();
        let signature = self.shared.signer.sign(member, digests).await;
        self.shared.counters.phase(Phase::Sign, began);
        signature
    }

    /// Step: the global configuration has not expired (`global_conf_outdated`).
    pub fn require_valid_global_conf(&self, global_conf: &GlobalConf) -> Result<(), XRoadError> {
        global_conf.check_valid(self.now())
    }
}

/// Step: the local client is there and registered, else `unknown_member`.
pub fn require_registered<'r>(registry: &'r Registry, id: &ClientId) -> Result<&'r Client, XRoadError> {
    match registry.client(id) {
        Some(client) if client.is_registered() => Ok(client),
        Some(client) => {
            let text = format!("Client '{id}' is not usable: its status is '{}'", client.status.as_str());
            Err(XRoadError::new(ErrorCode::UnknownMember, text))
        }
        None => Err(XRoadError::new(ErrorCode::UnknownMember, format!("Client '{id}' not found"))),
    }
}
