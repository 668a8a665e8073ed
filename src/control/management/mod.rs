//! Management requests: what a security server asks of the registration and management services of its instance, made,
//! signed and sent (`trust.md` 8, PR-MSERV).
//!
//! * [`ManagementRequest`]: what is asked for, as text and read back.
//! * [`Parts`]: the request with the signatures that prove it, as `multipart/related`.
//! * [`Credentials`]: who signs with what.
//! * [`send`]: to the own client port, or straight to the registration service.

mod credentials;
mod envelope;
mod parts;
mod request;
mod send;
#[cfg(test)]
mod tests;

pub use credentials::{Credentials, detached_signature};
pub use envelope::{Addressed, read_envelope, response};
pub use parts::{BinaryPart, Parts, SIGNATURE_ALGORITHM};
pub use request::{Form, ManagementRequest};
pub use send::{Destination, ManagementError, post, request_id, send};
