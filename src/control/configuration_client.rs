//! Follows the global configuration: downloads what the anchor's sources publish, verifies it, keeps it on disk and
//! publishes it (`trust.md` 1.2 to 1.8). Without an anchor it follows what others write into the directory.

use std::sync::Arc;
use std::time::Duration;

use super::SharedTrust;
use super::fetch::{Fetch, Request};
use super::globalconf_store::{Fingerprint, GlobalConfStore, StoredPart};
use super::random::{Randomness, shuffle};
use crate::config::GlobalConfiguration;
use crate::limits::{GLOBAL_CONF_DIRECTORY_BYTES_MAX, GLOBAL_CONF_PART_BYTES_MAX};
use crate::time::SharedClock;
use crate::trust::anchor::{Anchor, Location};
use crate::trust::directory::{self, Directory, DirectoryPart};
use crate::trust::{GlobalConf, TrustSnapshot};

/// Versions asked for, the newest first (`trust.md` 1.3).
const VERSIONS: [u8; 5] = [6, 5, 4, 3, 2];

/// The client of one local instance.
pub struct ConfigurationClient {
    settings: GlobalConfiguration,
    fetch: Arc<dyn Fetch>,
    trust: SharedTrust,
    clock: SharedClock,
    randomness: Arc<dyn Randomness>,
    store: GlobalConfStore,
    seen: Fingerprint,
    // The location that worked last, with the version that it was asked for.
    worked: Option<(String, u8)>,
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
        Self { settings, fetch, trust, clock, randomness, store, seen: Fingerprint::default(), worked: None }
    }

    /// Runs a cycle at every interval until the future is dropped.
    pub async fn run(mut self) {
        let interval = Duration::from_secs(self.settings.update_interval_secs);
        loop {
            tokio::time::sleep(interval).await;
            self.update_once().await;
        }
    }

    /// One cycle: download if there is an anchor, then publish what is new on disk. A failure leaves the last
    /// configuration in force and is logged.
    pub async fn update_once(&mut self) {
        if let Some(file) = self.settings.anchor.clone() {
            let anchor = std::fs::read(&file)
                .map_err(|error| error.to_string())
                .and_then(|bytes| Anchor::parse(&bytes).map_err(|error| error.text().to_string()));
            match anchor {
                Ok(anchor) => self.download(&anchor).await,
                Err(error) => tracing::error!("anchor {}: {error}", file.display()),
            }
        }
        self.publish();
    }

    async fn download(&mut self, anchor: &Anchor) {
        let stored = self.trust.load_full();
        let mut locations = anchor.locations(stored.global_conf.shared_params(&anchor.instance));
        // Sources of one rank share the load.
        for rank in locations.chunk_by_mut(|one, other| one.is_https() == other.is_https()) {
            shuffle(rank, &*self.randomness);
        }
        if let Some((url, _)) = &self.worked {
            locations.sort_by_key(|location| location.url != *url);
        }
        let mut last = "the anchor names no source".to_string();
        for location in &locations {
            match self.download_from(location).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(url = location.url, %error, "a configuration source failed");
                    last = format!("{}: {error}", location.url);
                }
            }
        }
        tracing::error!("the global configuration could not be updated: {last}");
        self.worked = None;
    }

    async fn download_from(&mut self, location: &Location) -> Result<(), String> {
        let version = match &self.worked {
            Some((url, version)) if *url == location.url => *version,
            _ => self.negotiate(&location.url).await?,
        };
        let url = versioned(&location.url, version);
        let request = Request::get(&url, GLOBAL_CONF_DIRECTORY_BYTES_MAX);
        let answer = self.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        let policy = self.trust.load().policy;
        let directory = directory::verify(&answer.body, location, self.clock.now(), &policy)
            .map_err(|error| format!("{}: {error}", error.code()))?;
        for ignored in &directory.ignored {
            tracing::warn!(ignored, "a configuration part of another instance is not used");
        }
        let mut parts = Vec::with_capacity(directory.parts.len());
        for part in &directory.parts {
            parts.push(self.part(&directory, part, location, &url).await?);
        }
        let kept = |error: std::io::Error| format!("{}: {error}", self.store.dir().display());
        self.store.write_instance(&location.instance, &parts).map_err(kept)?;
        self.store.write_local_instance(&location.instance).map_err(kept)?;
        self.worked = Some((location.url.clone(), version));
        Ok(())
    }

    /// A part as it is stored if it still has the listed digest, else downloaded and checked.
    async fn part(
        &self,
        directory: &Directory,
        part: &DirectoryPart,
        location: &Location,
        directory_url: &str,
    ) -> Result<StoredPart, String> {
        let metadata = directory.metadata(part, location);
        let file_name = file_name(part);
        let stored = self.store.read_part(&location.instance, &file_name).ok().flatten();
        if let Some(bytes) = stored.filter(|bytes| part.matches(bytes)) {
            return Ok(StoredPart { file_name, bytes, metadata });
        }
        let request = Request::get(part.url(directory_url), GLOBAL_CONF_PART_BYTES_MAX);
        let answer = self.fetch.fetch(request).await.map_err(|error| error.to_string())?;
        let checked = directory
            .check_file(part, location, answer.body.to_vec())
            .map_err(|error| format!("{}: {error}", error.code()))?;
        Ok(StoredPart { file_name, bytes: checked.bytes, metadata })
    }

    /// The newest version that the source has: everything but 404 counts as there; version 2 is not asked for.
    async fn negotiate(&self, url: &str) -> Result<u8, String> {
        if url.contains("version=") {
            return Ok(0);
        }
        for version in VERSIONS {
            if version == 2 {
                break;
            }
            let mut probe = Request::get(versioned(url, version), GLOBAL_CONF_DIRECTORY_BYTES_MAX);
            probe.accepts = |_| true;
            let answer = self.fetch.fetch(probe).await;
            let answer = answer.map_err(|error| format!("global_conf_get_version_failed: {error}"))?;
            if answer.status != 404 {
                return Ok(version);
            }
        }
        Ok(2)
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
            Err(error) => tracing::error!(
                "global configuration in {}: {}; the last one stays in force",
                self.store.dir().display(),
                error.text()
            ),
        }
    }
}

fn versioned(url: &str, version: u8) -> String {
    match version {
        0 => url.to_string(),
        version if url.contains('?') => format!("{url}&version={version}"),
        version => format!("{url}?version={version}"),
    }
}

// Known parts have their names; others the one that the source suggests, or the end of their location.
fn file_name(part: &DirectoryPart) -> String {
    let known = part.kind().file_name();
    if !known.is_empty() {
        return known.to_string();
    }
    let last = part.content_location.rsplit('/').next().unwrap_or_default();
    part.content_file_name.clone().unwrap_or_else(|| last.to_string())
}
