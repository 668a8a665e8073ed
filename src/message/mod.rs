//! Identifiers, messages, faults and error codes.

mod error;
mod error_code;
mod fault;
mod fields;
mod identifiers;
mod percent;

pub use error::{CLIENT, CLIENT_PROXY, Fault, SERVER_PROXY, XRoadError};
pub use error_code::ErrorCode;
pub use fault::{ErrorAnswer, ErrorFormat, soap_fault_answer};
pub use identifiers::{
    ClientId, GlobalGroupId, IdentifierError, LocalGroupId, MemberId, RepresentedParty, SecurityServerId,
    ServiceId, has_discouraged_characters,
};
pub use percent::{decode_segment, encode_segment};
