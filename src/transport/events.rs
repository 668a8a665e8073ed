use bytes::Bytes;

use super::PartHeaders;

/// A part that is held in memory as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its headers; those of a SOAP part travel on to the receiver.
    pub headers: PartHeaders,
    /// Its bytes, as they are hashed.
    pub body: Bytes,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// `application/ocsp-response`: DER, for a certificate of the sender's authentication chain.
    OcspResponse,
    /// `text/xml` or `application/xop+xml` as the message: an envelope, which may hold a fault.
    Soap,
    /// `application/x-road-rest-request`.
    RestRequest,
    /// `application/x-road-rest-response`.
    RestResponse,
    /// `application/hash-chain-result`.
    HashChainResult,
    /// `application/hash-chain`.
    HashChain,
    /// `signature/bdoc-1.0/ts`.
    Signature,
    /// `text/xml` after a message: the fault that stands in place of what is missing.
    Fault,
}

/// A part that is streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamedKind {
    /// `application/x-road-rest-body`; it is `/attachment1` in the signature.
    RestBody,
    /// An attachment of a SOAP message, counted from 1.
    Attachment(usize),
}

/// What comes out of a transport message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole part.
    Part(Part),
    /// A streamed part begins.
    Start {
        /// What it is.
        kind: StreamedKind,
        /// Its headers.
        headers: PartHeaders,
    },
    /// Bytes of the streamed part, slices of what was fed; as they are hashed.
    Data(Bytes),
    /// The streamed part ends.
    End,
    /// The closing boundary was seen.
    Finished,
}
