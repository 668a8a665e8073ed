//! The one writer of a log: takes all waiting records, writes them, makes them durable with one
//! `fdatasync`, and only then answers.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crossbeam::channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::catalog::Catalog;
use super::counters::Counters;
use super::documents::Documents;
use super::format::{FrameKind, SegmentHeader};
use super::payload::EncodedMessage;
use super::record::{Body, Direction, DurableRecord, TimestampRecord};
use super::recovery::Tail;
use super::sealed::{self, Row, UNKNOWN};
use super::sink::Sink;
use super::storage::{AppendFile, Storage};
use super::{payload, segment};
use crate::evidence::SignatureData;
use crate::limits::{LOG_COMMIT_BYTES_MAX, LOG_COMMIT_RECORDS_MAX};
use crate::time::{SharedClock, UnixTime};

/// Records in the last commit from which on the log counts as busy, and for how long after it.
const BUSY_RECORDS_MIN: usize = 8;
const BUSY_LATELY: Duration = Duration::from_millis(20);
/// How long a busy log waits for the rest of a batch before it makes its first record durable.
const LINGER: Duration = Duration::from_micros(1500);

/// What the writer is asked to append.
pub(super) enum Entry {
    Message(Box<EncodedMessage>),
    Timestamp(TimestampRecord),
}

/// One waiting caller.
pub(super) struct Job {
    pub entry: Entry,
    pub reply: oneshot::Sender<Result<DurableRecord, Arc<io::Error>>>,
}

impl Job {
    fn bytes(&self) -> u64 {
        match &self.entry {
            Entry::Message(record) => record.len(),
            Entry::Timestamp(stamp) => {
                (stamp.token.len() + stamp.covered.records().count() * TIMESTAMP_LEAF_BYTES_MAX) as u64
            }
        }
    }
}

/// A digest, a record id and a number.
const TIMESTAMP_LEAF_BYTES_MAX: usize = 80;

/// What the writer's channel carries.
pub(super) enum Command {
    Append(Job),
    /// Write what came before, then stop.
    Close,
}

/// What the catalog learns once a commit is durable.
enum Learned {
    Message { row: Row, hash: u64 },
    Timestamp { records: Vec<u64>, offset: u64 },
}

struct OpenSegment {
    file: Box<dyn AppendFile>,
    number: u32,
    tag: u64,
    /// Everything before this is durable.
    durable_len: u64,
    documents: Documents,
    /// Frames, message records, time-stamp records.
    counts: [u64; 3],
}

pub(super) struct Writer {
    pub directory: PathBuf,
    pub server: String,
    pub storage: Arc<dyn Storage>,
    pub clock: SharedClock,
    pub catalog: Arc<RwLock<Catalog>>,
    pub counters: Arc<Counters>,
    pub segment_bytes_max: u64,
    /// Takes the numbers of segments that are complete.
    full: Sender<u32>,
    segment: Option<OpenSegment>,
    next_number: u32,
    next_id: u64,
    /// A failure has used up ids that no frame shows.
    must_mark: bool,
}

impl Writer {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        directory: PathBuf,
        server: String,
        storage: Arc<dyn Storage>,
        clock: SharedClock,
        catalog: Arc<RwLock<Catalog>>,
        counters: Arc<Counters>,
        segment_bytes_max: u64,
        full: Sender<u32>,
        next_number: u32,
        next_id: u64,
    ) -> Self {
        let (segment, must_mark) = (None, false);
        Self {
            directory,
            server,
            storage,
            clock,
            catalog,
            counters,
            segment_bytes_max,
            full,
            segment,
            next_number,
            next_id,
            must_mark,
        }
    }

    /// Goes on with the newest segment of an earlier run.
    pub fn resume(&mut self, tail: Tail) -> io::Result<()> {
        let file = self.storage.open_at(&tail.path, tail.good_len)?;
        self.segment = Some(OpenSegment {
            file,
            number: tail.number,
            tag: tail.tag,
            durable_len: tail.good_len,
            documents: Documents::default(),
            counts: tail.counts,
        });
        Ok(())
    }

    /// Works until it is told to close or every sender is gone.
    pub fn run(mut self, commands: &Receiver<Command>) {
        let mut last = None;
        while let Ok(Command::Append(first)) = commands.recv() {
            // What one signature released arrives together; its first record must not be made durable alone.
            if last.is_some_and(|(at, records): (Instant, usize)| {
                records >= BUSY_RECORDS_MIN && at.elapsed() < BUSY_LATELY
            }) {
                std::thread::sleep(LINGER);
            }
            let mut bytes = first.bytes();
            let mut batch = vec![first];
            let mut close = false;
            while batch.len() < LOG_COMMIT_RECORDS_MAX && bytes < LOG_COMMIT_BYTES_MAX {
                match commands.try_recv() {
                    Ok(Command::Append(job)) => {
                        bytes += job.bytes();
                        batch.push(job);
                    }
                    Ok(Command::Close) => {
                        close = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            let records = batch.len();
            self.commit(batch);
            last = Some((Instant::now(), records));
            if close {
                break;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        let now = self.clock.now();
        match self.write(&batch, now) {
            Ok((first_id, segment, learned)) => {
                self.counters.committed(&batch);
                publish(&self.catalog, segment, learned);
                for (id, job) in (first_id..).zip(batch) {
                    // A caller that has gone away leaves a record that nobody waits for.
                    let _ = job.reply.send(Ok(DurableRecord::new(id, now)));
                }
            }
            Err(error) => {
                self.counters.failed(&batch);
                tracing::error!(%error, records = batch.len(), "the message log cannot be written");
                let error = Arc::new(error);
                for job in batch {
                    let _ = job.reply.send(Err(Arc::clone(&error)));
                }
            }
        }
    }

    fn write(&mut self, batch: &[Job], now: UnixTime) -> io::Result<(u64, (u32, u64), Vec<Learned>)> {
        self.ready_segment(now)?;
        let first_id = self.next_id;
        let segment = self.segment.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let counters = &self.counters;
        // From here on the ids may have been on disk: they are never used again, whatever happens.
        self.next_id = first_id + batch.len() as u64;
        let written = write_batch(segment, batch, first_id, now);
        let result = written.and_then(|(learned, len)| {
            let began = Instant::now();
            segment.file.sync().map_err(|error| (error, true))?;
            counters.synced(len - segment.durable_len, began.elapsed());
            segment.durable_len = len;
            Ok((first_id, (segment.number, segment.tag), learned))
        });
        result.map_err(|(error, sync_failed)| {
            self.take_back(sync_failed);
            error
        })
    }

    /// After a failure: the file ends again where it was durable, or is never written again.
    fn take_back(&mut self, sync_failed: bool) {
        self.must_mark = true;
        let Some(mut segment) = self.segment.take() else { return };
        let cut = segment.file.truncate(segment.durable_len);
        segment.documents.forget_from(segment.durable_len);
        // What a failed sync leaves in the page cache cannot be trusted to reach the disk later.
        if cut.is_ok() && !sync_failed {
            self.segment = Some(segment);
        }
    }

    /// A segment with room, and after a failure a durable note of the ids used up.
    fn ready_segment(&mut self, now: UnixTime) -> io::Result<()> {
        if self.must_mark
            && let Some(segment) = &mut self.segment
        {
            let next_id = self.next_id;
            match append_frame(segment, FrameKind::Mark, next_id, &[]) {
                Ok(()) => self.must_mark = false,
                Err((error, sync_failed)) => {
                    self.take_back(sync_failed);
                    return Err(error);
                }
            }
        }
        if self.segment.as_ref().is_some_and(|segment| segment.durable_len >= self.segment_bytes_max) {
            self.seal()?;
        }
        if self.segment.is_none() {
            self.segment = Some(self.create_segment(now)?);
            // The header of the new segment notes the next id.
            self.must_mark = false;
        }
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        let next_id = self.next_id;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let counts: Vec<u8> = segment.counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        match append_frame(segment, FrameKind::Seal, next_id, &counts) {
            Ok(()) => {
                if let Some(segment) = self.segment.take() {
                    // Whoever makes indexes has gone only when the log is being closed.
                    let _ = self.full.send(segment.number);
                }
                Ok(())
            }
            Err((error, sync_failed)) => {
                self.take_back(sync_failed);
                Err(error)
            }
        }
    }

    fn create_segment(&mut self, now: UnixTime) -> io::Result<OpenSegment> {
        let mut tag = [0; 8];
        aws_lc_rs::rand::fill(&mut tag).map_err(|_| io::Error::other("no randomness"))?;
        let header = SegmentHeader {
            number: self.next_number,
            first_record_id: self.next_id,
            created_ms: now.millis(),
            tag: u64::from_le_bytes(tag),
            server: self.server.clone(),
        };
        let path = self.directory.join(segment::file_name(header.number));
        let mut file = self.storage.create(&path)?;
        let encoded = Bytes::from(header.encode());
        let len = encoded.len() as u64;
        let written = write_all(file.as_mut(), &encoded)
            .and_then(|()| file.sync())
            .and_then(|()| self.storage.sync_directory(&self.directory));
        if let Err(error) = written {
            drop(file);
            // A segment without a header would only puzzle the next start.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        self.next_number += 1;
        Ok(OpenSegment {
            file,
            number: header.number,
            tag: header.tag,
            durable_len: len,
            documents: Documents::default(),
            counts: [0; 3],
        })
    }
}

/// An error, and whether it came from making durable.
type WriteError = (io::Error, bool);

fn write_failed(error: io::Error) -> WriteError {
    (error, false)
}

fn write_all(file: &mut dyn AppendFile, bytes: &Bytes) -> io::Result<()> {
    let mut sink = Sink::new(file, 0, 0);
    sink.put_raw(bytes)?;
    sink.flush()
}

fn append_frame(
    segment: &mut OpenSegment,
    kind: FrameKind,
    id: u64,
    payload: &[u8],
) -> Result<(), WriteError> {
    let mut sink = Sink::new(segment.file.as_mut(), segment.durable_len, segment.tag);
    sink.frame(kind, id, payload).and_then(|()| sink.flush()).map_err(write_failed)?;
    let len = sink.offset();
    segment.file.sync().map_err(|error| (error, true))?;
    segment.durable_len = len;
    segment.counts[0] += 1;
    Ok(())
}

fn write_batch(
    segment: &mut OpenSegment,
    batch: &[Job],
    first_id: u64,
    now: UnixTime,
) -> Result<(Vec<Learned>, u64), WriteError> {
    let OpenSegment { file, tag, durable_len, documents, counts, .. } = segment;
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
            let (signature, hash_chain_result, hash_chain) = (model.signature.clone(), None, None);
            payload::put_document(scratch, &SignatureData { signature, hash_chain_result, hash_chain });
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

fn publish(catalog: &RwLock<Catalog>, (number, tag): (u32, u64), learned: Vec<Learned>) {
    let mut catalog = catalog.write().unwrap_or_else(PoisonError::into_inner);
    for learned in learned {
        match learned {
            Learned::Message { row, hash } => {
                catalog.live(number, tag).add_message(row, hash);
                catalog.wait(row.id);
            }
            Learned::Timestamp { records, offset } => {
                catalog.live(number, tag).add_timestamp(&records, offset);
                for run in records.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
                    if let [first, .., last] | [first @ last] = run {
                        catalog.done(*first, *last);
                    }
                }
            }
        }
    }
}
