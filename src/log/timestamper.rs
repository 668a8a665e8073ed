//! Keeps the log time-stamped: takes waiting records, has them stamped, logs the stamp (`signature.md` 5.3).
//!
//! The queue of waiting records is the log itself, so it survives a restart.

use std::collections::VecDeque;
use std::future::Future;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::LogError;
use super::handle::LogHandle;
use super::record::{Covered, TimestampRecord};
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::timestamp::{self, TimestampBatch};
use crate::limits::TIMESTAMP_RECORDS_MAX;
use crate::message::{ErrorCode, XRoadError};

/// Asks time-stamping authorities.
pub trait TimestampClient: Send + Sync {
    /// A token over this imprint, verified against the global configuration: DER, with the authority's
    /// certificate in it. Authorities are tried in order; `timestamping_failed` when none answers well.
    fn stamp(&self, imprint: &Digest) -> impl Future<Output = Result<Bytes, XRoadError>> + Send;
}

/// What a run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StampOutcome {
    /// Message records time-stamped.
    pub stamped: usize,
    /// Message records that still wait.
    pub waiting: usize,
}

/// Stamps the records of one log. Runs exclude each other.
pub struct Timestamper {
    log: LogHandle,
    algorithm: DigestAlgorithm,
    records_max: usize,
    /// After a failure runs take one record, until one succeeds (trap 30 of `signature.md`).
    retrying: Mutex<bool>,
}

impl Timestamper {
    /// For a log, with the digest of leaves, tree and imprint (`hash-algo-id`) and the most records under one
    /// time-stamp (`timestamp-records-limit`).
    pub fn new(log: LogHandle, algorithm: DigestAlgorithm, records_max: usize) -> Self {
        let records_max = records_max.clamp(1, TIMESTAMP_RECORDS_MAX);
        Self { log, algorithm, records_max, retrying: Mutex::new(false) }
    }

    /// One run: the oldest waiting records under one time-stamp. After a failed run only one record is tried.
    pub async fn run_once<C: TimestampClient>(&self, client: &C) -> Result<StampOutcome, XRoadError> {
        let mut retrying = self.retrying.lock().await;
        let limit = if *retrying { 1 } else { self.records_max };
        let waiting = self.waiting(limit);
        let count = waiting.leaves.len();
        let result = match count {
            0 => Ok(()),
            _ => self.stamp(client, waiting).await,
        };
        let waiting = self.log.reader().unstamped_count();
        match result {
            Ok(()) => {
                *retrying = false;
                self.log.timestamp_status().succeeded();
                Ok(StampOutcome { stamped: count, waiting })
            }
            Err(error) => {
                *retrying = true;
                let now = self.log.clock().now();
                self.log.timestamp_status().failed(now);
                match self.log.timestamp_status().refusal_in_secs(now) {
                    Some(0) => tracing::error!(
                        code = error.code(),
                        text = error.text(),
                        waiting,
                        "time-stamping has failed for too long: messages are refused"
                    ),
                    Some(left_secs) => tracing::error!(
                        code = error.code(),
                        text = error.text(),
                        waiting,
                        left_secs,
                        "time-stamping failed; messages will be refused when it goes on like this"
                    ),
                    None => {
                        tracing::error!(
                            code = error.code(),
                            text = error.text(),
                            waiting,
                            "time-stamping failed"
                        )
                    }
                }
                Err(error)
            }
        }
    }

    /// Runs until no record waits that waits now: what is logged meanwhile is the next call's. Returns how many were
    /// stamped.
    pub async fn run_until_none_waits<C: TimestampClient>(&self, client: &C) -> Result<usize, XRoadError> {
        let (now, mut stamped) = (self.log.reader().unstamped_count(), 0);
        loop {
            let outcome = self.run_once(client).await?;
            stamped += outcome.stamped;
            if outcome.waiting == 0 || outcome.stamped == 0 || stamped >= now {
                return Ok(stamped);
            }
        }
    }

    /// Stamps one record alone and at once, unless it has a time-stamp.
    pub async fn stamp_now<C: TimestampClient>(&self, client: &C, id: u64) -> Result<(), XRoadError> {
        let _guard = self.retrying.lock().await;
        let record = self.log.reader().read(id)?;
        if record.stamp.is_some() {
            return Ok(());
        }
        let mut waiting = Waiting::default();
        waiting.add(id, record.signature.signature, self.algorithm);
        self.stamp(client, waiting).await
    }

    /// Waiting records; one that cannot be read is reported, left without time-stamp, and not tried again.
    fn waiting(&self, limit: usize) -> Waiting {
        let reader = self.log.reader();
        let mut waiting = Waiting::default();
        for (id, document) in reader.documents_each(reader.unstamped(limit)) {
            match document {
                Ok(document) => waiting.add(id, document, self.algorithm),
                Err(LogError::Io(error)) => {
                    tracing::error!(%error, id, "a record cannot be read to be time-stamped");
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, id, "a record will have no time-stamp");
                    reader.give_up_stamping(id);
                }
            }
        }
        waiting
    }

    async fn stamp<C: TimestampClient>(&self, client: &C, waiting: Waiting) -> Result<(), XRoadError> {
        let failed = |text: String| XRoadError::new(ErrorCode::TimestampingFailed, text);
        let stamp = match (waiting.leaves.as_slice(), waiting.documents.front()) {
            ([(id, _)], Some((document, _))) => {
                let imprint = timestamp::single_imprint(document, self.algorithm);
                let imprint = imprint.map_err(|error| failed(error.to_string()))?;
                let token = client.stamp(&imprint).await?;
                TimestampRecord { token, covered: Covered::Single(*id) }
            }
            _ => {
                let (digests, _) = Covered::tree(&waiting.leaves);
                let batch = TimestampBatch::new(&digests).map_err(|error| failed(error.to_string()))?;
                let token = client.stamp(&batch.imprint(self.algorithm)).await?;
                let covered = Covered::Batch { root: *batch.root(), leaves: waiting.leaves };
                TimestampRecord { token, covered }
            }
        };
        self.log.append_timestamp(stamp).await.map(drop)
    }
}

/// Signature documents in turn among records in a row: those of requests and those of responses.
const DOCUMENTS_IN_TURN_MAX: usize = 16;

/// Records to be stamped: the digest of each one's signature document. Thousands of them fit into a megabyte.
#[derive(Default)]
struct Waiting {
    leaves: Vec<(u64, Digest)>,
    /// The documents that were seen last, and their digests: the next record's is mostly one of them.
    documents: VecDeque<(Bytes, Digest)>,
}

impl Waiting {
    fn add(&mut self, id: u64, document: Bytes, algorithm: DigestAlgorithm) {
        // Records of a batch mostly share the document's memory; what is elsewhere is compared to its last byte.
        let is_it = |known: &Bytes| known.as_ptr() == document.as_ptr() && known.len() == document.len();
        let known = self.documents.iter().find(|(known, _)| is_it(known));
        let known = known.or_else(|| self.documents.iter().find(|(known, _)| *known == document));
        let digest = known.map(|(_, digest)| *digest).unwrap_or_else(|| {
            let digest = algorithm.digest(&document);
            self.documents.truncate(DOCUMENTS_IN_TURN_MAX - 1);
            self.documents.push_front((document, digest));
            digest
        });
        self.leaves.push((id, digest));
    }
}
