//! The steps of a run.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Args;
use crate::arrivals::Pattern;
use crate::calls::Counting;
use crate::floor::{self, Costs};
use crate::generator::{Generator, Plan};
use crate::machine::Machine;
use crate::message::{Messages, Route, content_of};
use crate::moment::{Moment, Phased, Yardstick, report};
use crate::null::{self, NullColumn};
use crate::process::Usage;
use crate::proof;
use crate::recorder::{Figures, Live};
use crate::report::{PhaseReport, Report};
use crate::scenario::{Event, Phase, Scenario, Sweep};
use crate::sweep::{Search, followed, follows};
use crate::system::{System, foreign_target};

/// Runs a scenario.
///
/// # Errors
/// What kept it from running; what went wrong while it ran is in the report.
pub fn run(args: &Args) -> Result<Report, String> {
    let scenario = Scenario::load(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let began = Instant::now();
    let say = move |text: &str| eprintln!("[{:6.2} s] {text}", began.elapsed().as_secs_f64());
    runtime.block_on(async {
        tokio::select! {
            report = Run::begin(&scenario, args, &say) => report,
            _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
        }
    })
}

struct Run<'a> {
    scenario: &'a Scenario,
    say: &'a (dyn Fn(&str) + Sync),
    system: Option<System>,
    generator: Generator,
    costs: Option<Costs>,
    sha512: f64,
    phases: Vec<PhaseReport>,
    knee: Option<f64>,
    calls: Vec<Option<f64>>,
}

impl<'a> Run<'a> {
    async fn begin(
        scenario: &'a Scenario,
        args: &'a Args,
        say: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Report, String> {
        let load = &scenario.load;
        let system = match &args.against {
            None => Some(System::start(scenario, args, say).await?),
            Some(_) => None,
        };
        let (target, host, routes) = match (&system, &args.against) {
            (Some(system), _) => {
                let target = system.target(load.tls)?;
                (
                    target.clone(),
                    target.address.to_string(),
                    system.routes(load.kind, scenario.system.services),
                )
            }
            (None, Some(url)) => {
                let (target, host) = foreign_target(url)?;
                let (client, service) = (args.client.clone(), args.service.clone());
                let route =
                    Route { client: client.unwrap_or_default(), service: service.unwrap_or_default() };
                (target, host, vec![route])
            }
            (None, None) => return Err("there is nothing to send to".to_owned()),
        };
        let directory = system.as_ref().map_or(std::env::temp_dir(), |system| system.directory().to_owned());
        let machine = Machine::look(&directory);
        let name = format!("load-{}-{}", scenario.name, machine.unix_time);
        let seed = scenario.seed;
        let content = system.as_ref().map_or_else(|| content_of(load, seed), System::content);
        let messages = Arc::new(Messages::new(load, content, &name, routes, &host, seed));
        let generator = Generator::start(Arc::clone(&messages), target, load, seed)?;
        let costs = Costs::measure(scenario.system.key_type, load.sizes.mean() as usize);
        let (phases, knee, calls) = (Vec::new(), None, Vec::new());
        let sha512 = floor::sha512_mib_per_second();
        let run = Self { scenario, say, system, generator, costs, sha512, phases, knee, calls };
        run.whole(machine, messages).await
    }

    async fn whole(mut self, machine: Machine, messages: Arc<Messages>) -> Result<Report, String> {
        let live = self.show_live();
        if let Some(sweep) = &self.scenario.sweep {
            self.sweep(sweep).await?;
        }
        let result = self.all_phases().await;
        live.abort();
        result?;
        let runtime = match &self.system {
            Some(system) => system.ecosystem().server(0).files().runtime(),
            None => "unknown".to_owned(),
        };
        // The proof takes memory of its own.
        let own_peak = Usage::of(std::process::id()).peak_rss_bytes;
        let outcomes = Arc::new(self.generator.finish()?);
        let proof = match &mut self.system {
            Some(system) => {
                system.mend();
                let bodies = self.scenario.system.log_bodies;
                Some(proof::prove(system, Arc::clone(&messages), outcomes, bodies, self.say).await?)
            }
            None => None,
        };
        let scenario = self.scenario;
        // The servers have ended: nothing but the relays takes CPU time now.
        let null = null::measure(scenario, self.system.as_ref(), &messages, self.knee, self.say).await;
        let mut report = Report {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            valid: false,
            invalid_because: Vec::new(),
            seed: scenario.seed,
            machine,
            exchanges_per_second: 0.0,
            knee_per_second: self.knee,
            errors: 0,
            refused: 0,
            latency_ms: Default::default(),
            classes: scenario.load.sizes.classes().iter().map(|class| class.name.clone()).collect(),
            messages_per_signature: 0.0,
            bytes_per_record: 0.0,
            latency_ms_by_class: Default::default(),
            per_10k_messages: Default::default(),
            worse_server: Default::default(),
            saved_per_10k_messages: Default::default(),
            one_caller: None,
            phases_not_offered: &crate::breakdown::NOT_OFFERED,
            servers: Vec::new(),
            streaming: Vec::new(),
            sha512_mib_per_second: crate::report::round(self.sha512),
            own_peak_rss_bytes: own_peak,
            signature_us: self.costs.as_ref().map_or(0.0, Costs::sign_us).round(),
            phases: self.phases,
            proof,
            start_ms: self.system.as_ref().map(System::start_ms),
            changes: self.system.as_ref().map(|system| system.changes().clone()).unwrap_or_default(),
            null: NullColumn::default(),
            ratio_to_null: None,
            ratio_to_null_of: String::new(),
            runtime,
        };
        report.sum_up(scenario, &self.calls);
        report.compare(null);
        report.judge();
        Ok(report)
    }

    async fn all_phases(&mut self) -> Result<(), String> {
        let scenario = self.scenario;
        let began = Instant::now();
        let mut events: Vec<&Event> = scenario.events.iter().collect();
        events.sort_by(|a, b| b.at_seconds.total_cmp(&a.at_seconds));
        for phase in &scenario.phases {
            self.phase(phase, &mut events, began).await?;
        }
        if let Some(phase) = scenario.phases.iter().rev().find(|phase| phase.measured)
            && scenario.system.count_calls
        {
            self.count_calls(Plan::of(phase, self.knee)).await?;
        }
        Ok(())
    }

    /// Repeats a plan for a moment and counts the servers' calls into the kernel.
    async fn count_calls(&mut self, mut plan: Plan) -> Result<(), String> {
        const LENGTH: Duration = Duration::from_secs(2);
        // Around the messages, so that none is missed.
        const MARGIN: Duration = Duration::from_millis(400);
        let Some(system) = &self.system else { return Ok(()) };
        let servers: Option<Vec<u32>> = system.ecosystem().servers().iter().map(|s| s.id()).collect();
        (plan.settle, plan.length) = (Duration::ZERO, plan.length.min(LENGTH));
        let Some(servers) = servers else { return Ok(()) };
        let Some(counting) = Counting::start(&servers, plan.length + 2 * MARGIN) else { return Ok(()) };
        tokio::time::sleep(MARGIN).await;
        (self.say)("counting system calls");
        let before = self.now().await;
        let figures = self.generator.run(plan.clone()).await?;
        let right = figures.right as f64;
        self.record("system calls counted", false, &plan, figures, before).await;
        let counts = tokio::task::spawn_blocking(|| counting.finish()).await.map_err(|e| e.to_string())?;
        self.calls = counts
            .into_iter()
            .enumerate()
            .map(|(index, count)| {
                let exchanges = right / if index == 0 { 1.0 } else { (servers.len() - 1) as f64 };
                // An exchange has two messages.
                count.map(|count| crate::report::round(count / (2.0 * exchanges).max(1.0)))
            })
            .collect();
        Ok(())
    }

    async fn phase(&mut self, phase: &Phase, events: &mut Vec<&Event>, began: Instant) -> Result<(), String> {
        let plan = Plan::of(phase, self.knee);
        (self.say)(&match plan.pattern {
            Pattern::Callers => format!("{}: {} callers for {} s", phase.name, plan.callers, phase.seconds),
            _ if plan.from == plan.to => {
                format!("{}: {:.0}/s for {} s", phase.name, plan.from, phase.seconds)
            }
            _ => format!("{}: {:.0}/s to {:.0}/s in {} s", phase.name, plan.from, plan.to, phase.seconds),
        });
        let before = self.now().await;
        let figures = {
            let running = self.generator.run(plan.clone());
            let system = self.system.as_mut();
            let happening = happen(system, events, began, self.say);
            tokio::pin!(running);
            tokio::select! {
                figures = &mut running => figures?,
                () = happening => running.await?,
            }
        };
        self.record(&phase.name, phase.measured, &plan, figures, before).await;
        Ok(())
    }

    /// Finds the highest rate that the servers can follow.
    async fn sweep(&mut self, sweep: &Sweep) -> Result<(), String> {
        (self.say)("warming up");
        self.step(sweep, sweep.from / 2.0, "warm-up").await?;
        let mut search = Search::new(sweep, sweep.from);
        while let Some(rate) = search.next_rate() {
            let (follows, achieved) = self.step(sweep, rate, "step").await?;
            search.tried(follows, achieved);
        }
        (self.say)(&format!("the knee is at {:.0}/s", search.best()));
        self.knee = Some(search.best());
        Ok(())
    }

    async fn step(&mut self, sweep: &Sweep, rate: f64, name: &str) -> Result<(bool, f64), String> {
        let plan = Plan::step(sweep, rate);
        let before = self.now().await;
        let figures = self.generator.run(plan.clone()).await?;
        let achieved = followed(&figures);
        let (follows, errors) = follows(sweep, &figures);
        (self.say)(&told(rate, &figures, errors, follows));
        let name = format!("{name} {rate:.0}/s");
        self.record(&name, false, &plan, figures, before).await;
        self.phases.iter_mut().last().into_iter().for_each(|phase| phase.searching = true);
        Ok((follows, achieved))
    }

    async fn record(&mut self, name: &str, measured: bool, plan: &Plan, figures: Figures, before: Moment) {
        let after = self.now().await;
        let phase = Phased { name, measured, plan, figures };
        let machine =
            Yardstick { load: &self.scenario.load, costs: self.costs.as_ref(), sha512: self.sha512 };
        self.phases.push(report(phase, &before, &after, &machine));
    }

    async fn now(&self) -> Moment {
        Moment::now(self.system.as_ref(), self.generator.live()).await
    }

    fn show_live(&self) -> JoinHandle<()> {
        tokio::spawn(show(Arc::clone(self.generator.live())))
    }
}

/// A step in a line.
pub fn told(rate: f64, figures: &Figures, errors: u64, follows: bool) -> String {
    format!(
        "{rate:.0}/s: {:.0}/s answered, p50 {:.1} ms, p99 {:.1} ms, {errors} errors{}",
        figures.achieved_per_second,
        figures.latency_ms.p50,
        figures.latency_ms.p99,
        if follows { "" } else { ": too much" }
    )
}

async fn happen(
    system: Option<&mut System>,
    events: &mut Vec<&Event>,
    began: Instant,
    say: &(dyn Fn(&str) + Sync),
) {
    let Some(system) = system else { return };
    while let Some(event) = events.last() {
        let at = began + Duration::from_secs_f64(event.at_seconds);
        tokio::time::sleep_until(at.into()).await;
        say(&format!("{:?}", event.action));
        system.act(event.action).await;
        events.pop();
    }
}

async fn show(live: Arc<Live>) {
    let terminal = std::io::stderr().is_terminal();
    let pause = Duration::from_millis(if terminal { 500 } else { 5_000 });
    let mut before = live.read();
    loop {
        tokio::time::sleep(pause).await;
        let now = live.read();
        let rate = |now: u64, before: u64| (now - before) as f64 / pause.as_secs_f64();
        let text = format!(
            "    {:8.0}/s sent {:8.0}/s answered {:6} in flight {:6} errors",
            rate(now.0, before.0),
            rate(now.1, before.1),
            now.0.saturating_sub(now.1 + now.2),
            now.2
        );
        if terminal {
            eprint!("{text}\r");
        } else if now.0 > before.0 {
            eprintln!("{text}");
        }
        before = now;
    }
}
