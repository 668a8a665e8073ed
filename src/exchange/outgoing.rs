//! A transport message on its way to the other server: parts are written, hashed, signed and logged in the order of
//! the protocol (`transport.md` 3.4).

use bytes::{Bytes, BytesMut};

use super::body::{HashedBody, Sink, Source};
use super::context::Worker;
use super::random::letters;
use super::room::cannot_keep;
use crate::control::monitoring::Sizes;
use crate::crypto::{Digest, DigestAlgorithm, Hasher};
use crate::evidence::SignatureData;
use crate::message::XRoadError;
use crate::transport::{Boundary, Encoder, PartHeaders};
use crate::worker::{HttpError, Spool};

/// Why a body did not pass.
#[derive(Debug)]
pub enum TransferError {
    /// The party that sends it failed.
    Source(HttpError),
    /// The party that receives it failed.
    Sink(HttpError),
    /// It breaks a rule of the protocol, or cannot be kept here.
    Rule(XRoadError),
}

/// Slices up to this are copied to their neighbours; a larger one costs less where it is.
const COPIED_SLICE_BYTES_MAX: usize = 256;
/// How much is gathered: a REST message of 1 KiB with its signature document, one TLS record or two.
const GATHERED_BYTES_MAX: usize = 16 * 1024;
/// What stands between the slices of such a message, and its small parts.
const USUAL_BUFFER_BYTES: usize = 6 * 1024;

/// The message while it is written. Small parts are gathered and sent together with what follows.
pub struct Outgoing {
    encoder: Encoder,
    /// What goes before the buffer.
    slices: Vec<Bytes>,
    slices_bytes: usize,
    buffer: BytesMut,
    digests: Vec<Digest>,
    sizes: Sizes,
}

impl Outgoing {
    /// A message with a fresh boundary.
    pub fn new(worker: &Worker) -> Self {
        let boundary = Boundary::from_random(&letters(&*worker.shared.entropy));
        Self {
            encoder: Encoder::new(&boundary),
            slices: Vec::with_capacity(8),
            slices_bytes: 0,
            buffer: BytesMut::with_capacity(USUAL_BUFFER_BYTES),
            digests: Vec::with_capacity(2),
            sizes: Sizes::default(),
        }
    }

    /// `Content-Type` of the HTTP message.
    pub fn content_type(&self) -> String {
        self.encoder.content_type()
    }

    /// The OCSP responses about the own authentication chain, leaf first.
    pub fn ocsp_responses(&mut self, responses: &[Bytes]) {
        for response in responses {
            self.encoder.ocsp_response_start(&mut self.buffer);
            self.gather_buffer();
            self.gather(response.clone());
        }
    }

    /// The REST request part.
    pub fn rest_request(&mut self, part: &[u8]) {
        self.digests.push(DigestAlgorithm::Sha512.digest(part));
        self.sizes.message = part.len() as u64;
        self.encoder.rest_request(&mut self.buffer, part);
    }

    /// The REST response part.
    pub fn rest_response(&mut self, part: &[u8]) {
        self.digests.push(DigestAlgorithm::Sha512.digest(part));
        self.sizes.message = part.len() as u64;
        self.encoder.rest_response(&mut self.buffer, part);
    }

    /// The SOAP part.
    pub async fn soap(
        &mut self,
        sink: &mut impl Sink,
        headers: &PartHeaders,
        soap: Bytes,
    ) -> Result<(), HttpError> {
        self.digests.push(DigestAlgorithm::Sha512.digest(&soap));
        self.sizes.message = soap.len() as u64;
        let content_type = headers.content_type.as_deref().unwrap_or("text/xml; charset=UTF-8");
        self.encoder.soap_start(&mut self.buffer, content_type, &headers.fields);
        self.put(sink, soap).await
    }

    /// The REST body, as it comes. `first` was read ahead; it is passed on before the rest. What is passed on is kept
    /// for the log when `keep` says so.
    pub async fn rest_body(
        &mut self,
        first: Bytes,
        source: &mut impl Source,
        sink: &mut impl Sink,
        keep: &mut Keep<'_>,
    ) -> Result<(), TransferError> {
        self.encoder.rest_body_start(&mut self.buffer);
        let mut hasher = Hasher::new(DigestAlgorithm::Sha512);
        let mut next = Some(first);
        while let Some(chunk) = next {
            hasher.update(&chunk);
            keep.take(&chunk)?;
            self.sizes.parts += chunk.len() as u64;
            self.put(sink, chunk).await.map_err(TransferError::Sink)?;
            next = source.next().await.map_err(TransferError::Source)?;
        }
        self.digests.push(hasher.finish());
        Ok(())
    }

    /// The start of an attachment; [`attachment_data`](Self::attachment_data) follows.
    pub fn attachment_start(&mut self, headers: &PartHeaders) -> Hasher {
        let content_type = headers.content_type.as_deref().unwrap_or("text/plain");
        self.encoder.attachment_start(&mut self.buffer, content_type, &headers.fields);
        Hasher::new(DigestAlgorithm::Sha512)
    }

    /// Bytes of an attachment.
    pub async fn attachment_data(
        &mut self,
        hasher: &mut Hasher,
        sink: &mut impl Sink,
        data: Bytes,
    ) -> Result<(), HttpError> {
        hasher.update(&data);
        self.sizes.parts += data.len() as u64;
        self.put(sink, data).await
    }

    /// The end of an attachment.
    pub fn attachment_end(&mut self, hasher: Hasher) {
        self.digests.push(hasher.finish());
    }

    /// A whole attachment that was made or received before.
    pub async fn attachment(
        &mut self,
        sink: &mut impl Sink,
        headers: &PartHeaders,
        body: &mut HashedBody,
    ) -> Result<(), TransferError> {
        self.attachment_start(headers);
        self.sizes.parts += body.spool.len();
        let mut chunks = body.spool.chunks();
        while let Some(chunk) = chunks.next_chunk().map_err(|error| TransferError::Source(error.into()))? {
            self.put(sink, chunk).await.map_err(TransferError::Sink)?;
        }
        self.digests.push(body.digest);
        Ok(())
    }

    /// Digests of the message and of what came with it, in order: what is to be signed.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// How large what was written so far is.
    pub fn sizes(&self) -> Sizes {
        let attachments = u32::try_from(self.digests.len().saturating_sub(1)).ok();
        Sizes { attachments, ..self.sizes }
    }

    /// Hash chain, if there is one, and signature.
    pub async fn signature(
        &mut self,
        sink: &mut impl Sink,
        signature: &SignatureData,
    ) -> Result<(), HttpError> {
        if let (Some(result), Some(chain)) = (&signature.hash_chain_result, &signature.hash_chain) {
            self.encoder.hash_chain_result(&mut self.buffer, result);
            self.encoder.hash_chain(&mut self.buffer, chain);
        }
        self.encoder.signature_start(&mut self.buffer);
        self.put(sink, signature.signature.clone()).await
    }

    /// A fault in place of what is missing.
    pub fn fault(&mut self, xml: &[u8]) {
        self.encoder.fault(&mut self.buffer, xml);
    }

    /// The closing boundary.
    pub async fn close(&mut self, sink: &mut impl Sink) -> Result<(), HttpError> {
        self.encoder.close(&mut self.buffer);
        self.put(sink, Bytes::new()).await
    }

    async fn put(&mut self, sink: &mut impl Sink, bytes: Bytes) -> Result<(), HttpError> {
        // A message of a few kilobytes becomes one write, one HTTP chunk and few TLS records.
        if !bytes.is_empty() && self.slices_bytes + self.buffer.len() + bytes.len() <= GATHERED_BYTES_MAX {
            if bytes.len() <= COPIED_SLICE_BYTES_MAX {
                self.buffer.extend_from_slice(&bytes);
            } else {
                self.gather_buffer();
                self.gather(bytes);
            }
            return Ok(());
        }
        self.gather_buffer();
        if !self.slices.is_empty() {
            self.slices_bytes = 0;
            sink.write_joined(std::mem::take(&mut self.slices)).await?;
        }
        if !bytes.is_empty() {
            sink.write(bytes).await?;
        }
        Ok(())
    }

    fn gather_buffer(&mut self) {
        if !self.buffer.is_empty() {
            let buffer = self.buffer.split().freeze();
            self.gather(buffer);
        }
    }

    fn gather(&mut self, slice: Bytes) {
        self.slices_bytes += slice.len();
        self.slices.push(slice);
    }
}

/// Keeps a passing body for the log, within what may be logged.
pub struct Keep<'k> {
    into: Option<&'k mut Spool>,
    limit: u64,
    truncated_allowed: bool,
}

impl<'k> Keep<'k> {
    /// Keeps nothing.
    pub fn nothing() -> Self {
        Self { into: None, limit: u64::MAX, truncated_allowed: true }
    }

    /// Keeps up to `limit` bytes; a longer body is cut where that is allowed, else refused (`signature.md` 7.1).
    pub fn up_to(into: &'k mut Spool, limit: u64, truncated_allowed: bool) -> Self {
        Self { into: Some(into), limit, truncated_allowed }
    }

    fn take(&mut self, chunk: &Bytes) -> Result<(), TransferError> {
        let Some(into) = &mut self.into else { return Ok(()) };
        let room = self.limit.saturating_sub(into.len());
        let taken = (chunk.len() as u64).min(room) as usize;
        if taken < chunk.len() && !self.truncated_allowed {
            return Err(TransferError::Rule(super::record::too_large(self.limit)));
        }
        into.write(chunk.slice(..taken)).map_err(|error| TransferError::Rule(cannot_keep(error)))
    }
}
