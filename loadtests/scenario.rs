//! The scenario file. Unknown keys are refused.

mod events;
mod system;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

pub use self::events::{Action, Event};
pub use self::system::{Keys, System};

use crate::Args;
use crate::arrivals::Pattern;
use crate::sizes::Sizes;

/// Bodies of SOAP messages, which are held whole.
const SOAP_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    /// Before it: its load, while connections for it are made, which counts for no rate and no latency.
    #[serde(default)]
    pub settle_seconds: f64,
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
    /// Before each step: its load, while connections for it are made, which counts for no rate and no latency.
    pub settle_seconds: f64,
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
            settle_seconds: 2.0,
            step_seconds: 5.0,
            achieved_min: 0.97,
            p99_max_ms: 250.0,
        }
    }
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
            phase.settle_seconds *= args.stretch;
            phase.seconds *= args.stretch;
        }
        if let Some(sweep) = &mut scenario.sweep {
            sweep.from *= args.scale;
            sweep.settle_seconds *= args.stretch;
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
        self.system.check()?;
        let largest = self.load.sizes.classes().iter().map(|class| class.bytes).max().unwrap_or(0);
        if self.load.kind == Kind::Soap && largest > SOAP_BYTES_MAX {
            return Err(format!(
                "[load] sizes has {largest} bytes: a SOAP body is held with its envelope and is {SOAP_BYTES_MAX} bytes \
                 at most; kind = \"rest\" takes any size"
            ));
        }
        if self.load.in_flight_max == 0 {
            return Err("in_flight_max is at least 1".to_owned());
        }
        for phase in &self.phases {
            let scheduled = phase.rate > 0.0 || (phase.of_knee.is_some() && self.sweep.is_some());
            if phase.arrivals != Pattern::Callers && !scheduled {
                return Err(format!("phase \"{}\" has no rate", phase.name));
            }
            if !is_length(phase.seconds) {
                return Err(format!("phase \"{}\" has no length", phase.name));
            }
            if !(0.0..=SECONDS_MAX).contains(&phase.settle_seconds) {
                return Err(format!("settle_seconds of phase \"{}\" is no time", phase.name));
            }
        }
        if let Some(sweep) = &self.sweep
            && !(is_length(sweep.step_seconds) && (0.0..=SECONDS_MAX).contains(&sweep.settle_seconds))
        {
            return Err("step_seconds or settle_seconds of [sweep] is no time".to_owned());
        }
        if self.phases.is_empty() && self.sweep.is_none() {
            return Err("nothing is sent: there is neither a phase nor a sweep".to_owned());
        }
        Ok(())
    }
}

/// A year: what is longer is a slip.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

fn is_length(seconds: f64) -> bool {
    seconds > 0.0 && seconds <= SECONDS_MAX
}

impl Phase {
    /// Time before it that counts for no rate and no latency.
    pub fn settle(&self) -> Duration {
        Duration::from_secs_f64(self.settle_seconds)
    }

    /// Length, with that.
    pub fn length(&self) -> Duration {
        self.settle() + Duration::from_secs_f64(self.seconds)
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

    #[test]
    fn a_key_out_of_bounds_is_refused_with_its_name_and_its_bounds() {
        let of = |line: &str| -> Scenario {
            toml::from_str(&format!("name = \"a\"\n[system]\n{line}\n[sweep]\n")).unwrap()
        };
        assert!(of("members = 3\nservices = 2").check().is_ok());
        for (line, name) in
            [("members = 0", "members"), ("members = 51", "members"), ("services = 0", "services")]
        {
            let refused = of(line).check().unwrap_err();
            assert!(refused.contains(name) && refused.contains("must be 1 to"), "{refused}");
        }
        let soap = "name = \"a\"\n[load]\nkind = \"soap\"\nsizes = [[1, 67108865]]\n[sweep]\n";
        let soap: Scenario = toml::from_str(soap).unwrap();
        assert!(soap.check().unwrap_err().contains("kind = \"rest\""));
        assert!(of("servers = 1").check().unwrap_err().contains("2 to 9"));
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        for times in ["step_seconds = 0", "step_seconds = inf", "settle_seconds = -1", "settle_seconds = nan"]
        {
            let sweep: Scenario = toml::from_str(&format!("name = \"a\"\n[sweep]\n{times}\n")).unwrap();
            assert!(sweep.check().unwrap_err().contains("is no time"), "{times}");
        }
        for times in ["seconds = -1", "seconds = nan", "seconds = 1\nsettle_seconds = -1", "seconds = 1e300"]
        {
            let phase = format!("name = \"a\"\n[[phase]]\nname = \"p\"\nrate = 1\n{times}\n");
            let phase: Scenario = toml::from_str(&phase).unwrap();
            assert!(phase.check().is_err(), "{times}");
        }
    }
}
