//! The segment that is written on: its frames, and what of its signature documents can be said again.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};

use super::documents::Documents;
use super::format::{FrameKind, SegmentHeader};
use super::payload::EncodedMessage;
use super::record::{Body, Direction};
use super::recovery::Tail;
use super::sealed::{self, Row, UNKNOWN};
use super::sink::Sink;
use super::storage::{AppendFile, Storage};
use super::writer::{Entry, Job, Learned};
use super::{payload, segment};
use crate::evidence::SignatureData;
use crate::time::UnixTime;

/// The segment that is written on.
pub(super) struct OpenSegment {
    pub file: Box<dyn AppendFile>,
    pub number: u32,
    pub tag: u64,
    /// Everything before this is durable.
    pub durable_len: u64,
    pub documents: Documents,
    /// Frames, message records, time-stamp records.
    pub counts: [u64; 3],
}

impl OpenSegment {
    /// One of an earlier run.
    pub fn resumed(file: Box<dyn AppendFile>, tail: &Tail) -> Self {
        Self {
            file,
            number: tail.number,
            tag: tail.tag,
            durable_len: tail.good_len,
            documents: Documents::default(),
            counts: tail.counts,
        }
    }

    /// Makes one, durable with its name.
    pub fn create(storage: &dyn Storage, directory: &Path, header: &SegmentHeader) -> io::Result<Self> {
        let path = directory.join(segment::file_name(header.number));
        let mut file = storage.create(&path)?;
        let encoded = Bytes::from(header.encode());
        let len = encoded.len() as u64;
        let written = write_all(file.as_mut(), &encoded)
            .and_then(|()| file.sync())
            .and_then(|()| storage.sync_directory(directory));
        if let Err(error) = written {
            drop(file);
            // A segment without a header would only puzzle the next start.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            file,
            number: header.number,
            tag: header.tag,
            durable_len: len,
            documents: Documents::default(),
            counts: [0; 3],
        })
    }

    /// Writes one frame that is no record, and makes it durable.
    pub fn append_frame(&mut self, kind: FrameKind, id: u64, payload: &[u8]) -> Result<(), WriteError> {
        let mut sink = Sink::new(self.file.as_mut(), self.durable_len, self.tag);
        sink.frame(kind, id, payload).and_then(|()| sink.flush()).map_err(write_failed)?;
        let len = sink.offset();
        self.file.sync().map_err(|error| (error, true))?;
        self.durable_len = len;
        self.counts[0] += 1;
        Ok(())
    }

    /// Writes records, not durable yet: what the catalog learns of them, and where the file ends then.
    pub fn write_batch(
        &mut self,
        batch: &[Job],
        first_id: u64,
        now: UnixTime,
    ) -> Result<(Vec<Learned>, u64), WriteError> {
        let Self { file, tag, durable_len, documents, counts, .. } = self;
        let mut sink = Sink::new(file.as_mut(), *durable_len, *tag);
        let mut learned = Vec::with_capacity(batch.len());
        let mut scratch = BytesMut::new();
        let mut added = [0_u64; 3];
        for (id, job) in (first_id..).zip(batch) {
            scratch.clear();
            match &job.entry {
                Entry::Message(record) => {
                    let written = put_document(&mut sink, documents, &mut scratch, &record.signature);
                    let (document, frames) = written.map_err(write_failed)?;
                    added[0] += frames;
                    let offset = sink.offset();
                    write_message(&mut sink, record, id, now, document).map_err(write_failed)?;
                    let hash = sealed::hash(*tag, record.query_id());
                    learned.push(Learned::Message { row: row(record, id, offset, now), hash });
                    added[1] += 1;
                }
                Entry::Timestamp(stamp) => {
                    let offset = sink.offset();
                    payload::put_timestamp(&mut scratch, stamp, now);
                    sink.frame(FrameKind::TimestampRecord, id, &scratch).map_err(write_failed)?;
                    let records = stamp.covered.records().collect();
                    learned.push(Learned::Timestamp { records, offset });
                    added[2] += 1;
                }
            }
            added[0] += 1;
        }
        sink.flush().map_err(write_failed)?;
        let len = sink.offset();
        for (count, added) in counts.iter_mut().zip(added) {
            *count += added;
        }
        Ok((learned, len))
    }
}

/// An error, and whether it came from making durable.
pub(super) type WriteError = (io::Error, bool);

fn write_failed(error: io::Error) -> WriteError {
    (error, false)
}

fn write_all(file: &mut dyn AppendFile, bytes: &Bytes) -> io::Result<()> {
    let mut sink = Sink::new(file, 0, 0);
    sink.put_raw(bytes)?;
    sink.flush()
}

/// Stores a signature document unless the segment has it; where it is, and how many frames were written.
fn put_document(
    sink: &mut Sink<'_>,
    documents: &mut Documents,
    scratch: &mut BytesMut,
    signature: &SignatureData,
) -> io::Result<(u64, u64)> {
    if let Some(offset) = documents.offset_of(signature) {
        return Ok((offset, 0));
    }
    let Some((model, differing)) = documents.similar(signature) else {
        let offset = sink.offset();
        payload::put_document(scratch, signature);
        sink.frame(FrameKind::SignatureDocument, 0, scratch)?;
        documents.insert_whole(signature, offset);
        return Ok((offset, 1));
    };
    let mut frames = 1;
    let copy = match model.copy {
        Some(copy) => copy,
        None => {
            let copy = sink.offset();
            payload::put_document(scratch, &SignatureData::single(model.signature.clone()));
            sink.frame(FrameKind::SignatureDocument, 0, scratch)?;
            scratch.clear();
            frames += 1;
            copy
        }
    };
    model.copy = Some(copy);
    let (offset, like) = (sink.offset(), [model.offset, copy]);
    payload::put_similar_document(scratch, signature, like, &differing);
    sink.frame(FrameKind::SimilarDocument, 0, scratch)?;
    documents.insert(signature, offset);
    Ok((offset, frames))
}

fn write_message(
    sink: &mut Sink<'_>,
    record: &EncodedMessage,
    id: u64,
    now: UnixTime,
    document_offset: u64,
) -> io::Result<()> {
    let len = u32::try_from(record.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut frame = sink.start(FrameKind::MessageRecord, id, len);
    let (start, rest) = record.head(now, document_offset);
    frame.put_slice(&start);
    frame.put_slice(rest);
    for (part, attachment) in (1..).zip(&record.attachments) {
        match attachment {
            Body::Bytes(bytes) => frame.put(bytes)?,
            Body::File(file, len) => {
                frame.put_file(file, *len, record.cipher.as_deref().map(|cipher| (cipher, part)))?;
            }
        }
    }
    frame.end()
}

/// Parties are looked up in the frame until the segment has an index.
fn row(record: &EncodedMessage, id: u64, offset: u64, now: UnixTime) -> Row {
    let (client, consumer, service) = (UNKNOWN, UNKNOWN, UNKNOWN);
    let (is_response, metadata_only) = (record.direction == Direction::Response, record.metadata_only);
    Row { id, offset, time_ms: now.millis(), client, consumer, service, is_response, metadata_only }
}

/// A random tag, by which a segment's frames are told from bytes that look like some.
pub(super) fn new_tag() -> io::Result<u64> {
    let mut tag = [0; 8];
    aws_lc_rs::rand::fill(&mut tag).map_err(|_| io::Error::other("no randomness"))?;
    Ok(u64::from_le_bytes(tag))
}
