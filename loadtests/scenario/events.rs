//! `[[event]]`: what happens meanwhile.

use serde::Deserialize;

use super::one_usize;

/// `[[event]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When.
    pub at_seconds: f64,
    /// What.
    #[serde(rename = "do")]
    pub action: Action,
    /// How often …
    #[serde(default = "one_usize")]
    pub times: usize,
    /// … and how far apart.
    #[serde(default)]
    pub every_seconds: f64,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Action {
    OcspFails,
    OcspWorks,
    TsaFails,
    TsaWorks,
    KillProvider,
    KillConsumer,
    /// Stops a server in order and starts it again.
    RestartProvider,
    RestartConsumer,
    /// Lets a server hand over to a new process of its program.
    UpgradeProvider,
    UpgradeConsumer,
    /// From now on, every so many answers are altered between the consumer's server and the client.
    TamperBodies,
    /// The same with a header field that only the log can contradict.
    TamperHashes,
}

impl Action {
    /// A restart or an upgrade.
    pub fn is_change(self) -> bool {
        use Action::{RestartConsumer, RestartProvider, UpgradeConsumer, UpgradeProvider};
        matches!(self, RestartConsumer | RestartProvider | UpgradeConsumer | UpgradeProvider)
    }
}

impl Event {
    pub(super) fn repeated(&self) -> impl Iterator<Item = Self> {
        let (first, times) = (self.clone(), self.times);
        (0..times).map(move |time| Self {
            at_seconds: first.at_seconds + time as f64 * first.every_seconds,
            times: 1,
            ..first.clone()
        })
    }
}
