//! Follows the global configuration: downloads what the anchor's sources publish, verifies it, keeps it on disk and
//! publishes it (`trust.md` 1.2 to 1.8). Without an anchor it follows what others write into the directory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::SharedTrust;
use super::configuration_download::failure;
use super::configuration_source::{Source, Surroundings, Wanted};
use super::fetch::Fetch;
use super::globalconf_store::{Fingerprint, GlobalConfStore};
use super::random::Randomness;
use crate::config::GlobalConfiguration;
use crate::limits::FOREIGN_CONF_CYCLE_SECS_MAX;
use crate::message::XRoadError;
use crate::time::SharedClock;
use crate::trust::anchor::Anchor;
use crate::trust::{GlobalConf, TrustSnapshot};

/// The client of one local instance.
pub struct ConfigurationClient {
    around: Arc<Surroundings>,
    seen: Fingerprint,
    local: Source,
    // By instance. The own one is among them when its shared parameters have a source of their own.
    federated: HashMap<String, Source>,
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
            around: Arc::new(Surroundings { settings, fetch, trust, clock, randomness, store }),
            seen: Fingerprint::default(),
            local: Source::new("", Wanted::Everything),
            federated: HashMap::new(),
            last_error: None,
        }
    }

    /// Runs a cycle at every interval until the future is dropped; sooner after a failure.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(self.delay()).await;
            self.update_once().await;
        }
    }

    // After the nth failure in a row 1, 2, 4… seconds up to the interval, less up to a half.
    fn delay(&self) -> Duration {
        let interval = Duration::from_secs(self.around.settings.update_interval_secs);
        match self.local.failures() {
            0 => interval,
            failures => {
                let doubled = Duration::from_secs(1 << (failures - 1).min(16));
                doubled.min(interval).mul_f64(1.0 - self.around.randomness.fraction() / 2.0)
            }
        }
    }

    /// Why the last cycle did not bring the source's configuration into force, with the code that official clients
    /// report; `None` after a success. Failures of federated instances are only logged.
    pub fn last_error(&self) -> Option<&XRoadError> {
        self.last_error.as_ref()
    }

    /// One cycle: download if there is an anchor, then publish what is new on disk. A failure leaves the last
    /// configuration in force and is logged.
    pub async fn update_once(&mut self) {
        self.last_error = None;
        if let Some(file) = self.around.settings.anchor.clone() {
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
        if self.local.instance() != anchor.instance {
            self.local = Source::new(&anchor.instance, Wanted::Everything);
        }
        match self.local.download(&self.around, anchor).await {
            Ok(stored) => {
                self.publish();
                self.federate(anchor, &stored).await;
            }
            Err(error) => {
                let (trust, now) = (self.around.trust.load(), self.around.clock.now());
                // Afterwards all messages are refused.
                let left_secs =
                    trust.global_conf.expires().map_or(0, |until| (until.secs() - now.secs()).max(0));
                tracing::error!(left_secs, "the global configuration could not be updated: {error}");
                self.last_error = Some(error);
            }
        }
    }

    /// What the own instance's private parameters trust (`trust.md` 3): shared parameters of other instances, each
    /// with its own anchor. Instances that are not trusted or not allowed any more are forgotten.
    async fn federate(&mut self, own: &Anchor, stored: &[String]) {
        let global_conf = Arc::clone(&self.around.trust.load().global_conf);
        if global_conf.local_instance() != own.instance || global_conf.private_params().is_none() {
            return;
        }
        let federations = &self.around.settings.federations;
        let allowed =
            |anchor: &&Anchor| anchor.instance == own.instance || federations.allows(&anchor.instance);
        let anchors = by_instance(global_conf.federated_anchors().iter().filter(allowed));
        let mut known: Vec<&str> = vec![&own.instance];
        known.extend(stored.iter().map(String::as_str));
        known.extend(anchors.iter().map(|anchor| anchor.instance.as_str()));
        if let Err(error) = self.around.store.keep_instances(&known) {
            tracing::warn!(%error, "folders of instances that are not trusted any more could not be removed");
        }
        self.federated.retain(|instance, _| anchors.iter().any(|anchor| anchor.instance == *instance));
        let mut downloads = JoinSet::new();
        let mut pending = HashMap::new();
        for anchor in anchors {
            let new = || Source::new(&anchor.instance, Wanted::Shared);
            let mut source = self.federated.remove(&anchor.instance).unwrap_or_else(new);
            if !source.is_due(&self.around) {
                self.federated.insert(anchor.instance, source);
                continue;
            }
            pending.insert(anchor.instance.clone(), source.failures());
            let around = Arc::clone(&self.around);
            downloads.spawn(async move {
                let result = source.download(&around, &anchor).await;
                (source, result)
            });
        }
        let all = async {
            while let Some(joined) = downloads.join_next().await {
                let Ok((source, result)) = joined else { continue };
                if let Err(error) = result {
                    let instance = source.instance();
                    tracing::warn!(instance, %error, "the configuration of a federated instance could not be updated");
                }
                pending.remove(source.instance());
                self.federated.insert(source.instance().to_owned(), source);
            }
        };
        if tokio::time::timeout(Duration::from_secs(FOREIGN_CONF_CYCLE_SECS_MAX), all).await.is_err() {
            for (instance, failures) in pending {
                tracing::warn!(instance, "the sources of a federated instance are too slow");
                let mut source = Source::new(&instance, Wanted::Shared);
                source.failed(&self.around, failures);
                self.federated.insert(instance, source);
            }
        }
    }

    /// Publishes the directory's content if it changed since the last time, or if a foreign instance has expired, which
    /// is then as good as unknown.
    fn publish(&mut self) {
        let around = &self.around;
        let (now, before) = (around.clock.now(), around.trust.load_full());
        let fingerprint = around.store.fingerprint();
        if fingerprint == self.seen && !before.global_conf.has_expired_foreign_instance(now) {
            return;
        }
        match GlobalConf::load_dir_at(around.store.dir(), Some(&before.global_conf), now) {
            Ok(global_conf) => {
                global_conf.problems().iter().for_each(|problem| tracing::warn!("{problem}"));
                let until = global_conf.expires().map(|until| until.to_string()).unwrap_or_default();
                let foreign = global_conf.instances().count().saturating_sub(1);
                tracing::info!(
                    instance = global_conf.local_instance(),
                    until,
                    foreign,
                    "global configuration in force"
                );
                let global_conf = Arc::new(global_conf);
                around.trust.rcu(|snapshot| TrustSnapshot {
                    global_conf: Arc::clone(&global_conf),
                    ..TrustSnapshot::clone(snapshot)
                });
                self.seen = fingerprint;
            }
            Err(error) => {
                tracing::error!(
                    "global configuration in {}: {}; the last one stays in force",
                    around.store.dir().display(),
                    error.text()
                );
                self.last_error = Some(error);
            }
        }
    }
}

/// Several anchors of one instance are one with all their sources.
fn by_instance<'a>(anchors: impl Iterator<Item = &'a Anchor>) -> Vec<Anchor> {
    let mut merged: Vec<Anchor> = Vec::new();
    for anchor in anchors {
        match merged.iter_mut().find(|known| known.instance == anchor.instance) {
            Some(known) => known.sources.extend(anchor.sources.iter().cloned()),
            None => merged.push(anchor.clone()),
        }
    }
    merged
}
