//! RFC 3161 time-stamps: requested, verified, put into evidence, and made (`signature.md` 5).
//!
//! * [`request_der`], [`accept_response`]: what a server asks a time-stamping authority, and whether the answer will do.
//! * [`single_imprint`], [`insert_token`]: one stamp for one signature.
//! * [`TimestampToken`]: a token as evidence holds it; [`TimestampToken::verify`] says when its data existed.
//! * [`TimestampRequest`], [`make_response`]: the authority's side.

mod authority;
mod batch;
mod ber;
mod error;
mod request;
mod single;
#[cfg(test)]
mod tests;
mod token;
mod verify;

pub use self::authority::{make_rejection, make_response};
pub use self::batch::TimestampBatch;
pub use self::error::TimestampError;
pub use self::request::{TimestampRequest, request_der};
pub use self::single::{embedded_token, insert_token, signature_value, single_imprint};
pub use self::token::{TimestampToken, parse_response};
pub use self::verify::{AcceptedTimestamp, VerifiedTimestamp, accept_response};
