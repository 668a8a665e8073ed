//! SOAP messages: headers, faults, request hash, content types.

mod action;
mod content_type;
mod encoding;
mod fault;
mod fields;
mod header;
mod message;
mod parser;
#[cfg(test)]
mod tests;

pub use action::check_soap_action;
pub use content_type::{ContentType, SoapBodyKind, answer_content_type, soap_body_kind};
pub use header::{RequestHash, SoapHeader};
pub use message::{Soap, SoapFault, SoapMessage, soap_request_hash};

/// Namespace of the SOAP 1.1 envelope.
pub const SOAP_NAMESPACE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of X-Road header elements.
pub const XROAD_NAMESPACE: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifier elements.
pub const IDENTIFIERS_NAMESPACE: &str = "http://x-road.eu/xsd/identifiers";
/// Namespace of the represented party.
pub const REPRESENTATION_NAMESPACE: &str = "http://x-road.eu/xsd/representation.xsd";
