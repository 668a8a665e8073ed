//! Whom to believe: global configuration, certificate chains, OCSP answers, certificate profiles.
//!
//! * [`anchor`], [`directory`]: what a configuration source publishes and how it is verified.
//! * [`GlobalConf`]: one immutable snapshot of all known instances; [`Part`]: its files.
//! * [`verify_chain`], [`OcspResponse`]: certificates at a point in time, under a [`Policy`].
//! * [`subject_client_id`]: the member that a sign certificate belongs to.
//! * [`verify_client_authentication`], [`verify_server_authentication`]: the other server of a connection.
//!
//! Nothing here reads a clock; times come from the caller. Only `GlobalConf::load_dir` reads files.

pub mod anchor;
mod authentication;
mod chain;
pub mod directory;
mod global_conf;
mod issued;
mod ocsp;
mod part;
#[cfg(test)]
mod pki_for_tests;
mod policy;
mod private_params;
mod profile;
mod request_subject;
mod responders;
mod schema;
mod shared_params;
mod snapshot;
#[cfg(test)]
mod tests;

pub use authentication::{
    AuthenticatedChain, is_auth_certificate, is_sign_certificate, verify_client_authentication,
    verify_client_chain, verify_server_authentication, verify_server_chain,
};
pub use chain::{ChainContext, verify_chain, verify_chain_to};
pub use global_conf::GlobalConf;
pub use ocsp::{CertId, CertStatus, OcspError, OcspResponse, OcspResponses, ocsp_request};
pub use part::{Metadata, Part, PartKind, escape_instance, read_dir, unescape_instance};
pub use policy::Policy;
pub use private_params::{
    ManagementService, PrivateParams, parse_fetch_interval, parse_monitoring, parse_next_update,
};
pub use profile::{Profile, subject_client_id};
pub use request_subject::{Applicant, Attribute};
pub use responders::CostStrategy;
pub use schema::SchemaError;
pub use shared_params::{
    ApprovedCa, ApprovedTsa, Ca, CostType, GlobalGroup, Member, OcspResponder, SecurityServer, SharedParams,
    Source,
};
pub use snapshot::TrustSnapshot;
