//! One instance's sources: which of its locations is asked, and what is remembered of them (`trust.md` 1.2).

use std::sync::Arc;

use super::SharedTrust;
use super::configuration_download::{Download, failure};
use super::fetch::Fetch;
use super::globalconf_store::{GlobalConfStore, StoredPart};
use super::random::{Randomness, shuffle};
use crate::config::GlobalConfiguration;
use crate::limits::{FOREIGN_CONF_RETRY_SECS_MAX, GLOBAL_CONF_SOURCES_APART_SECS};
use crate::message::XRoadError;
use crate::time::{SharedClock, UnixTime};
use crate::trust::PartKind;
use crate::trust::anchor::{Anchor, Location};
use crate::trust::directory::Directory;

/// What all sources share.
pub(super) struct Surroundings {
    pub settings: GlobalConfiguration,
    pub fetch: Arc<dyn Fetch>,
    pub trust: SharedTrust,
    pub clock: SharedClock,
    pub randomness: Arc<dyn Randomness>,
    pub store: GlobalConfStore,
}

/// Which files of a directory are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of the own instance.
    Everything,
    /// Shared parameters alone: all that another instance may say, or a second source of the own one.
    Shared,
}

/// The sources of one instance, as its anchor names them.
#[derive(Debug)]
pub(super) struct Source {
    instance: String,
    wanted: Wanted,
    // The location that worked last, and its URL with the version that was found there. Several locations can have one
    // URL and other certificates.
    worked: Option<(Location, String)>,
    // The latest expiry that a directory had.
    newest: Option<UnixTime>,
    failures: u32,
    failed_at: UnixTime,
}

impl Source {
    pub fn new(instance: &str, wanted: Wanted) -> Self {
        let instance = instance.to_owned();
        Self { instance, wanted, worked: None, newest: None, failures: 0, failed_at: UnixTime::default() }
    }

    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Cycles in a row in which no location was of use.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it is time to ask: after failures less often, so that sources that are away do not hold up others.
    pub fn is_due(&self, around: &Surroundings) -> bool {
        if self.failures < 2 {
            return true;
        }
        let interval = i64::try_from(around.settings.update_interval_secs).unwrap_or(i64::MAX);
        let doubled = interval.saturating_mul(1 << (self.failures - 1).min(16));
        around.clock.now() >= self.failed_at.plus_secs(doubled.min(interval.max(FOREIGN_CONF_RETRY_SECS_MAX)))
    }

    /// Remembers a failure now, after `before` others in a row.
    pub fn failed(&mut self, around: &Surroundings, before: u32) {
        self.failures = before.saturating_add(1);
        self.failed_at = around.clock.now();
    }

    /// Asks one location after the other until one gives a configuration, which is then stored. Returns the instances
    /// that were stored; the error is that of the location that tells most.
    pub async fn download(
        &mut self,
        around: &Surroundings,
        anchor: &Anchor,
    ) -> Result<Vec<String>, XRoadError> {
        let stored = around.trust.load_full();
        let mut locations = anchor.locations(stored.global_conf.shared_params(&anchor.instance));
        // Sources of one rank share the load.
        for rank in locations.chunk_by_mut(|one, other| one.is_https() == other.is_https()) {
            shuffle(rank, &*around.randomness);
        }
        if let Some((worked, _)) = &self.worked {
            locations.sort_by_key(|location| location != worked);
        }
        let mut told: Option<XRoadError> = None;
        for location in &locations {
            let remembered = self.worked.take_if(|(worked, _)| worked == location);
            let mut result =
                self.download_from(around, location, remembered.as_ref().map(|(_, url)| url)).await;
            if result.is_err() && remembered.is_some() {
                // The source may have another version by now.
                result = self.download_from(around, location, None).await;
            }
            match result {
                Ok(instances) => {
                    self.failures = 0;
                    return Ok(instances);
                }
                Err(error) => {
                    tracing::debug!(url = location.url, %error, "a configuration source failed");
                    // What a source did wrong tells more than that another one cannot be reached.
                    if !is_unreachable(&error) || told.as_ref().is_none_or(is_unreachable) {
                        told = Some(error);
                    }
                }
            }
        }
        self.failed(around, self.failures);
        let none = || failure("global_conf_download_url_connection_failure", "the anchor names no location");
        Err(told.unwrap_or_else(none))
    }

    async fn download_from(
        &mut self,
        around: &Surroundings,
        location: &Location,
        remembered: Option<&String>,
    ) -> Result<Vec<String>, XRoadError> {
        let policy = around.trust.load().policy;
        let (fetch, store, now) = (&*around.fetch, &around.store, around.clock.now());
        let download = Download { fetch, store, policy: &policy, now, location };
        let url = match remembered {
            Some(url) => url.clone(),
            None => download.negotiate().await?,
        };
        let mut directory = download.directory(&url).await?;
        let others = std::mem::take(&mut directory.others);
        if self.wanted == Wanted::Shared {
            directory.parts.retain(|part| part.kind() == PartKind::Shared);
        }
        let has_shared = directory.parts.iter().any(|part| part.kind() == PartKind::Shared);
        self.check_not_older(around, &directory, location, has_shared)?;
        let parts = download.parts(&directory, &url).await?;
        // Shared parameters may come from a source of their own, which the private ones then name.
        let may_lack_them = || self.wanted == Wanted::Everything && names_own_source(&parts, location);
        if !has_shared && !may_lack_them() {
            return Err(no_shared_parameters(&location.instance));
        }
        let keeps = |name: &str| match self.wanted {
            Wanted::Everything => !has_shared && name == PartKind::Shared.file_name(),
            Wanted::Shared => name != PartKind::Shared.file_name() && self.is_local(around),
        };
        store.write_beside(&location.instance, &parts, &keeps).map_err(|error| not_kept(store, &error))?;
        let mut stored = vec![location.instance.clone()];
        if self.wanted == Wanted::Everything {
            let kept = store.write_local_instance(&location.instance);
            kept.map_err(|error| not_kept(store, &error))?;
            directory.parts = others;
            stored.extend(store_others(around, &download, &directory, &url).await?);
        }
        self.worked = Some((location.clone(), url));
        Ok(stored)
    }

    fn is_local(&self, around: &Surroundings) -> bool {
        around.trust.load().global_conf.local_instance() == self.instance
    }

    /// Refuses a directory that was made well before one that was accepted already: who replays it would bring back
    /// certificates, registrations or rights that have been withdrawn since. The stored files remember over restarts.
    fn check_not_older(
        &mut self,
        around: &Surroundings,
        directory: &Directory,
        location: &Location,
        has_shared: bool,
    ) -> Result<(), XRoadError> {
        let kind = if has_shared { PartKind::Shared } else { PartKind::Private };
        let stored = around.store.expires(&location.instance, kind.file_name());
        let newest = self.newest.max(stored);
        self.newest = Some(newest.unwrap_or_default().max(directory.expires));
        match newest {
            Some(newest)
                if !around.settings.rollback_allowed
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
}

/// Shared parameters of other instances in the directory of the own one's source, where the operator wants them. An
/// instance that has an anchor of its own is not taken from here.
async fn store_others(
    around: &Surroundings,
    download: &Download<'_>,
    directory: &Directory,
    url: &str,
) -> Result<Vec<String>, XRoadError> {
    let settings = &around.settings;
    let mut stored = Vec::new();
    for part in &directory.parts {
        let instance = part.instance.clone().unwrap_or_default();
        let trust = around.trust.load();
        let has_anchor =
            trust.global_conf.federated_anchors().iter().any(|anchor| anchor.instance == instance);
        let is_wanted = settings.other_instances_allowed
            && part.kind() == PartKind::Shared
            && settings.federations.allows(&instance)
            && !has_anchor
            && !stored.contains(&instance);
        if !is_wanted {
            tracing::warn!(
                part = part.content_location,
                instance,
                "a configuration part of another instance is not used"
            );
            continue;
        }
        let location = Location { instance: instance.clone(), ..download.location.clone() };
        let one = Directory { parts: vec![part.clone()], ..directory.clone() };
        let parts = Download { location: &location, ..*download }.parts(&one, url).await?;
        let kept = around.store.write_instance(&instance, &parts);
        kept.map_err(|error| not_kept(&around.store, &error))?;
        stored.push(instance);
    }
    Ok(stored)
}

fn names_own_source(parts: &[StoredPart], location: &Location) -> bool {
    let private = parts.iter().find(|part| part.file_name == PartKind::Private.file_name());
    let Some(private) = private else { return false };
    let version = private.metadata.version().unwrap_or(2);
    let read = crate::trust::PrivateParams::parse(&private.bytes, version);
    read.is_ok_and(|read| read.anchors.iter().any(|anchor| anchor.instance == location.instance))
}

fn no_shared_parameters(instance: &str) -> XRoadError {
    failure(
        "global_conf_part_invalid_instance_identifier",
        format!("the directory has no shared parameters of instance \"{instance}\""),
    )
}

fn not_kept(store: &GlobalConfStore, error: &std::io::Error) -> XRoadError {
    failure("global_conf_part_file_save_failure", format!("{}: {error}", store.dir().display()))
}

fn is_unreachable(error: &XRoadError) -> bool {
    matches!(error.code(), "global_conf_get_version_failed" | "global_conf_download_url_connection_failure")
}
