//! Opening a log and appending to it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use crossbeam::channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::ahead::require_of;
use super::counters::{Counters, LogStatistics};
use super::reader::LogReader;
use super::record::{Body, DurableRecord, Record, TimestampRecord};
use super::recovery::Access;
use super::status::TimestampStatus;
use super::storage::{Disk, Storage};
use super::writer::{Command, Entry, Job, Writer};
use super::{LogError, begins_behind, lock, payload, recovery, retention, sealer, sealing};
use crate::crypto::RecordKeys;
use crate::host::give_way;
use crate::limits::{ATTACHMENTS_MAX, LOG_COMMIT_RECORDS_MAX, LOG_QUEUE_RECORDS_MAX, LOG_RECORD_BYTES_MAX};
use crate::message::{ErrorCode, SecurityServerId, XRoadError};
use crate::time::SharedClock;

/// How a log is kept. The names of the protocol's parameters are in `signature.md` 7.5.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Where the segments are.
    pub directory: PathBuf,
    /// Whose log it is.
    pub server: SecurityServerId,
    /// A new segment is begun when the current one has reached this many bytes.
    pub segment_bytes_max: u64,
    /// Largest attachment that is stored (`max-loggable-message-body-size`); 0: none is stored.
    pub body_bytes_max: u64,
    /// Store the beginning of a larger one (`truncated-body-allowed`) instead of refusing the message.
    pub truncated_body_allowed: bool,
    /// How long time-stamping may fail before messages are refused
    /// (`acceptable-timestamp-failure-period`); 0: for ever.
    pub timestamp_failure_period_secs: u32,
    /// Keys of encrypted records; new ones are encrypted with the current one.
    pub keys: Option<Arc<RecordKeys>>,
}

impl LogConfig {
    /// The official defaults.
    pub fn new(directory: PathBuf, server: SecurityServerId) -> Self {
        Self {
            directory,
            server,
            segment_bytes_max: 256 * 1024 * 1024,
            body_bytes_max: 10_485_760,
            truncated_body_allowed: false,
            timestamp_failure_period_secs: 14_400,
            keys: None,
        }
    }
}

/// Appends to the log. Cheap to clone; all clones feed one writer thread.
#[derive(Clone)]
pub struct LogHandle(Arc<Shared>);

struct Shared {
    commands: Sender<Command>,
    reader: LogReader,
    counters: Arc<Counters>,
    status: Arc<TimestampStatus>,
    clock: SharedClock,
    config: LogConfig,
    /// The writer, and who makes indexes until the writer is gone.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LogHandle {
    /// Opens a log, or begins one: takes its lock, recovers what is there, starts the writer.
    pub fn open(config: LogConfig, clock: SharedClock) -> Result<Self, LogError> {
        Self::open_on(config, clock, Arc::new(Disk))
    }

    /// The same with the file operations given.
    pub fn open_on(
        config: LogConfig,
        clock: SharedClock,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, LogError> {
        std::fs::create_dir_all(&config.directory)?;
        let lock = lock::acquire(&config.directory)?;
        retention::remove_lone_indexes(&config.directory)?;
        let mut found = recovery::scan(&config.directory, Access::Write)?;
        let server = config.server.to_string();
        require_of(&server, found.server.take())?;
        for damage in found.catalog.damages() {
            tracing::error!(?damage, "the message log is damaged here; the rest of it is usable");
        }
        // The last commit before a crash may have used ids that no frame shows.
        let gap = if found.last_number.is_some() { LOG_COMMIT_RECORDS_MAX as u64 } else { 0 };
        let counters = Arc::new(Counters::default());
        let catalog = Arc::new(RwLock::new(found.catalog));
        let (full, to_seal) = crossbeam::channel::unbounded();
        let mut writer = Writer::new(
            config.directory.clone(),
            server,
            storage,
            Arc::clone(&clock),
            Arc::clone(&catalog),
            Arc::clone(&counters),
            config.segment_bytes_max,
            full,
            found.last_number.map_or(1, |number| number + 1),
            found.last_id.max(begins_behind(&config.directory)?) + 1 + gap,
        );
        if let Some(tail) = found.tail.filter(|tail| !tail.sealed) {
            resume(&mut writer, tail);
        }
        let (commands, receiver) = crossbeam::channel::bounded(LOG_QUEUE_RECORDS_MAX);
        let lock = Arc::new(lock);
        let held = Arc::clone(&lock);
        let (directory, known) = (config.directory.clone(), Arc::clone(&catalog));
        let seal = move || {
            give_way();
            sealer::run(directory, known, &to_seal);
            drop(held);
        };
        let sealer = std::thread::Builder::new().name("log-sealer".into()).spawn(seal)?;
        let work = move || {
            writer.run(&receiver);
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("message-log".into()).spawn(work)?;
        let status = Arc::new(TimestampStatus::new(config.timestamp_failure_period_secs));
        let reader = LogReader::new(&config.directory, catalog).with_keys(config.keys.clone());
        let threads = Mutex::new(vec![thread, sealer]);
        Ok(Self(Arc::new(Shared { commands, reader, counters, status, clock, config, threads })))
    }

    /// Appends a message. Answers when it is durable, or with the reason why it must not be released:
    /// `logging_failed` and, within it, `mlog.no_timestamping_provider_found`, `timestamping_failed` or
    /// `io_error`.
    pub async fn append(&self, record: Record) -> Result<DurableRecord, XRoadError> {
        let logging_failed = |error: XRoadError| error.within(ErrorCode::LoggingFailed);
        self.0.status.check(self.0.clock.now()).map_err(logging_failed)?;
        let mut record = self.within_limits(record)?;
        let sealing = match &self.0.config.keys {
            Some(keys) => sealing::seal(&mut record, keys).map_err(|error| {
                XRoadError::new(ErrorCode::InternalError, error).within(ErrorCode::LoggingFailed)
            })?,
            None => None,
        };
        self.submit(Entry::Message(Box::new(payload::EncodedMessage::new(record, sealing)))).await
    }

    /// Appends messages that all wait at the same time, as those of one batch do.
    #[cfg(test)]
    pub(crate) async fn append_all(&self, records: impl IntoIterator<Item = Record>) {
        let appends: Vec<_> = records.into_iter().map(|record| Box::pin(self.append(record))).collect();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut waiting = Vec::new();
        for mut append in appends {
            match append.as_mut().poll(&mut context) {
                std::task::Poll::Ready(durable) => drop(durable.unwrap()),
                std::task::Poll::Pending => waiting.push(append),
            }
        }
        for append in waiting {
            append.await.unwrap();
        }
    }

    /// What stands for a record where the configuration wants none; its id is 0, as of no record.
    pub fn without_record(&self) -> DurableRecord {
        DurableRecord::new(0, self.0.clock.now())
    }

    /// Appends a time-stamp over records.
    pub(super) async fn append_timestamp(&self, stamp: TimestampRecord) -> Result<DurableRecord, XRoadError> {
        self.submit(Entry::Timestamp(stamp)).await
    }

    async fn submit(&self, entry: Entry) -> Result<DurableRecord, XRoadError> {
        let failed = |text: String| XRoadError::new(ErrorCode::LoggingFailed, text);
        let (reply, answer) = oneshot::channel();
        match self.0.commands.try_send(Command::Append(Job { entry, reply })) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(failed("the message log cannot keep up".into())),
            Err(TrySendError::Disconnected(_)) => return Err(failed("the message log is closed".into())),
        }
        match answer.await {
            Ok(Ok(durable)) => Ok(durable),
            Ok(Err(error)) => {
                Err(XRoadError::new(ErrorCode::IoError, describe(&error)).within(ErrorCode::LoggingFailed))
            }
            Err(_) => Err(failed("the message log is closed".into())),
        }
    }

    /// Applies the limits on stored attachments (`signature.md` 7.1).
    fn within_limits(&self, mut record: Record) -> Result<Record, XRoadError> {
        let failed = |text: String| Err(XRoadError::new(ErrorCode::LoggingFailed, text));
        let max = self.0.config.body_bytes_max;
        record.attachments.retain(|body| max > 0 && !body.is_empty());
        for body in &mut record.attachments {
            if body.len() <= max {
                continue;
            }
            if !self.0.config.truncated_body_allowed {
                return failed(format!("Message size exceeds maximum loggable size: {} > {max}", body.len()));
            }
            *body = match body {
                Body::Bytes(bytes) => Body::Bytes(bytes.slice(..bytes.len().min(max as usize))),
                Body::File(file, _) => Body::File(Arc::clone(file), max),
            };
        }
        let len = payload::message_head_len_max(&record) as u64 + payload::attachments_len(&record);
        if len > LOG_RECORD_BYTES_MAX || record.attachments.len() > ATTACHMENTS_MAX {
            return failed(format!("a message of {len} bytes is too large to be logged"));
        }
        Ok(record)
    }

    /// Reads this log.
    pub fn reader(&self) -> &LogReader {
        &self.0.reader
    }

    /// Records that wait for the writer.
    pub fn waiting(&self) -> usize {
        self.0.commands.len()
    }

    /// When the oldest message record without a time-stamp was logged; `None` when all have one.
    pub fn oldest_unstamped(&self) -> Option<crate::time::UnixTime> {
        let id = self.0.reader.unstamped(1).first().copied()?;
        self.0.reader.summary(id).ok().map(|summary| summary.time)
    }

    /// Whether time-stamping allows further records.
    pub fn timestamp_status(&self) -> &Arc<TimestampStatus> {
        &self.0.status
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Records that wait for the writer.
    pub fn queued(&self) -> usize {
        self.0.commands.len()
    }

    /// Figures since start.
    pub fn statistics(&self) -> LogStatistics {
        self.0.counters.read()
    }

    /// Writes what was appended before, stops the writer and gives the lock back. Blocks until then.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if !threads.is_empty() {
            let _ = self.0.commands.send(Command::Close);
        }
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Goes on with the newest segment; when that is not possible the first record begins a new one.
fn resume(writer: &mut Writer, tail: recovery::Tail) {
    if tail.file_len > tail.good_len {
        let torn = tail.file_len - tail.good_len;
        match recovery::save_torn_tail(&tail) {
            Ok(saved) => {
                tracing::warn!(bytes = torn, saved = %saved.display(), "cut a torn tail off the message log");
            }
            Err(error) => {
                tracing::error!(%error, bytes = torn, "a torn tail of the message log cannot be saved; it stays");
                return;
            }
        }
    }
    if let Err(error) = writer.resume(tail) {
        tracing::error!(%error, "the newest segment of the message log cannot be written; a new one follows");
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the message log's disk is full".into(),
        _ => format!("the message log cannot be written: {error}"),
    }
}
