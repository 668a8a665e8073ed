//! Payloads of frames: from records and back (layout in `format`).

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::chains;
use super::format::{self, Fields};
use super::record::{Body, Covered, Direction, Record, RecordSummary, TimestampRecord};
use super::sealing::Sealing;
use super::segment::FIRST_BYTES_MAX;
use crate::crypto::{Digest, RECORD_NONCE_BYTES, RecordCipher};
use crate::evidence::SignatureData;
use crate::limits::TIMESTAMP_RECORDS_MAX;
use crate::message::{ClientId, ServiceId};
use crate::time::UnixTime;

const RESPONSE: u8 = 1;
const METADATA_ONLY: u8 = 2;
const SERVICE: u8 = 4;
const SERVICE_IS_LOCAL: u8 = 8;
const CONSUMER: u8 = 16;
const CONSUMER_IS_LOCAL: u8 = 32;
const ENCRYPTED: u8 = 64;

const SINGLE: u8 = 0;
const BATCH: u8 = 1;

/// A message record as it is stored, but for what only the writer knows. Made on the caller's thread, where the message is
/// at hand; the one writer thread then has nothing to do but to copy.
pub(super) struct EncodedMessage {
    pub direction: Direction,
    pub metadata_only: bool,
    pub signature: SignatureData,
    pub attachments: Vec<Body>,
    /// For the bodies in files, when the record is encrypted.
    pub cipher: Option<Box<RecordCipher>>,
    /// What stands between the time and the offset of the document.
    kind: [u8; 8],
    /// What stands between that and the attachments.
    rest: BytesMut,
    query_id: std::ops::Range<usize>,
}

impl EncodedMessage {
    /// Encodes a record.
    pub fn new(record: Record, sealing: Option<Sealing>) -> Self {
        let flag = |flag: u8, is_set: bool| if is_set { flag } else { 0 };
        let provider = record.service.as_ref().map(ServiceId::client);
        let service_is_local = provider.as_ref() == Some(&record.client);
        let consumer_is_local = record.consumer.as_ref() == Some(&record.client);
        let mut kind = [0; 8];
        kind[0] = flag(RESPONSE, record.direction == Direction::Response)
            | flag(METADATA_ONLY, record.metadata_only)
            | flag(SERVICE, record.service.is_some())
            | flag(SERVICE_IS_LOCAL, service_is_local)
            | flag(CONSUMER, record.consumer.is_some())
            | flag(CONSUMER_IS_LOCAL, consumer_is_local)
            | flag(ENCRYPTED, sealing.is_some());
        kind[4..].copy_from_slice(&(record.attachments.len() as u32).to_le_bytes());
        let chain = record.signature.hash_chain.as_ref();
        let usual = 512 + record.query_id.len() + record.message.len() + chain.map_or(0, Bytes::len);
        let mut out = BytesMut::with_capacity(usual);
        format::put_text(&mut out, &record.query_id);
        let query_id = out.len() - record.query_id.len()..out.len();
        put_client(&mut out, &record.client);
        format::put_optional_text(&mut out, record.x_request_id.as_deref());
        if let Some(service) = &record.service {
            if let Some(provider) = provider.filter(|_| !service_is_local) {
                put_client(&mut out, &provider);
            }
            format::put_text(&mut out, service.service_code());
            format::put_optional_text(&mut out, service.service_version());
        }
        if let Some(consumer) = record.consumer.as_ref().filter(|_| !consumer_is_local) {
            put_client(&mut out, consumer);
        }
        if let Some(sealing) = &sealing {
            format::put_text(&mut out, &sealing.key);
            out.put_slice(&sealing.nonce);
        }
        format::put_blob(&mut out, &record.message);
        chains::put_chain(&mut out, chain.map(|chain| &chain[..]), record.signature.chain_path.as_deref());
        for attachment in &record.attachments {
            out.put_u32_le(attachment.len() as u32);
        }
        Self {
            direction: record.direction,
            metadata_only: record.metadata_only,
            signature: SignatureData { hash_chain: None, chain_path: None, ..record.signature },
            attachments: record.attachments,
            cipher: sealing.map(|sealing| Box::new(sealing.cipher)),
            kind,
            rest: out,
            query_id,
        }
    }

    /// The message id.
    pub fn query_id(&self) -> &str {
        let bytes = self.rest.get(self.query_id.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Bytes of the whole payload.
    pub fn len(&self) -> u64 {
        (MESSAGE_START_BYTES + self.rest.len()) as u64 + self.attachments.iter().map(Body::len).sum::<u64>()
    }

    /// Everything before the bytes of the attachments.
    pub fn head(&self, time: UnixTime, document_offset: u64) -> ([u8; MESSAGE_START_BYTES], &[u8]) {
        let mut start = [0; MESSAGE_START_BYTES];
        let fields = [time.millis().to_le_bytes(), self.kind, document_offset.to_le_bytes()];
        start.as_chunks_mut().0.copy_from_slice(&fields);
        (start, &self.rest)
    }
}

/// Time, flags and number of attachments, offset of the document.
const MESSAGE_START_BYTES: usize = 24;

/// Upper bound of the bytes of a message record before its attachments.
pub(super) fn message_head_len_max(record: &Record) -> usize {
    let chain = record.signature.hash_chain.as_ref().map_or(0, Bytes::len);
    8192 + record.query_id.len() + record.message.len() + chain + 4 * record.attachments.len()
}

/// Where the signature document of a message record is, by the first bytes of the record's payload.
pub(super) fn document_offset(first: &[u8; FIRST_BYTES_MAX]) -> Option<u64> {
    first.last_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Bytes of all attachments.
pub(super) fn attachments_len(record: &Record) -> u64 {
    record.attachments.iter().map(Body::len).sum()
}

/// A signature document.
pub(super) fn put_document(out: &mut BytesMut, signature: &SignatureData) {
    format::put_blob(out, &signature.signature);
    chains::put_result(out, signature.hash_chain_result.as_deref());
}

/// Signature XML and hash chain result of a signature document.
pub(super) fn document(payload: &Bytes) -> Option<(Bytes, Option<Bytes>)> {
    let mut fields = Fields(payload);
    let signature = payload.slice_ref(fields.blob()?);
    Some((signature, chains::result(&mut fields, payload)?))
}

/// A signature document as what differs from another, which begins at each of `like`.
pub(super) fn put_similar_document(
    out: &mut BytesMut,
    signature: &SignatureData,
    like: [u64; 2],
    differing: &[std::ops::Range<usize>],
) {
    like.iter().for_each(|offset| out.put_u64_le(*offset));
    chains::put_result(out, signature.hash_chain_result.as_deref());
    out.put_u32_le(differing.len() as u32);
    for range in differing {
        out.put_u32_le(range.start as u32);
        format::put_blob(out, signature.signature.get(range.clone()).unwrap_or_default());
    }
}

/// A signature document that is like another.
pub(super) struct SimilarDocument {
    /// Where that other one is, twice.
    pub like: [u64; 2],
    pub hash_chain_result: Option<Bytes>,
    differing: Vec<(usize, Bytes)>,
}

impl SimilarDocument {
    /// The document itself, from the one that it is like.
    pub fn over(&self, other: &[u8]) -> Option<Bytes> {
        let mut document = other.to_vec();
        for (at, bytes) in &self.differing {
            document.get_mut(*at..at.checked_add(bytes.len())?)?.copy_from_slice(bytes);
        }
        Some(document.into())
    }
}

/// Reads a document that is like another.
pub(super) fn similar_document(payload: &Bytes) -> Option<SimilarDocument> {
    let mut fields = Fields(payload);
    let like = [fields.u64()?, fields.u64()?];
    let hash_chain_result = chains::result(&mut fields, payload)?;
    let count = fields.u32()?;
    let mut differing = Vec::new();
    for _ in 0..count {
        differing.push((fields.u32()? as usize, payload.slice_ref(fields.blob()?)));
    }
    Some(SimilarDocument { like, hash_chain_result, differing })
}

/// A time-stamp record.
pub(super) fn put_timestamp(out: &mut BytesMut, stamp: &TimestampRecord, time: UnixTime) {
    out.put_i64_le(time.millis());
    format::put_blob(out, &stamp.token);
    let (root, leaves) = match &stamp.covered {
        Covered::Single(id) => {
            out.put_u8(SINGLE);
            return out.put_u64_le(*id);
        }
        Covered::Batch { root, leaves } => (root, leaves),
    };
    out.put_u8(BATCH);
    chains::put_digest(out, root);
    let (mut numbers, mut distinct) = (HashMap::new(), Vec::new());
    let numbered: Vec<(u64, u32)> = leaves
        .iter()
        .map(|(id, digest)| {
            let number = *numbers.entry(digest).or_insert_with(|| {
                distinct.push(digest);
                distinct.len() as u32 - 1
            });
            (*id, number)
        })
        .collect();
    out.put_u32_le(distinct.len() as u32);
    distinct.iter().for_each(|digest| out.put_slice(digest.as_ref()));
    out.put_u32_le(numbered.len() as u32);
    let mut before = 0;
    for (id, number) in numbered {
        format::put_varint(out, id.wrapping_sub(before));
        format::put_varint(out, number.into());
        before = id;
    }
}

/// Reads a time-stamp record back.
pub(super) fn timestamp(payload: &Bytes) -> Option<(UnixTime, TimestampRecord)> {
    let mut fields = Fields(payload);
    let time = UnixTime::from_millis(fields.i64()?);
    let token = payload.slice_ref(fields.blob()?);
    let covered = match fields.u8()? {
        SINGLE => Covered::Single(fields.u64()?),
        BATCH => batch(&mut fields)?,
        _ => return None,
    };
    Some((time, TimestampRecord { token, covered }))
}

fn batch(fields: &mut Fields<'_>) -> Option<Covered> {
    let root = chains::digest(fields)?;
    let algorithm = root.algorithm();
    let digests = fields.u32()? as usize;
    let digests = fields.take(digests.checked_mul(algorithm.length())?)?;
    let digests: Vec<Digest> = digests
        .chunks_exact(algorithm.length())
        .map(|bytes| Digest::from_bytes(algorithm, bytes))
        .collect::<Option<_>>()?;
    let count = fields.u32()? as usize;
    let mut leaves = Vec::with_capacity(count.min(TIMESTAMP_RECORDS_MAX));
    let mut id = 0_u64;
    for _ in 0..count {
        id = id.wrapping_add(fields.varint()?);
        let number = usize::try_from(fields.varint()?).ok()?;
        leaves.push((id, *digests.get(number)?));
    }
    Some(Covered::Batch { root, leaves })
}

/// The leading fields of a message record, up to and without the message.
#[derive(Debug)]
pub(super) struct MessageHead {
    pub summary: RecordSummary,
    pub document_offset: u64,
    pub attachments: u32,
    /// Name of the key and nonce of an encrypted record.
    pub encrypted: Option<(String, [u8; RECORD_NONCE_BYTES])>,
}

/// Reads the leading fields; what remains in `fields` starts with the message.
pub(super) fn message_head(fields: &mut Fields<'_>, id: u64) -> Option<MessageHead> {
    let time = UnixTime::from_millis(fields.i64()?);
    let flags = fields.u8()?;
    fields.take(3)?;
    let attachments = fields.u32()?;
    let document_offset = fields.u64()?;
    let query_id = fields.text()?.to_owned();
    let client = client(fields)?;
    let x_request_id = fields.optional_text()?.map(str::to_owned);
    let party = |fields: &mut Fields<'_>, is_local: u8| match flags & is_local {
        0 => self::client(fields),
        _ => Some(client.clone()),
    };
    let mut service = None;
    if flags & SERVICE != 0 {
        let provider = party(fields, SERVICE_IS_LOCAL)?;
        service = Some(ServiceId::new(&provider, fields.text()?, fields.optional_text()?).ok()?);
    }
    let mut consumer = None;
    if flags & CONSUMER != 0 {
        consumer = Some(party(fields, CONSUMER_IS_LOCAL)?);
    }
    let mut encrypted = None;
    if flags & ENCRYPTED != 0 {
        encrypted = Some((fields.text()?.to_owned(), fields.take(RECORD_NONCE_BYTES)?.try_into().ok()?));
    }
    let direction = if flags & RESPONSE == 0 { Direction::Request } else { Direction::Response };
    let metadata_only = flags & METADATA_ONLY != 0;
    let summary = RecordSummary {
        id,
        time,
        query_id,
        direction,
        client,
        consumer,
        service,
        x_request_id,
        metadata_only,
        stamped: false,
    };
    Some(MessageHead { summary, document_offset, attachments, encrypted })
}

/// A `client`.
pub(super) fn put_client(out: &mut BytesMut, client: &ClientId) {
    format::put_text(out, client.instance());
    format::put_text(out, client.member_class());
    format::put_text(out, client.member_code());
    format::put_optional_text(out, client.subsystem_code());
}

/// Reads a `client`.
pub(super) fn client(fields: &mut Fields<'_>) -> Option<ClientId> {
    let (instance, member_class, member_code) = (fields.text()?, fields.text()?, fields.text()?);
    ClientId::new(instance, member_class, member_code, fields.optional_text()?).ok()
}

/// A whole message record.
pub(super) struct MessagePayload {
    pub head: MessageHead,
    pub message: Bytes,
    pub hash_chain: Option<Bytes>,
    pub attachments: Vec<Bytes>,
}

/// Reads a message record back; the parts share the payload's memory.
pub(super) fn message(payload: &Bytes, id: u64) -> Option<MessagePayload> {
    let mut fields = Fields(payload);
    let head = message_head(&mut fields, id)?;
    let message = payload.slice_ref(fields.blob()?);
    let hash_chain = chains::chain(&mut fields, payload)?;
    let mut lengths = Fields(fields.take((head.attachments as usize).checked_mul(4)?)?);
    let mut attachments = Vec::new();
    while let Some(len) = lengths.u32() {
        attachments.push(payload.slice_ref(fields.take(len as usize)?));
    }
    Some(MessagePayload { head, message, hash_chain, attachments })
}
