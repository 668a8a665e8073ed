//! The one writer of a log: takes all waiting records, writes them, makes them durable with one
//! `fdatasync`, and only then answers.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::catalog::Catalog;
use super::counters::Counters;
use super::format::{FrameKind, SegmentHeader};
use super::open_segment::{OpenSegment, new_tag};
use super::payload::EncodedMessage;
use super::record::{DurableRecord, TimestampRecord};
use super::recovery::Tail;
use super::sealed::Row;
use super::storage::Storage;
use crate::limits::{LOG_COMMIT_BYTES_MAX, LOG_COMMIT_RECORDS_MAX};
use crate::time::{SharedClock, UnixTime};

/// Records in the last commit from which on the log counts as busy, and for how long after it.
const BUSY_RECORDS_MIN: usize = 8;
const BUSY_LATELY: Duration = Duration::from_millis(20);
/// How long a busy log waits for the rest of a batch before it makes its first record durable: three times as long as the last
/// time took, so that a slow disk, or one that waits for a processor, is asked less often.
const LINGER_SYNCS: u32 = 3;
const LINGER_MIN: Duration = Duration::from_micros(500);
const LINGER_MAX: Duration = Duration::from_millis(7);

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
pub(super) enum Learned {
    Message { row: Row, hash: u64 },
    Timestamp { records: Vec<u64>, offset: u64 },
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
    /// How long the last records took to become durable.
    sync_took: Duration,
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
        let (segment, must_mark, sync_took) = (None, false, Duration::ZERO);
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
            sync_took,
        }
    }

    /// Goes on with the newest segment of an earlier run.
    pub fn resume(&mut self, tail: Tail) -> io::Result<()> {
        let file = self.storage.open_at(&tail.path, tail.good_len)?;
        self.segment = Some(OpenSegment::resumed(file, &tail));
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
                std::thread::sleep((LINGER_SYNCS * self.sync_took).clamp(LINGER_MIN, LINGER_MAX));
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
        let written = segment.write_batch(batch, first_id, now);
        let sync_took = &mut self.sync_took;
        let result = written.and_then(|(learned, len)| {
            let began = Instant::now();
            segment.file.sync().map_err(|error| (error, true))?;
            *sync_took = began.elapsed();
            counters.synced(len - segment.durable_len, *sync_took);
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
            match segment.append_frame(FrameKind::Mark, next_id, &[]) {
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
            let header = SegmentHeader {
                number: self.next_number,
                first_record_id: self.next_id,
                created_ms: now.millis(),
                tag: new_tag()?,
                server: self.server.clone(),
            };
            self.segment = Some(OpenSegment::create(self.storage.as_ref(), &self.directory, &header)?);
            self.next_number += 1;
            // The header of the new segment notes the next id.
            self.must_mark = false;
        }
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        let next_id = self.next_id;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let counts: Vec<u8> = segment.counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        match segment.append_frame(FrameKind::Seal, next_id, &counts) {
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
