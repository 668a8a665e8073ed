//! The scenario file. Unknown keys are refused.

use std::path::Path;
use std::time::Duration;

use hermod::sandbox::{KeyType, RuntimeChoice};
use serde::Deserialize;

use crate::Args;
use crate::arrivals::Pattern;
use crate::sizes::Sizes;

/// A whole scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One word.
    pub name: String,
    /// What it is to show.
    #[serde(default)]
    pub about: String,
    /// Seed of arrivals and sizes.
    #[serde(default = "one")]
    pub seed: u64,
    /// What is started.
    #[serde(default)]
    pub system: System,
    /// What is sent.
    #[serde(default)]
    pub load: Load,
    /// One after the other.
    #[serde(default, rename = "phase")]
    pub phases: Vec<Phase>,
    /// Before the phases: finds the knee, whose rate the phases can refer to.
    pub sweep: Option<Sweep>,
    /// What happens meanwhile; seconds from the start of the first phase.
    #[serde(default, rename = "event")]
    pub events: Vec<Event>,
    /// What is still a valid run.
    #[serde(default)]
    pub accept: Accept,
    /// The same load without security servers.
    #[serde(default)]
    pub null: Null,
}

/// `[system]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Security servers: the consumer's and one for each provider, which is a member of its own.
    pub servers: usize,
    /// Services of each provider, called in turn.
    pub services: usize,
    /// Kind of all keys.
    pub key_type: Keys,
    /// What the servers' workers run on.
    pub runtime: Runtime,
    /// The services answer after this long.
    pub service_delay_ms: u64,
    /// Signatures per second of each token; 0 is no limit.
    pub signatures_per_second: u32,
    /// Are the bodies logged?
    pub log_bodies: bool,
    /// The harness holds the servers' ports, as a service manager does, so that they outlive processes.
    pub hold_sockets: bool,
    /// Repeat the last measured phase for a moment to count system calls, where that is possible?
    pub count_calls: bool,
    /// Lines for every server's configuration file.
    pub config: String,
}

impl Default for System {
    fn default() -> Self {
        Self {
            servers: 2,
            services: 1,
            key_type: Keys::Rsa,
            runtime: Runtime::Auto,
            service_delay_ms: 0,
            signatures_per_second: 0,
            log_bodies: true,
            hold_sockets: false,
            count_calls: true,
            config: String::new(),
        }
    }
}

/// Kind of keys.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Keys {
    Rsa,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    Ec,
}

impl From<Keys> for KeyType {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::Rsa => Self::Rsa,
            Keys::Rsa2048 => Self::Rsa2048,
            Keys::Ec => Self::Ec,
        }
    }
}

/// Runtime of the workers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Runtime {
    Auto,
    IoUring,
    Epoll,
}

impl From<Runtime> for RuntimeChoice {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Auto => Self::Auto,
            Runtime::IoUring => Self::IoUring,
            Runtime::Epoll => Self::Epoll,
        }
    }
}

/// Protocol of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Kind {
    Rest,
    Soap,
}

/// `[load]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// `rest` or `soap`.
    pub kind: Kind,
    /// Mix of body sizes.
    pub sizes: Sizes,
    /// Connections to the consumer port serve more than one message.
    pub keep_alive: bool,
    /// Connections to the consumer port are TLS.
    pub tls: bool,
    /// Messages in flight at most; what is due beyond that waits, and its wait counts.
    pub in_flight_max: usize,
    /// An answer is missing after this long.
    pub answer_timeout_ms: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            kind: Kind::Rest,
            sizes: Sizes::default(),
            keep_alive: true,
            tls: false,
            in_flight_max: 4096,
            answer_timeout_ms: 60_000,
        }
    }
}

/// `[[phase]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For people.
    pub name: String,
    /// `constant`, `poisson` or `callers`.
    #[serde(default)]
    pub arrivals: Pattern,
    /// Messages per second, at the start where `to_rate` is given.
    #[serde(default)]
    pub rate: f64,
    /// At the end.
    pub to_rate: Option<f64>,
    /// In place of `rate`: a share of the knee that the sweep found.
    pub of_knee: Option<f64>,
    /// With `callers`: how many.
    #[serde(default = "one_usize")]
    pub callers: usize,
    /// Length.
    pub seconds: f64,
    /// Part of the figures, or only to warm up?
    #[serde(default = "yes")]
    pub measured: bool,
}

/// `[sweep]`: rates rise until the servers cannot follow, then halve the distance to the last good one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// First rate.
    pub from: f64,
    /// Each rate is the one before times this.
    pub factor: f64,
    /// Steps between the last good and the first bad rate.
    pub halvings: u32,
    /// Length of a step.
    pub step_seconds: f64,
    /// A step is good when at least this share of the offered rate is answered …
    pub achieved_min: f64,
    /// … and the 99th percentile is at most this.
    pub p99_max_ms: f64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            from: 500.0,
            factor: 1.4,
            halvings: 3,
            step_seconds: 5.0,
            achieved_min: 0.97,
            p99_max_ms: 250.0,
        }
    }
}

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

/// `[accept]`: what is still a valid run. Answers that do not verify never are.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accept {
    /// Messages may be refused with a clear error.
    pub refusals: bool,
}

/// `[null]`: the measured phases once more through a pair of plain relays.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Null {
    /// Where the relays' program is installed.
    pub measure: bool,
    /// No phase is longer than this, as relays need no time to settle.
    pub seconds_max: f64,
}

impl Default for Null {
    fn default() -> Self {
        Self { measure: true, seconds_max: 10.0 }
    }
}

impl Scenario {
    /// Reads a file and applies the command line.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn load(args: &Args) -> Result<Self, String> {
        let path: &Path = &args.scenario;
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut scenario: Self = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        scenario.seed = args.seed.unwrap_or(scenario.seed);
        for phase in &mut scenario.phases {
            phase.rate *= args.scale;
            phase.to_rate = phase.to_rate.map(|rate| rate * args.scale);
            phase.seconds *= args.stretch;
        }
        if let Some(sweep) = &mut scenario.sweep {
            sweep.from *= args.scale;
            sweep.step_seconds *= args.stretch;
        }
        scenario.events = scenario.events.iter().flat_map(Event::repeated).collect();
        for event in &mut scenario.events {
            event.at_seconds *= args.stretch;
        }
        scenario.check().map_err(|reason| format!("{}: {reason}", path.display()))?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        if !(2..=9).contains(&self.system.servers) || self.system.services == 0 {
            return Err("there are 2 to 9 servers and at least one service".to_owned());
        }
        if self.load.in_flight_max == 0 {
            return Err("in_flight_max is at least 1".to_owned());
        }
        for phase in &self.phases {
            let scheduled = phase.rate > 0.0 || (phase.of_knee.is_some() && self.sweep.is_some());
            if phase.arrivals != Pattern::Callers && !scheduled {
                return Err(format!("phase \"{}\" has no rate", phase.name));
            }
            if phase.seconds.is_nan() || phase.seconds <= 0.0 {
                return Err(format!("phase \"{}\" has no length", phase.name));
            }
        }
        if self.phases.is_empty() && self.sweep.is_none() {
            return Err("nothing is sent: there is neither a phase nor a sweep".to_owned());
        }
        Ok(())
    }
}

impl Action {
    /// A restart or an upgrade.
    pub fn is_change(self) -> bool {
        use Action::{RestartConsumer, RestartProvider, UpgradeConsumer, UpgradeProvider};
        matches!(self, RestartConsumer | RestartProvider | UpgradeConsumer | UpgradeProvider)
    }
}

impl Event {
    fn repeated(&self) -> impl Iterator<Item = Self> {
        let (first, times) = (self.clone(), self.times);
        (0..times).map(move |time| Self {
            at_seconds: first.at_seconds + time as f64 * first.every_seconds,
            times: 1,
            ..first.clone()
        })
    }
}

impl Phase {
    /// Length.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn one() -> u64 {
    1
}

fn one_usize() -> usize {
    1
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_the_repository_is_well_formed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtests");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let scenario: Scenario = toml::from_str(&std::fs::read_to_string(&path).unwrap())
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                scenario.check().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
                count += 1;
            }
        }
        assert!(count >= 9);
    }
}
