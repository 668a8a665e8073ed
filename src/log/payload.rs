//! Payloads of frames: from records and back (layout in `format`).

use bytes::{BufMut, Bytes, BytesMut};

use super::format::{self, Fields};
use super::record::{Body, Direction, Record, RecordSummary, TimestampRecord};
use crate::evidence::SignatureData;
use crate::message::ClientId;
use crate::time::UnixTime;

const FLAG_RESPONSE: u8 = 1;
const FLAG_METADATA_ONLY: u8 = 2;

/// Everything of a message record before the bytes of its attachments.
pub(super) fn put_message_head(out: &mut BytesMut, record: &Record, time: UnixTime, document_offset: u64) {
    out.put_i64_le(time.millis());
    let response = if record.direction == Direction::Response { FLAG_RESPONSE } else { 0 };
    out.put_u8(response | if record.metadata_only { FLAG_METADATA_ONLY } else { 0 });
    out.put_bytes(0, 3);
    out.put_u32_le(record.attachments.len() as u32);
    out.put_u64_le(document_offset);
    format::put_text(out, &record.query_id);
    format::put_text(out, record.client.instance());
    format::put_text(out, record.client.member_class());
    format::put_text(out, record.client.member_code());
    format::put_optional_text(out, record.client.subsystem_code());
    format::put_optional_text(out, record.x_request_id.as_deref());
    format::put_blob(out, &record.message);
    format::put_optional_blob(out, record.signature.hash_chain.as_deref());
    for attachment in &record.attachments {
        out.put_u32_le(attachment.len() as u32);
    }
}

/// Upper bound of the bytes that `put_message_head` appends.
pub(super) fn message_head_len_max(record: &Record) -> usize {
    let chain = record.signature.hash_chain.as_ref().map_or(0, Bytes::len);
    4096 + record.query_id.len() + record.message.len() + chain + 4 * record.attachments.len()
}

/// Bytes of all attachments.
pub(super) fn attachments_len(record: &Record) -> u64 {
    record.attachments.iter().map(Body::len).sum()
}

/// A signature document.
pub(super) fn put_document(out: &mut BytesMut, signature: &SignatureData) {
    format::put_blob(out, &signature.signature);
    format::put_optional_blob(out, signature.hash_chain_result.as_deref());
}

/// Signature XML and hash chain result of a signature document.
pub(super) fn document(payload: &Bytes) -> Option<(Bytes, Option<Bytes>)> {
    let mut fields = Fields(payload);
    let signature = payload.slice_ref(fields.blob()?);
    let result = fields.optional_blob()?.map(|bytes| payload.slice_ref(bytes));
    Some((signature, result))
}

/// A time-stamp record.
pub(super) fn put_timestamp(out: &mut BytesMut, stamp: &TimestampRecord, time: UnixTime) {
    out.put_i64_le(time.millis());
    format::put_blob(out, &stamp.token);
    format::put_optional_blob(out, stamp.hash_chain_result.as_deref());
    out.put_u32_le(stamp.records.len() as u32);
    for (id, chain) in &stamp.records {
        out.put_u64_le(*id);
        format::put_optional_blob(out, chain.as_deref());
    }
}

/// Reads a time-stamp record back.
pub(super) fn timestamp(payload: &Bytes) -> Option<(UnixTime, TimestampRecord)> {
    let mut fields = Fields(payload);
    let time = UnixTime::from_millis(fields.i64()?);
    let token = payload.slice_ref(fields.blob()?);
    let hash_chain_result = fields.optional_blob()?.map(|bytes| payload.slice_ref(bytes));
    let count = fields.u32()?;
    let mut records = Vec::new();
    for _ in 0..count {
        let id = fields.u64()?;
        records.push((id, fields.optional_blob()?.map(|bytes| payload.slice_ref(bytes))));
    }
    Some((time, TimestampRecord { token, hash_chain_result, records }))
}

/// The leading fields of a message record, up to and without the message.
#[derive(Debug)]
pub(super) struct MessageHead {
    pub summary: RecordSummary,
    pub document_offset: u64,
    pub attachments: u32,
}

/// Reads the leading fields; what remains in `fields` starts with the message.
pub(super) fn message_head(fields: &mut Fields<'_>, id: u64) -> Option<MessageHead> {
    let time = UnixTime::from_millis(fields.i64()?);
    let flags = fields.u8()?;
    fields.take(3)?;
    let attachments = fields.u32()?;
    let document_offset = fields.u64()?;
    let query_id = fields.text()?.to_owned();
    let (instance, member_class, member_code) = (fields.text()?, fields.text()?, fields.text()?);
    let client = ClientId::new(instance, member_class, member_code, fields.optional_text()?).ok()?;
    let x_request_id = fields.optional_text()?.map(str::to_owned);
    let direction = if flags & FLAG_RESPONSE == 0 { Direction::Request } else { Direction::Response };
    let metadata_only = flags & FLAG_METADATA_ONLY != 0;
    let summary =
        RecordSummary { id, time, query_id, direction, client, x_request_id, metadata_only, stamped: false };
    Some(MessageHead { summary, document_offset, attachments })
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
    let hash_chain = fields.optional_blob()?.map(|bytes| payload.slice_ref(bytes));
    let mut lengths = Fields(fields.take((head.attachments as usize).checked_mul(4)?)?);
    let mut attachments = Vec::new();
    while let Some(len) = lengths.u32() {
        attachments.push(payload.slice_ref(fields.take(len as usize)?));
    }
    Some(MessagePayload { head, message, hash_chain, attachments })
}
