//! What is read before and after a phase, and the phase's report from both.

use hermod::sandbox::client::Client;

use crate::arrivals::Pattern;
use crate::floor::{Amounts, Costs};
use crate::generator::Plan;
use crate::metrics::Metrics;
use crate::process::{Usage, own_threads_cpu_us};
use crate::recorder::{Figures, Live};
use crate::report::{PhaseReport, Reading, ServerReport, round};
use crate::scenario::Load;
use crate::streaming::{Streams, hops};
use crate::system::{System, metrics_url};

/// What was read at one moment.
pub struct Moment {
    /// Names and figures of the servers.
    servers: Vec<(String, Reading)>,
    own: [f64; 2],
    streams: Streams,
}

/// A phase that has ended.
pub struct Phased<'a> {
    /// For people.
    pub name: &'a str,
    /// Part of the figures.
    pub measured: bool,
    /// What was sent.
    pub plan: &'a Plan,
    /// What came of it.
    pub figures: Figures,
}

/// What figures are held against.
pub struct Yardstick<'a> {
    /// What was sent.
    pub load: &'a Load,
    /// Unit costs of the machine.
    pub costs: Option<&'a Costs>,
    /// SHA-512 on one core, in MiB/s.
    pub sha512: f64,
}

impl Moment {
    /// Reads everything. There are no servers where they are not ours.
    pub async fn now(system: Option<&System>, live: &Live) -> Self {
        let mut servers = Vec::new();
        let client = Client::default();
        for server in system.iter().flat_map(|system| system.ecosystem().servers()) {
            let usage = server.id().map(Usage::of).unwrap_or_default();
            let answer = match server.id() {
                Some(_) => client.get(&metrics_url(server.plan()), &[]).await.ok(),
                None => None,
            };
            let text = answer.map(|answer| String::from_utf8_lossy(answer.body()).into_owned());
            let metrics = Metrics::parse(&text.unwrap_or_default());
            servers.push((server.plan().code.clone(), Reading { metrics, usage, process: server.id() }));
        }
        let streams = Streams::read(&live.meters, system.map(System::service_meters));
        Self { servers, own: own_usage(), streams }
    }
}

/// What came of a phase, from what was read around it.
pub fn report(phase: Phased<'_>, before: &Moment, after: &Moment, yardstick: &Yardstick<'_>) -> PhaseReport {
    let (figures, load) = (phase.figures, yardstick.load);
    let exchanges = figures.right as f64;
    let providers = after.servers.len().saturating_sub(1) as f64;
    let pairs = before.servers.iter().zip(&after.servers).enumerate();
    let servers = pairs.map(|(index, ((name, before), (_, after)))| {
        let amounts = Amounts { client_tls: load.tls && index == 0, ..Amounts::default() };
        // Providers share the exchanges.
        let share = if index == 0 { 1.0 } else { providers };
        ServerReport::new(name, before, after, exchanges / share, yardstick.costs, amounts)
    });
    let servers: Vec<ServerReport> = servers.collect();
    let per_exchange = |index: usize| round((after.own[index] - before.own[index]) / exchanges.max(1.0));
    PhaseReport {
        name: phase.name.to_owned(),
        callers: (phase.plan.pattern == Pattern::Callers).then_some(phase.plan.callers),
        offered_per_second: phase.plan.offered().map(round),
        measured: phase.measured,
        seconds: phase.plan.length.as_secs_f64(),
        searching: false,
        streaming: hops(&before.streams, &after.streams, &servers, load, yardstick.sha512),
        servers,
        figures,
        generator_cpu_us: per_exchange(0),
        service_cpu_us: per_exchange(1),
    }
}

/// What the generator and the echo service have taken so far, in µs of CPU time.
pub fn own_usage() -> [f64; 2] {
    [own_threads_cpu_us("generator"), own_threads_cpu_us(crate::backend::THREAD)]
}
