//! The registry: local clients, their services, endpoints, access rights and groups, as an immutable snapshot.
//!
//! Queries on the path of a message are hash lookups. The snapshot is built from plain data ([`Client`]) that the
//! control plane keeps in its database; [`changes`] names what differs between two states of it.

mod difference;
mod glob;
mod groups;
mod model;
mod path;
mod snapshot;

pub use difference::{Change, changes, facts};
pub use glob::{GlobError, PathGlob};
pub use model::{Client, ClientStatus, ConnectionType, Endpoint, LocalGroup, Service, ServiceType, Subject};
pub use path::{CheckedPath, PathError};
pub use snapshot::{GlobalGroups, NoGroups, Registry, RegistryError, Target};

#[cfg(test)]
mod tests;
