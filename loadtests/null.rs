//! The null column: the load once more, through relays that neither sign nor log, so that what the protocol costs can
//! be seen as a ratio.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::arrivals::Pattern;
use crate::client::{Target, tls_connector};
use crate::generator::{Generator, Plan};
use crate::message::Messages;
use crate::moment::own_usage;
use crate::process::Usage;
use crate::recorder::{Figures, Latency};
use crate::relay::{Ends, Pair, program};
use crate::report::{PhaseReport, round};
use crate::run::told;
use crate::scenario::Scenario;
use crate::sweep::{Search, followed, follows};
use crate::system::System;

const WARM_UP: Duration = Duration::from_millis(500);

/// What the relays made of the load.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NullColumn {
    /// Was it measured?
    pub measured: bool,
    /// Why not.
    pub reason: String,
    /// Right answers per second in the last measured phase.
    pub exchanges_per_second: f64,
    /// Highest rate that the relays could follow, where a sweep looked for it.
    pub knee_per_second: Option<f64>,
    /// Of the last measured phase.
    pub latency_ms: Latency,
    /// Of the last measured phase: the consumer's relay and the provider's.
    pub relays: Vec<RelayReport>,
    /// The servers' figures divided by these, in the last measured phase.
    pub ratios: Option<Ratios>,
    /// The measured phases, cut short, and steps.
    pub phases: Vec<NullPhase>,
}

/// A relay in a phase, its worker processes taken together.
#[derive(Debug, Clone, Serialize)]
pub struct RelayReport {
    /// `consumer` or `provider`.
    pub name: &'static str,
    /// CPU time.
    pub cpu_us_per_exchange: f64,
    /// Highest resident sets so far.
    pub peak_rss_bytes: u64,
}

/// A phase through the relays.
#[derive(Debug, Clone, Serialize)]
pub struct NullPhase {
    /// That of the servers' phase.
    pub name: String,
    /// Messages per second that were meant to be sent; absent for callers.
    pub offered_per_second: Option<f64>,
    /// Length in seconds.
    pub seconds: f64,
    /// What the generator saw.
    #[serde(flatten)]
    pub figures: Figures,
    /// The consumer's relay and the provider's.
    pub relays: Vec<RelayReport>,
    /// CPU time of the generator, in µs per exchange.
    pub generator_cpu_us: f64,
    /// CPU time of the echo service, in µs per exchange.
    pub service_cpu_us: f64,
    /// The servers' figures divided by these.
    pub ratios: Option<Ratios>,
    /// Neither warm-up nor a step.
    #[serde(skip)]
    measured: bool,
}

/// The servers' figures divided by the relays'.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ratios {
    /// Right answers per second: 1 where both could follow the schedule.
    pub exchanges_per_second: f64,
    /// Knees.
    pub knee_per_second: Option<f64>,
    /// Median latencies.
    pub latency_p50: f64,
    /// 99th percentiles.
    pub latency_p99: f64,
    /// CPU time of all servers and of both relays.
    pub cpu_us_per_exchange: f64,
}

impl NullColumn {
    fn absent(reason: impl Into<String>) -> Self {
        Self { reason: format!("not measured: {}", reason.into()), ..Self::default() }
    }

    /// Sets the servers' phases against those of the same name.
    pub fn compare(&mut self, phases: &[PhaseReport], knee: Option<f64>) {
        for null in self.phases.iter_mut().filter(|phase| phase.measured) {
            let theirs = phases.iter().find(|phase| phase.measured && phase.name == null.name);
            null.ratios = theirs.map(|servers| ratios(servers, null));
        }
        let knees = knee.zip(self.knee_per_second).filter(|(_, null)| *null > 0.0);
        let Some(last) = self.phases.iter().rev().find(|phase| phase.measured) else {
            self.ratios = knees.map(|_| Ratios::default());
            self.set_knee(knees);
            return;
        };
        (self.exchanges_per_second, self.latency_ms) =
            (round(last.figures.achieved_per_second), last.figures.latency_ms);
        (self.relays, self.ratios) = (last.relays.clone(), last.ratios.clone());
        self.set_knee(knees);
    }

    fn set_knee(&mut self, knees: Option<(f64, f64)>) {
        if let (Some(ratios), Some((servers, null))) = (&mut self.ratios, knees) {
            ratios.knee_per_second = Some(round(servers / null));
        }
    }

    /// The phase whose ratio of exchanges means most: callers go as fast as they are let, a schedule does not.
    pub fn compared(&self) -> Option<&NullPhase> {
        let all = || self.phases.iter().rev().filter(|phase| phase.ratios.is_some());
        all().find(|phase| phase.offered_per_second.is_none()).or_else(|| all().next())
    }
}

fn ratios(servers: &PhaseReport, null: &NullPhase) -> Ratios {
    let ratio = |ours: f64, theirs: f64| if theirs > 0.0 { round(ours / theirs) } else { 0.0 };
    let (ours, theirs) = (&servers.figures, &null.figures);
    Ratios {
        exchanges_per_second: ratio(ours.achieved_per_second, theirs.achieved_per_second),
        knee_per_second: None,
        latency_p50: ratio(ours.latency_ms.p50, theirs.latency_ms.p50),
        latency_p99: ratio(ours.latency_ms.p99, theirs.latency_ms.p99),
        cpu_us_per_exchange: ratio(
            servers.servers.iter().map(|server| server.cpu_us_per_exchange).sum(),
            null.relays.iter().map(|relay| relay.cpu_us_per_exchange).sum(),
        ),
    }
}

/// Measures, when there is something to measure with. What fails is a reason in the report and no reason to fail.
pub async fn measure(
    scenario: &Scenario,
    system: Option<&System>,
    messages: &Messages,
    knee: Option<f64>,
    say: &(dyn Fn(&str) + Sync),
) -> NullColumn {
    if !scenario.null.measure {
        return NullColumn::absent("the scenario does not want it");
    }
    let Some(system) = system else {
        return NullColumn::absent("there is no service of ours behind other servers");
    };
    let Some(program) = program() else { return NullColumn::absent("nginx is not installed") };
    match Relayed::start(scenario, system, messages, &program, say) {
        Ok(relayed) => relayed.whole(knee).await.unwrap_or_else(NullColumn::absent),
        Err(reason) => NullColumn::absent(reason),
    }
}

struct Relayed<'a> {
    scenario: &'a Scenario,
    say: &'a (dyn Fn(&str) + Sync),
    pair: Pair,
    generator: Generator,
    phases: Vec<NullPhase>,
}

impl<'a> Relayed<'a> {
    fn start(
        scenario: &'a Scenario,
        system: &System,
        messages: &Messages,
        program: &Path,
        say: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Self, String> {
        let plan = system.ecosystem().plan();
        let ends = Ends {
            plan,
            pki: &system.directory().join("pki"),
            service: system.service(),
            client_tls: scenario.load.tls,
        };
        let pair = Pair::start(program, &ends)?;
        let tls = if scenario.load.tls { Some(tls_connector()?) } else { None };
        let target = Target { address: pair.address(), tls };
        let messages = Arc::new(messages.plain(&pair.address().to_string()));
        let generator = Generator::start(messages, target, &scenario.load, scenario.seed)?;
        Ok(Self { scenario, say, pair, generator, phases: Vec::new() })
    }

    async fn whole(mut self, knee: Option<f64>) -> Result<NullColumn, String> {
        (self.say)("the null column: the same load through relays that neither sign nor log");
        let callers = Plan {
            pattern: Pattern::Callers,
            from: 0.0,
            to: 0.0,
            callers: 4,
            settle: Duration::ZERO,
            length: WARM_UP,
        };
        self.phase("warm-up", &callers, false).await?;
        let mut found = None;
        if let Some(sweep) = &self.scenario.sweep {
            // They begin where the servers have proved that it can be done at all.
            let mut search = Search::new(sweep, sweep.from.max(knee.unwrap_or(0.0) / 2.0));
            while let Some(rate) = search.next_rate() {
                let figures =
                    self.phase(&format!("step {rate:.0}/s"), &Plan::step(sweep, rate), false).await?;
                let (follows, errors) = follows(sweep, &figures);
                (self.say)(&told(rate, &figures, errors, follows));
                search.tried(follows, followed(&figures));
            }
            (self.say)(&format!("the relays' knee is at {:.0}/s", search.best()));
            found = Some(round(search.best()));
        }
        for phase in self.scenario.phases.iter().filter(|phase| phase.measured) {
            let mut plan = Plan::of(phase, knee);
            plan.length =
                plan.length.min(plan.settle + Duration::from_secs_f64(self.scenario.null.seconds_max));
            (self.say)(&format!("null: {} for {} s", phase.name, plan.length.as_secs_f64()));
            self.phase(&phase.name, &plan, true).await?;
        }
        drop(self.generator.finish()?);
        Ok(NullColumn {
            measured: true,
            knee_per_second: found,
            phases: self.phases,
            ..NullColumn::default()
        })
    }

    async fn phase(&mut self, name: &str, plan: &Plan, measured: bool) -> Result<Figures, String> {
        let (before, own_before) = (self.pair.usage(), own_usage());
        let figures = self.generator.run(plan.clone()).await?;
        let (after, own) = (self.pair.usage(), own_usage());
        let per_exchange = |us: f64| round(us / (figures.right as f64).max(1.0));
        let relay = |((name, before), (_, after)): (&(&'static str, Usage), &(&'static str, Usage))| {
            let usage = after.since(before);
            RelayReport {
                name,
                cpu_us_per_exchange: per_exchange(usage.cpu_us),
                peak_rss_bytes: usage.peak_rss_bytes,
            }
        };
        self.phases.push(NullPhase {
            name: name.to_owned(),
            offered_per_second: plan.offered().map(round),
            seconds: plan.length.as_secs_f64(),
            relays: before.iter().zip(&after).map(relay).collect(),
            generator_cpu_us: per_exchange(own[0] - own_before[0]),
            service_cpu_us: per_exchange(own[1] - own_before[1]),
            figures: figures.clone(),
            ratios: None,
            measured,
        });
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ServerReport;

    fn figures(per_second: f64, p50: f64) -> Figures {
        let latency_ms = Latency { p50, p99: 2.0 * p50, ..Latency::default() };
        Figures { achieved_per_second: per_second, latency_ms, ..Figures::default() }
    }

    fn null_phase(name: &str, offered: Option<f64>, figures: Figures) -> NullPhase {
        let relay = |name| RelayReport { name, cpu_us_per_exchange: 50.0, peak_rss_bytes: 1 };
        NullPhase {
            name: name.to_owned(),
            offered_per_second: offered,
            seconds: 1.0,
            figures,
            relays: vec![relay("consumer"), relay("provider")],
            generator_cpu_us: 0.0,
            service_cpu_us: 0.0,
            ratios: None,
            measured: true,
        }
    }

    fn phase(name: &str, figures: Figures) -> PhaseReport {
        let server = ServerReport { cpu_us_per_exchange: 150.0, ..ServerReport::default() };
        PhaseReport {
            name: name.to_owned(),
            callers: Some(1),
            offered_per_second: None,
            measured: true,
            searching: false,
            streaming: Vec::new(),
            seconds: 1.0,
            figures,
            servers: vec![server.clone(), server],
            generator_cpu_us: 0.0,
            service_cpu_us: 0.0,
        }
    }

    #[test]
    fn phases_of_the_same_name_are_divided_and_the_knee_by_the_knee() {
        let mut null = NullColumn { measured: true, knee_per_second: Some(8000.0), ..NullColumn::default() };
        null.phases.push(null_phase("callers", None, figures(2000.0, 1.0)));
        null.phases.push(null_phase("steady", Some(100.0), figures(100.0, 2.0)));
        let phases = [phase("callers", figures(500.0, 4.0)), phase("steady", figures(100.0, 5.0))];
        null.compare(&phases, Some(4000.0));
        let ratios = null.ratios.as_ref().unwrap();
        assert_eq!((ratios.exchanges_per_second, ratios.latency_p50), (1.0, 2.5));
        assert_eq!((ratios.cpu_us_per_exchange, ratios.knee_per_second), (3.0, Some(0.5)));
        assert_eq!(null.compared().unwrap().ratios.as_ref().unwrap().exchanges_per_second, 0.25);
        assert_eq!(null.exchanges_per_second, 100.0);
    }
}
