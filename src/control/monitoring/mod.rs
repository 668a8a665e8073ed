//! Operational monitoring (PR-OPMON): one record for each side of every exchange, taken from the message path through a
//! bounded queue, kept in a database of its own for a bounded time, and told to those who may ask.
//!
//! Records are never waited for: when the queue is full the oldest one is dropped and counted, and a database that
//! cannot be written costs records, not messages.

mod address;
mod completion;
mod environment;
mod health;
mod query;
mod record;
mod row;
mod store;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use tokio::sync::{Notify, Semaphore};

pub use environment::{Environment, Histogram, Metric};
pub use health::{Health, PeriodStatistics, ServiceHealth, Spread};
pub use query::{Criteria, Page, QueryError};
pub use record::{OperationalRecord, RestCall, Role, Sizes};
pub use row::FIELDS;
pub use store::{MonitoringStore, StoreError};

use self::completion::Completion;
use crate::config;
use crate::message::SecurityServerId;
use crate::registry::Registry;
use crate::time::{SharedClock, UnixTime};

use super::SharedTrust;

/// How often waiting records are stored.
const STORE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a database that failed is left alone.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Queries answered at the same time; each holds its records in memory.
const QUERIES_MAX: usize = 2;
/// Time between two looks for records that are too old or too many, in seconds.
const CLEAN_INTERVAL_SECS: i64 = 60;

/// The records of a running server.
pub struct Monitoring {
    settings: config::Monitoring,
    queue: Option<ArrayQueue<Box<OperationalRecord>>>,
    dropped: AtomicU64,
    stored: AtomicU64,
    health: Mutex<Health>,
    queries: Semaphore,
    stopping: AtomicBool,
    stop: Notify,
}

/// What a record is completed with when it is stored.
pub struct Surroundings {
    /// Who this server is.
    pub server: SecurityServerId,
    /// The version that it speaks as.
    pub version: String,
    /// Addresses of servers.
    pub trust: SharedTrust,
    /// Endpoints and types of services.
    pub registry: Arc<ArcSwap<Registry>>,
    /// The one clock.
    pub clock: SharedClock,
}

impl Monitoring {
    /// As configured; health figures count from `now`.
    pub fn new(settings: config::Monitoring, now: UnixTime) -> Self {
        let queue = settings.operational.then(|| ArrayQueue::new(settings.queue_records_max.max(1)));
        let health = Mutex::new(Health::new(now, settings.health_period_secs));
        Self {
            settings,
            queue,
            dropped: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            health,
            queries: Semaphore::new(QUERIES_MAX),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
        }
    }

    /// Are records kept at all?
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Takes a record; never waits. A full queue loses its oldest one.
    pub fn push(&self, record: Box<OperationalRecord>) {
        if let Some(queue) = &self.queue
            && queue.force_push(record).is_some()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records stored, and records lost because the queue was full or the database failed.
    pub fn figures(&self) -> (u64, u64) {
        (self.stored.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Stores records until [`Self::stop`], then those that still wait.
    pub async fn run(self: Arc<Self>, surroundings: Surroundings) {
        let Some(queue) = &self.queue else { return };
        let mut store: Option<MonitoringStore> = None;
        let mut address = address::InternalAddress::default();
        let mut cleaned_at = i64::MIN;
        loop {
            let stopping = self.stopping.load(Ordering::Acquire);
            if store.is_none() {
                store = self.open().await;
            }
            let now = surroundings.clock.now();
            let batch = take(queue);
            if !batch.is_empty() {
                let ip = address.at(now).to_string();
                let stored = self.store(store.as_mut(), &batch, &surroundings, &ip, now).await;
                if let Err(error) = stored {
                    tracing::warn!(%error, records = batch.len(), "monitoring records are lost");
                    store = None;
                }
            }
            if let Some(open) = &mut store
                && now.secs() >= cleaned_at.saturating_add(CLEAN_INTERVAL_SECS)
            {
                cleaned_at = now.secs();
                let oldest = now.secs() - i64::from(self.settings.keep_days) * 86_400;
                if let Err(error) = open.clean(oldest, self.settings.records_max).await {
                    tracing::warn!(%error, "old monitoring records cannot be deleted");
                }
            }
            if stopping {
                return;
            }
            let pause = if store.is_some() { STORE_INTERVAL } else { RETRY_INTERVAL };
            let _ = tokio::time::timeout(pause, self.stop.notified()).await;
        }
    }

    /// Lets [`Self::run`] end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    /// The records that `criteria` asks for, at `now`.
    pub async fn query(&self, criteria: &Criteria, now: UnixTime) -> Result<Page, QueryError> {
        let _one_of_few = self.queries.acquire().await.map_err(|_| QueryError::Stopped)?;
        query::answer(&self.settings, criteria, now).await
    }

    /// Reads the health figures.
    pub fn health<T>(&self, read: impl FnOnce(&mut Health) -> T) -> T {
        read(&mut self.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn open(&self) -> Option<MonitoringStore> {
        match MonitoringStore::open(&self.settings.database).await {
            Ok(store) => Some(store),
            Err(error) => {
                let file = self.settings.database.display();
                tracing::warn!(%error, %file, "the monitoring database cannot be opened");
                None
            }
        }
    }

    async fn store(
        &self,
        store: Option<&mut MonitoringStore>,
        batch: &[Box<OperationalRecord>],
        surroundings: &Surroundings,
        internal_ip: &str,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (trust, registry) = (surroundings.trust.load_full(), surroundings.registry.load_full());
        let completion = Completion {
            server: &surroundings.server,
            version: &surroundings.version,
            internal_ip,
            global_conf: &trust.global_conf,
            registry: &registry,
        };
        self.health(|health| {
            for record in batch {
                health.take(record, completion.service_type(record), now);
            }
        });
        let lost = |error| {
            self.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            error
        };
        let store = store.ok_or(StoreError::Closed).map_err(lost)?;
        let rows = completion.rows(batch.iter().map(|record| &**record), now.secs());
        store.insert(now.secs(), &rows).await.map_err(lost)?;
        self.stored.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[expect(clippy::vec_box, reason = "the records are boxed already")]
// What waits now; what comes meanwhile waits for the next time.
fn take(queue: &ArrayQueue<Box<OperationalRecord>>) -> Vec<Box<OperationalRecord>> {
    let waiting = queue.len();
    let mut batch = Vec::with_capacity(waiting);
    batch.extend(std::iter::from_fn(|| queue.pop()).take(waiting));
    batch
}
