//! Keeps the log time-stamped: takes waiting records, has them stamped, logs the stamp (`signature.md` 5.3).
//!
//! The queue of waiting records is the log itself, so it survives a restart.

use std::future::Future;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::LogError;
use super::handle::LogHandle;
use super::record::{Covered, StoredRecord, TimestampRecord};
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
        let records = self.readable(limit);
        let count = records.len();
        let result = match count {
            0 => Ok(()),
            _ => self.stamp(client, &records).await,
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
                self.log.timestamp_status().failed(self.log.clock().now());
                tracing::error!(code = error.code(), text = error.text(), waiting, "time-stamping failed");
                Err(error)
            }
        }
    }

    /// Runs until no record waits. Returns how many were stamped.
    pub async fn run_until_none_waits<C: TimestampClient>(&self, client: &C) -> Result<usize, XRoadError> {
        let mut stamped = 0;
        loop {
            let outcome = self.run_once(client).await?;
            stamped += outcome.stamped;
            if outcome.waiting == 0 || outcome.stamped == 0 {
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
        self.stamp(client, std::slice::from_ref(&record)).await
    }

    /// Waiting records; one that cannot be read is reported, left without time-stamp, and not tried again.
    fn readable(&self, limit: usize) -> Vec<StoredRecord> {
        let reader = self.log.reader();
        let mut records = Vec::new();
        for id in reader.unstamped(limit) {
            match reader.read(id) {
                Ok(record) => records.push(record),
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
        records
    }

    async fn stamp<C: TimestampClient>(
        &self,
        client: &C,
        records: &[StoredRecord],
    ) -> Result<(), XRoadError> {
        let failed = |text: String| XRoadError::new(ErrorCode::TimestampingFailed, text);
        let stamp = match records {
            [record] => {
                let imprint = timestamp::single_imprint(&record.signature.signature, self.algorithm);
                let imprint = imprint.map_err(|error| failed(error.to_string()))?;
                let token = client.stamp(&imprint).await?;
                TimestampRecord { token, covered: Covered::Single(record.summary.id) }
            }
            _ => {
                let leaf = |record: &StoredRecord| {
                    (record.summary.id, self.algorithm.digest(&record.signature.signature))
                };
                let leaves: Vec<(u64, Digest)> = records.iter().map(leaf).collect();
                let digests: Vec<Digest> = leaves.iter().map(|(_, digest)| *digest).collect();
                let batch = TimestampBatch::new(&digests).map_err(|error| failed(error.to_string()))?;
                let token = client.stamp(&batch.imprint(self.algorithm)).await?;
                TimestampRecord { token, covered: Covered::Batch { root: *batch.root(), leaves } }
            }
        };
        self.log.append_timestamp(stamp).await.map(drop)
    }
}
