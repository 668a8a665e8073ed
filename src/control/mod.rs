//! The control plane: ordinary asynchronous code beside the messages' path. It publishes snapshots that the data
//! plane reads, and never makes a message wait.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::trust::TrustSnapshot;

mod admin;
pub mod archive;
mod audit;
pub mod backup;
mod clock_difference;
mod configuration_client;
mod configuration_download;
mod configuration_source;
pub mod countdown;
mod declaration;
mod fetch;
mod fetch_tls;
mod follow_status;
#[cfg(feature = "postgresql")]
pub mod follower;
#[cfg(not(feature = "postgresql"))]
#[path = "follower_absent.rs"]
pub mod follower;
mod globalconf_store;
mod globalconf_swap;
pub mod management;
mod metrics_text;
pub mod monitoring;
mod ocsp;
mod ocsp_schedule;
mod ocsp_store;
mod random;
mod registry_db;
mod registry_rows;
pub mod serverconf;
pub mod timestamping;
mod tsa;

pub use admin::{Admin, AdminSources, HealthSource, MaintenanceSwitch, MetricsSource};
pub use audit::{AuditError, AuditLog, AuditSummary};
pub use clock_difference::ClockDifference;
pub use configuration_client::ConfigurationClient;
pub use declaration::{load as load_declaration, parse as parse_declaration};
pub use fetch::{Answer, Fetch, FetchError, HttpFetcher, Request, Timeouts, TlsChecks};
pub use globalconf_store::{Fingerprint, GlobalConfStore, StoredPart};
pub use metrics_text::{MetricsText, seconds};
pub use ocsp::{OcspFetcher, OcspParts};
pub use ocsp_store::OcspStore;
pub use random::{Randomness, SystemRandomness};
pub use registry_db::{RegistryDb, RegistryDbError, WATCH_INTERVAL};
pub use tsa::TsaClient;

/// What the control plane publishes about trust and the data plane reads. Writers change their part of the present
/// value by `rcu`.
pub type SharedTrust = Arc<ArcSwap<TrustSnapshot>>;

#[cfg(test)]
mod declaration_tests;
#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod test_server;
