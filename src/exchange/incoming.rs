//! A transport message as it is received: held until it is complete and verified (`transport.md` 3.4).

use bytes::Bytes;

use super::body::{HashedBody, Hashing, Source};
use super::context::Worker;
use super::http_failure::http_failure;
use super::room::{Room, cannot_keep};
use crate::control::monitoring::Sizes;
use crate::crypto::Digest;
use crate::evidence::{PartName, SignatureData};
use crate::message::{ErrorCode, XRoadError};
use crate::transport::{Decoder, Event, Part, PartHeaders, PartKind};
use crate::worker::SpoolSpace;

/// An attachment, or the body of a REST message.
#[derive(Debug)]
pub struct Attachment {
    /// Its headers, which travel on.
    pub headers: PartHeaders,
    /// Its bytes and their digest.
    pub body: HashedBody,
}

/// Reads the parts of a message as they come.
pub struct Incoming {
    decoder: Decoder,
    spools: SpoolSpace,
    // Bytes of bodies so far, and how many there may be.
    body_bytes: u64,
    body_bytes_max: u64,
    // Bytes of the whole parts so far.
    held: usize,
    /// Room for what is held in memory; it must live as long as the message.
    pub room: Room,
    /// OCSP responses about the sender's authentication chain.
    pub ocsp: Vec<Bytes>,
    /// The message: SOAP or REST.
    pub message: Option<Part>,
    /// What came with it.
    pub attachments: Vec<Attachment>,
    /// A fault in place of what is missing.
    pub fault: Option<Bytes>,
    hash_chain_result: Option<Bytes>,
    hash_chain: Option<Bytes>,
    signature: Option<Bytes>,
    open: Option<(PartHeaders, Hashing)>,
}

impl Incoming {
    /// A message with this `Content-Type`, boxed since it is handed on several times. Error: `invalid_content_type`.
    pub fn new(worker: &Worker, content_type: &str) -> Result<Box<Self>, XRoadError> {
        Ok(Box::new(Self {
            decoder: Decoder::new(content_type)?,
            spools: worker.shared.spools.clone(),
            body_bytes: 0,
            body_bytes_max: worker.shared.config.limits.body_bytes_max,
            held: 0,
            room: Room::new(worker),
            ocsp: Vec::new(),
            message: None,
            attachments: Vec::new(),
            fault: None,
            hash_chain_result: None,
            hash_chain: None,
            signature: None,
            open: None,
        }))
    }

    /// Reads up to and including the message part, so that its sender can be judged before the rest is taken.
    pub async fn read_message(&mut self, source: &mut impl Source) -> Result<(), XRoadError> {
        self.read_until(source, |this| this.message.is_some()).await.map(|_| ())
    }

    /// Reads what is left, to the closing boundary and the proper end of the HTTP body: an unfinished body is not a
    /// message, even when its signature is complete.
    pub async fn read_rest(&mut self, source: &mut impl Source) -> Result<(), XRoadError> {
        self.read_until(source, |_| false).await.map(|_| ())
    }

    async fn read_until(
        &mut self,
        source: &mut impl Source,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), XRoadError> {
        let mut ended = false;
        loop {
            while let Some(event) = self.decoder.next()? {
                self.take(event)?;
                if enough(self) {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
            self.room.hold(self.held + self.decoder.held())?;
            match source.next().await {
                Ok(Some(bytes)) => self.decoder.feed(bytes),
                Ok(None) => {
                    self.decoder.finish();
                    ended = true;
                }
                Err(error) => return Err(http_failure(&error, "reading the transport message")),
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), XRoadError> {
        match event {
            Event::Part(part) => {
                self.held += part.body.len();
                match part.kind {
                    PartKind::OcspResponse => self.ocsp.push(part.body),
                    PartKind::Soap | PartKind::RestRequest | PartKind::RestResponse => {
                        self.message = Some(part);
                    }
                    PartKind::HashChainResult => self.hash_chain_result = Some(part.body),
                    PartKind::HashChain => self.hash_chain = Some(part.body),
                    PartKind::Signature => self.signature = Some(part.body),
                    PartKind::Fault => self.fault = Some(part.body),
                }
            }
            Event::Start { headers, .. } => {
                self.open = Some((headers, Hashing::new(&self.spools)));
            }
            Event::Data(bytes) => {
                self.body_bytes += bytes.len() as u64;
                if self.body_bytes > self.body_bytes_max {
                    let max = self.body_bytes_max;
                    let text = format!("the body or the attachments of the message exceed {max} bytes");
                    return Err(XRoadError::new(ErrorCode::InvalidMessage, text));
                }
                if let Some((_, hashing)) = &mut self.open {
                    hashing.write(bytes).map_err(cannot_keep)?;
                }
            }
            Event::End => {
                if let Some((headers, hashing)) = self.open.take() {
                    self.attachments.push(Attachment { headers, body: hashing.finish() });
                }
            }
            Event::Finished => {}
        }
        Ok(())
    }

    /// How large what was received so far is.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            message: self.message.as_ref().map_or(0, |part| part.body.len() as u64),
            parts: self.attachments.iter().map(|attachment| attachment.body.spool.len()).sum(),
            attachments: u32::try_from(self.attachments.len()).ok(),
        }
    }

    /// Step: the signature is there, else `missing_signature`.
    pub fn signature(&self) -> Result<SignatureData, XRoadError> {
        let missing = || XRoadError::new(ErrorCode::MissingSignature, "the message has no signature");
        Ok(SignatureData {
            signature: self.signature.clone().ok_or_else(missing)?,
            hash_chain_result: self.hash_chain_result.clone(),
            hash_chain: self.hash_chain.clone(),
            chain_path: None,
        })
    }

    /// Names and digests of everything that the signature must cover, the message first.
    pub fn part_digests(&self, message: Digest) -> Vec<(PartName, Digest)> {
        let mut parts = Vec::with_capacity(1 + self.attachments.len());
        parts.push((PartName::Message, message));
        for (index, attachment) in self.attachments.iter().enumerate() {
            parts.push((PartName::at(index + 1), attachment.body.digest));
        }
        parts
    }
}
