//! Follows the global configuration: downloads what the anchor's sources publish, verifies it, keeps it on disk and
//! publishes it (`trust.md` 1.2 to 1.8). Without an anchor it follows what others write into the directory.

use std::sync::Arc;
use std::time::Duration;

use super::SharedTrust;
use super::configuration_download::{Download, failure};
use super::fetch::Fetch;
use super::globalconf_store::{Fingerprint, GlobalConfStore};
use super::random::{Randomness, shuffle};
use crate::config::GlobalConfiguration;
use crate::limits::GLOBAL_CONF_SOURCES_APART_SECS;
use crate::message::XRoadError;
use crate::time::{SharedClock, UnixTime};
use crate::trust::anchor::{Anchor, Location};
use crate::trust::directory::Directory;
use crate::trust::{GlobalConf, PartKind, TrustSnapshot};

/// The client of one local instance.
pub struct ConfigurationClient {
    settings: GlobalConfiguration,
    fetch: Arc<dyn Fetch>,
    trust: SharedTrust,
    clock: SharedClock,
    randomness: Arc<dyn Randomness>,
    store: GlobalConfStore,
    seen: Fingerprint,
    // The location that worked last, and its URL with the version that was found there. Several locations can have one
    // URL and other certificates.
    worked: Option<(Location, String)>,
    // The latest expiry that a directory of an instance had.
    newest: Option<(String, UnixTime)>,
    last_error: Option<XRoadError>,
}

impl ConfigurationClient {
    /// A client that has done nothing yet.
    pub fn new(
        settings: GlobalConfiguration,
        fetch: Arc<dyn Fetch>,
        trust: SharedTrust,
        clock: SharedClock,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        let store = GlobalConfStore::new(&settings.dir);
        Self {
            settings,
            fetch,
            trust,
            clock,
            randomness,
            store,
            seen: Fingerprint::default(),
            worked: None,
            newest: None,
            last_error: None,
        }
    }

    /// Runs a cycle at every interval until the future is dropped.
    pub async fn run(mut self) {
        let interval = Duration::from_secs(self.settings.update_interval_secs);
        loop {
            tokio::time::sleep(interval).await;
            self.update_once().await;
        }
    }

    /// Why the last cycle did not bring the source's configuration into force, with the code that official clients
    /// report; `None` after a success.
    pub fn last_error(&self) -> Option<&XRoadError> {
        self.last_error.as_ref()
    }

    /// One cycle: download if there is an anchor, then publish what is new on disk. A failure leaves the last
    /// configuration in force and is logged.
    pub async fn update_once(&mut self) {
        self.last_error = None;
        if let Some(file) = self.settings.anchor.clone() {
            // The stored sources, by which signing keys rotate, are needed for the first download too.
            self.publish();
            let anchor = std::fs::read(&file).map_err(|error| failure("malformed_anchor", error));
            match anchor.and_then(|bytes| Anchor::parse(&bytes)) {
                Ok(anchor) => self.download(&anchor).await,
                Err(error) => {
                    tracing::error!("anchor {}: {error}", file.display());
                    self.last_error = Some(error);
                }
            }
        }
        self.publish();
    }

    async fn download(&mut self, anchor: &Anchor) {
        self.last_error = None;
        let stored = self.trust.load_full();
        let mut locations = anchor.locations(stored.global_conf.shared_params(&anchor.instance));
        // Sources of one rank share the load.
        for rank in locations.chunk_by_mut(|one, other| one.is_https() == other.is_https()) {
            shuffle(rank, &*self.randomness);
        }
        if let Some((worked, _)) = &self.worked {
            locations.sort_by_key(|location| location != worked);
        }
        for location in &locations {
            let remembered = self.worked.take_if(|(worked, _)| worked == location);
            let mut result = self.download_from(location, remembered.as_ref().map(|(_, url)| url)).await;
            if result.is_err() && remembered.is_some() {
                // The source may have another version by now.
                result = self.download_from(location, None).await;
            }
            match result {
                Ok(()) => {
                    self.last_error = None;
                    return;
                }
                Err(error) => {
                    tracing::debug!(url = location.url, %error, "a configuration source failed");
                    // What a source did wrong tells more than that another one cannot be reached.
                    if !is_unreachable(&error) || self.last_error.as_ref().is_none_or(is_unreachable) {
                        self.last_error = Some(error);
                    }
                }
            }
        }
        if let Some(error) = &self.last_error {
            tracing::error!("the global configuration could not be updated: {error}");
        }
    }

    async fn download_from(
        &mut self,
        location: &Location,
        remembered: Option<&String>,
    ) -> Result<(), XRoadError> {
        let fetch = Arc::clone(&self.fetch);
        let store = self.store.clone();
        let policy = self.trust.load().policy;
        let now = self.clock.now();
        let download = Download { fetch: &*fetch, store: &store, policy: &policy, now, location };
        let url = match remembered {
            Some(url) => url.clone(),
            None => download.negotiate().await?,
        };
        let directory = download.directory(&url).await?;
        self.check_not_older(&directory, location)?;
        let parts = download.parts(&directory, &url).await?;
        let kept = |error: std::io::Error| {
            failure("global_conf_part_file_save_failure", format!("{}: {error}", store.dir().display()))
        };
        store.write_instance(&location.instance, &parts).map_err(kept)?;
        store.write_local_instance(&location.instance).map_err(kept)?;
        self.worked = Some((location.clone(), url));
        Ok(())
    }

    /// Refuses a directory that was made well before one that was accepted already: who replays it would bring back
    /// certificates, registrations or rights that have been withdrawn since. The stored files remember over restarts.
    fn check_not_older(&mut self, directory: &Directory, location: &Location) -> Result<(), XRoadError> {
        let instance = &location.instance;
        let stored = self.store.expires(instance, PartKind::Shared.file_name());
        let seen = self.newest.take_if(|(of, _)| of == instance).map(|(_, newest)| newest);
        let newest = seen.max(stored);
        self.newest = Some((instance.clone(), newest.unwrap_or_default().max(directory.expires)));
        match newest {
            Some(newest)
                if !self.settings.rollback_allowed
                    && directory.expires.plus_secs(GLOBAL_CONF_SOURCES_APART_SECS) < newest =>
            {
                let text = format!(
                    "the directory expires at {}, an earlier one at {newest}: an old one is not accepted in its \
                     place (globalconf.rollback_allowed = true would accept it)",
                    directory.expires
                );
                tracing::warn!(url = location.url, "{text}");
                Err(failure("global_conf_outdated", text))
            }
            _ => Ok(()),
        }
    }

    /// Publishes the directory's content if it changed since the last time.
    fn publish(&mut self) {
        let fingerprint = self.store.fingerprint();
        if fingerprint == self.seen {
            return;
        }
        let before = self.trust.load_full();
        match GlobalConf::load_dir_after(self.store.dir(), Some(&before.global_conf)) {
            Ok(global_conf) => {
                global_conf.problems().iter().for_each(|problem| tracing::warn!("{problem}"));
                let until = global_conf.expires().map(|until| until.to_string()).unwrap_or_default();
                tracing::info!(
                    instance = global_conf.local_instance(),
                    until,
                    "global configuration in force"
                );
                let global_conf = Arc::new(global_conf);
                self.trust.rcu(|snapshot| TrustSnapshot {
                    global_conf: Arc::clone(&global_conf),
                    ..TrustSnapshot::clone(snapshot)
                });
                self.seen = fingerprint;
            }
            Err(error) => {
                tracing::error!(
                    "global configuration in {}: {}; the last one stays in force",
                    self.store.dir().display(),
                    error.text()
                );
                self.last_error = Some(error);
            }
        }
    }
}

fn is_unreachable(error: &XRoadError) -> bool {
    matches!(error.code(), "global_conf_get_version_failed" | "global_conf_download_url_connection_failure")
}
