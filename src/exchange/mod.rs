//! The two message flows, readable as the steps of the protocol, and what else the ports answer.
//!
//! | what | where |
//! |---|---|
//! | from an information system to the provider's server and back | [`consumer`] |
//! | from the consumer's server to the service and back | [`provider`] |
//! | evidence, configuration and clients for information systems | [`download`] |
//! | what a provider offers | [`metaservice`] |
//! | OCSP answers for other servers | [`ocsp_responder`] |
//! | whether this server can do its work | `health` |
//!
//! Nothing is delivered before it is verified ([`verified::Verified`] can only be made by verifying), and nothing is
//! released before it is durable (`DurableRecord` can only be made by the log).

pub mod answer;
mod body;
mod client_authentication;
pub mod consumer;
mod context;
mod counters;
pub mod download;
pub mod health;
mod histogram;
mod http_date;
mod http_failure;
mod incoming;
pub mod metaservice;
mod observation;
pub mod ocsp_responder;
mod outgoing;
mod peer;
mod peer_cache;
mod peer_ocsp;
pub mod provider;
mod random;
mod record;
mod reduced_soap;
mod repeats;
mod room;
mod router;
mod selection;
mod service_call;
mod soap_body;
pub mod verified;
mod wanted;

use std::future::Future;
use std::pin::Pin;

pub use context::{Authentication, Shared, Worker};
pub use counters::{Counters, Figures, Phase};
pub use health::HealthSwitches;
pub use histogram::{DURATION_CLASSES_US, Durations};
pub use http_date::http_date;
pub use peer_cache::AuthenticatedPeers;
pub use peer_ocsp::PeerOcsp;
pub use random::{Entropy, SystemEntropy, uuid};
pub use repeats::{Fingerprint, Repeats, fingerprint};
pub use router::Router;
pub use selection::FastestAddresses;

use crate::message::XRoadError;

/// Time-stamps single records on demand.
pub trait StampNow: Send + Sync {
    /// Stamps the record with this id; answers when the stamp is in the log.
    fn stamp_now(&self, id: u64) -> Pin<Box<dyn Future<Output = Result<(), XRoadError>> + Send + '_>>;
}
