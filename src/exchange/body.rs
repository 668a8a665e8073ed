//! Bodies on their way: hashed where they are read, passed on as the slices they came in.

use bytes::Bytes;

use crate::crypto::{Digest, DigestAlgorithm, Hasher};
use crate::log::Body;
use crate::worker::{ClientConnection, HttpError, ServerExchange, Spool, SpoolChunks, SpoolSpace};

/// Where the pieces of a body come from.
#[expect(async_fn_in_trait, reason = "everything of a worker stays on its thread")]
pub trait Source {
    /// The next piece, `None` at the proper end.
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError>;
}

/// Where the bytes of a message go.
pub trait Sink {
    /// Takes bytes; small ones are gathered.
    async fn write(&mut self, bytes: Bytes) -> Result<(), HttpError>;
    /// Takes slices, not many bytes together, that belong to each other.
    async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError>;
}

impl Source for ServerExchange {
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.read_body_chunk().await
    }
}

impl Source for ClientConnection {
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.read_body_chunk().await
    }
}

impl Source for SpoolChunks {
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        Ok(self.next_chunk()?)
    }
}

impl Sink for ServerExchange {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HttpError> {
        ServerExchange::write(self, bytes).await
    }

    async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError> {
        ServerExchange::write_joined(self, piece).await
    }
}

impl Sink for ClientConnection {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HttpError> {
        ClientConnection::write(self, bytes).await
    }

    async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError> {
        ClientConnection::write_joined(self, piece).await
    }
}

/// A part that was received in full: its digest and, spooled, its bytes.
#[derive(Debug)]
pub struct HashedBody {
    /// SHA-512 of all bytes.
    pub digest: Digest,
    /// The bytes.
    pub spool: Spool,
}

/// Hashes a part while it is spooled.
pub struct Hashing {
    hasher: Hasher,
    spool: Spool,
}

impl Hashing {
    /// An empty part.
    pub fn new(space: &SpoolSpace) -> Self {
        Self { hasher: Hasher::new(DigestAlgorithm::Sha512), spool: Spool::new(space) }
    }

    /// Appends. Errors: those of [`Spool::write`].
    pub fn write(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.hasher.update(&bytes);
        self.spool.write(bytes)
    }

    /// The whole part.
    pub fn finish(self) -> HashedBody {
        HashedBody { digest: self.hasher.finish(), spool: self.spool }
    }
}

/// The bytes of a spool as the message log takes them: the file itself when there is one.
pub fn log_body(spool: &mut Spool) -> std::io::Result<Body> {
    let length = spool.len();
    match spool.chunks() {
        SpoolChunks::File { file, .. } => Ok(Body::File(file, length)),
        SpoolChunks::Memory(mut slices) => {
            let first = slices.next().unwrap_or_default();
            if first.len() as u64 == length {
                return Ok(Body::Bytes(first));
            }
            // In memory, so bounded by the spool's limit.
            let mut whole = Vec::with_capacity(length as usize);
            whole.extend_from_slice(&first);
            slices.for_each(|slice| whole.extend_from_slice(&slice));
            Ok(Body::Bytes(Bytes::from(whole)))
        }
    }
}
