//! What the client port gives besides messages: evidence, the configuration to judge it by, and the list of clients.

mod asic;
mod encryptions;
mod list_clients;
mod query;
mod verificationconf;

pub use asic::answer as asic;
pub use encryptions::Encryptions;
pub use list_clients::answer as list_clients;
pub use query::Query;
pub use verificationconf::answer as verificationconf;
