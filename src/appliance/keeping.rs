//! What becomes of the log beside messages: archives, their store, its copy in a database, and its end.

use std::sync::Arc;

use super::StartError;
use super::archive_metrics::Archiving;
use crate::config::Config;
use crate::control::archive::{ArchiveStore, Archiver, ArchiverTask, Retention};
use crate::control::follower::Follower;
use crate::crypto::RecordKeys;
use crate::log::{LogHandle, LogReader};
use crate::time::SharedClock;

/// All of it, not started yet.
pub(super) struct Keeping {
    archiver: Archiver,
    store: Option<ArchiveStore>,
    follower: Option<Follower>,
}

impl Keeping {
    /// As the configuration says.
    pub fn new(config: &Config, log: &LogReader, keys: Option<&RecordKeys>) -> Result<Self, StartError> {
        let server = config.server_id.to_string();
        Ok(Self {
            archiver: Archiver::new(log.clone(), &config.log)?,
            store: ArchiveStore::new(&config.archive_store, &config.log.archive_dir)?,
            follower: Follower::new(log.clone(), server, &config.follow_postgresql, keys)?,
        })
    }

    /// Where it tells how it goes.
    pub fn figures(&self) -> Archiving {
        Archiving {
            archiver: self.archiver.status(),
            store: self.store.as_ref().map(ArchiveStore::status),
            follower: self.follower.as_ref().map(Follower::status),
        }
    }

    /// Starts the tasks, and the archiver's thread, which also removes what is old.
    pub fn start(
        self,
        control: &tokio::runtime::Runtime,
        config: &Config,
        log: &LogHandle,
        clock: SharedClock,
    ) -> Result<ArchiverTask, StartError> {
        let followed = self.follower.as_ref().map(Follower::status);
        if let Some(store) = self.store {
            control.spawn(store.run(Arc::clone(&clock)));
        }
        if let Some(follower) = self.follower {
            control.spawn(follower.run());
        }
        let retention = Retention::new(&config.log);
        let interval_secs = config.log.archive_interval_secs;
        Ok(ArchiverTask::start(self.archiver, retention, log.clone(), followed, interval_secs, clock)?)
    }
}
