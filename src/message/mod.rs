//! Identifiers, messages, faults and error codes.

mod error;
mod error_code;
mod fault;
mod fields;
mod identifiers;
mod percent;
mod rest;
mod soap;

pub use error::{CLIENT, CLIENT_PROXY, Fault, SERVER_PROXY, XRoadError};
pub use error_code::ErrorCode;
pub use fault::{ErrorAnswer, ErrorFormat, soap_fault_answer};
pub use identifiers::{
    ClientId, GlobalGroupId, IdentifierError, LocalGroupId, MemberId, RepresentedParty, SecurityServerId,
    ServiceId, has_discouraged_characters,
};
pub use percent::{decode_segment, encode_segment};
pub use rest::{
    REST_METHODS, RestRefusal, RestRequest, RestRequestIds, RestResponse, RestResponseIds,
    canonical_header_name, is_hop_by_hop, latin1_to_utf8, path_fault, rest_request_hash, utf8_to_latin1,
};
pub use soap::{
    ContentType, IDENTIFIERS_NAMESPACE, REPRESENTATION_NAMESPACE, RequestHash, SOAP_NAMESPACE, Soap,
    SoapBodyKind, SoapFault, SoapHeader, SoapMessage, XROAD_NAMESPACE, answer_content_type,
    check_soap_action, soap_body_kind, soap_request_hash,
};
