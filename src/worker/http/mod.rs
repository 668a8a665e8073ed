//! HTTP/1.1 message syntax: heads, body framings, chunks. No I/O.

mod body;
mod chunked;
mod destination;
mod head;
mod output;

pub(super) use body::{BodyDecoder, Decoded};
pub(super) use head::{HeadScanner, parse_request, parse_response, request_body, response_body};
pub use head::{NO_HEADERS, RequestHead, ResponseHead, Version, header, header_values};
pub(super) use output::{Encoder, bodiless, request_head, response_head, wants_close};

/// How the end of a body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body. Written as `Content-Length: 0` in responses that could have one, as nothing in requests.
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Connection: close`, the end of the connection (close_notify in TLS) ends the body; responses only.
    /// This is what official servers send by default (`transport.md` trap 32).
    UntilClose,
}
