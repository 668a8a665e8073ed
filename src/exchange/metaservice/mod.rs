//! Metaservices: what a provider offers (`transport.md` 7.1, 7.2; PR-META, PR-MREST), and what the server tells of itself.

mod download;
mod monitoring;
mod openapi;
mod rest;
mod soap;
mod wsdl;

pub use monitoring::check_access as check_soap_access;
pub use rest::{answer as answer_rest, claims as claims_rest};
pub use soap::{Answer as SoapAnswer, answer as answer_soap, claims as claims_soap};
