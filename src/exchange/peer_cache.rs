//! Authentication chains that were verified a short while ago.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;

use crate::crypto::Certificate;
use crate::limits::{AUTHENTICATED_PEER_SECS_MAX, AUTHENTICATED_PEERS_MAX};
use crate::message::XRoadError;
use crate::time::UnixTime;
use crate::trust::{AuthenticatedChain, GlobalConf, Policy};

/// Which end of the connection the other server is: the rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

/// All that a verdict about a chain depends on, but for configuration, policy and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) side: Side,
    /// Instance whose CAs may be the anchor.
    pub(super) instance: Box<str>,
    /// DER, end entity first.
    pub(super) certificates: Vec<Bytes>,
    /// DER of the OCSP answers.
    pub(super) ocsp: Vec<Bytes>,
}

impl Hash for Presented {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificates.iter().chain(&self.ocsp).for_each(|bytes| hash_end(bytes, state));
    }
}

/// Certificates in DER, end entity first.
#[derive(Debug, PartialEq, Eq)]
struct Chain(Vec<Bytes>);

impl Hash for Chain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|bytes| hash_end(bytes, state));
    }
}

// Finds candidates; equality is decided on all bytes. Certificates and answers end with signatures.
fn hash_end<H: Hasher>(bytes: &[u8], state: &mut H) {
    state.write(bytes.get(bytes.len().saturating_sub(16)..).unwrap_or_default());
}

struct Entry {
    chain: AuthenticatedChain,
    verified_at: UnixTime,
}

/// Chains that were found good, by the whole bytes that were judged, for one configuration and policy. Refusals are
/// not remembered.
#[derive(Default)]
pub struct AuthenticatedPeers {
    // Held, so that another configuration cannot come to stand at the same address.
    global_conf: Option<Arc<GlobalConf>>,
    policy: Policy,
    peers: HashMap<Presented, Entry>,
    parsed: HashMap<Chain, Arc<[Certificate]>>,
}

impl AuthenticatedPeers {
    /// The certificates of a chain, parsed once.
    pub(super) fn chain(
        &mut self,
        certificates: &[Bytes],
        parse: impl FnOnce(&[Bytes]) -> Result<Vec<Certificate>, XRoadError>,
    ) -> Result<Arc<[Certificate]>, XRoadError> {
        let key = Chain(certificates.to_vec());
        if let Some(chain) = self.parsed.get(&key) {
            return Ok(Arc::clone(chain));
        }
        let chain: Arc<[Certificate]> = parse(certificates)?.into();
        if self.parsed.len() >= AUTHENTICATED_PEERS_MAX {
            self.parsed.clear();
        }
        self.parsed.insert(Chain(certificates.iter().map(own).collect()), Arc::clone(&chain));
        Ok(chain)
    }

    pub(super) fn get(
        &mut self,
        presented: &Presented,
        at: UnixTime,
        global_conf: &Arc<GlobalConf>,
        policy: &Policy,
    ) -> Option<AuthenticatedChain> {
        let same_conf = self.global_conf.as_ref().is_some_and(|held| Arc::ptr_eq(held, global_conf));
        if !same_conf || self.policy != *policy {
            self.peers.clear();
            self.global_conf = Some(Arc::clone(global_conf));
            self.policy = *policy;
        }
        let entry = self.peers.get(presented)?;
        let until = entry.verified_at.plus_secs(AUTHENTICATED_PEER_SECS_MAX).min(entry.chain.valid_until());
        (entry.verified_at <= at && at <= until).then(|| entry.chain.clone())
    }

    /// Remembers a verdict under the configuration and policy of the last [`get`](Self::get).
    pub(super) fn insert(&mut self, presented: Presented, at: UnixTime, chain: AuthenticatedChain) {
        if self.peers.len() >= AUTHENTICATED_PEERS_MAX {
            self.peers.clear();
        }
        // Slices would hold whole receive buffers.
        let presented = Presented {
            certificates: presented.certificates.iter().map(own).collect(),
            ocsp: presented.ocsp.iter().map(own).collect(),
            ..presented
        };
        self.peers.insert(presented, Entry { chain, verified_at: at });
    }
}

fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
