//! The multipart transport message between security servers, and MIME as far as X-Road needs it.
//!
//! Free of I/O: bytes are fed, events come out; a writer appends framing to a buffer and leaves bodies to the caller,
//! so that they are sent from where they lie.
//!
//! * [`Multipart`]: push reader of any multipart body.
//! * [`Decoder`]: the transport message on top of it, part by part, in the order that the protocol allows.
//! * [`Encoder`]: the transport message as official servers write it.
//! * [`RelatedReader`], [`RelatedWriter`]: `multipart/related` of information systems and services.

mod answer;
mod boundary;
mod decoder;
mod delimiter;
mod encoder;
mod events;
mod gather;
mod headers;
mod multipart;
mod related;
#[cfg(test)]
mod tests;

pub use answer::{Answer, check_hash_algorithm};
pub use boundary::{BOUNDARY_LETTERS, Boundary};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use events::{Event, Part, PartKind, StreamedKind};
pub use headers::{HASH_ALGORITHM, Outgoing, fault_response_headers, request_headers, response_headers};
pub use multipart::{MimeEvent, Multipart, PartHeaders};
pub use related::{RelatedEvent, RelatedReader, RelatedWriter};
