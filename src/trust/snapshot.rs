//! What the data plane reads.

use std::sync::Arc;

use super::{GlobalConf, OcspResponses, Policy};

/// Everything that decides about trust at one moment; published as a whole through an `ArcSwap`.
#[derive(Debug, Clone, Default)]
pub struct TrustSnapshot {
    /// The global configuration.
    pub global_conf: Arc<GlobalConf>,
    /// OCSP answers about own certificates, and about those of peers that were met.
    pub ocsp: OcspResponses,
    /// The rules on algorithms and answers.
    pub policy: Policy,
}
