//! The control plane: ordinary asynchronous code beside the messages' path. It publishes snapshots that the data
//! plane reads, and never makes a message wait.

mod declaration;
mod fetch;
mod globalconf_store;
mod random;
mod registry_db;
mod registry_rows;

pub use declaration::{load as load_declaration, parse as parse_declaration};
pub use fetch::{Answer, Fetch, FetchError, HttpFetcher, Request, Timeouts};
pub use globalconf_store::{GlobalConfStore, Metadata, StoredGlobalConf, StoredInstance, StoredPart};
pub use random::{Randomness, SystemRandomness};
pub use registry_db::{RegistryDb, RegistryDbError, WATCH_INTERVAL};

#[cfg(test)]
mod declaration_tests;
#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod test_server;
