//! OCSP: answers, requests, and what makes an answer count.

mod cache;
mod request;
mod response;
mod store;
#[cfg(test)]
mod tests;
mod verify;

pub(super) use cache::OcspCheckCache;
pub use request::{CertId, ocsp_request};
pub use response::{CertStatus, OcspError, OcspResponse};
pub use store::OcspResponses;
pub(super) use verify::check_all;
