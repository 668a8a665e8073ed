//! The database of an official security server, from a dump: its clients, services, endpoints, rights and groups as a
//! declaration for this one (`trust.md` 7.1). Only read; the other server stays as it is.

mod declare;
mod dump;
mod import;
#[cfg(test)]
mod tests;

pub use declare::declaration;
pub use dump::{Dump, DumpError, Row};
pub use import::{Imported, import};
