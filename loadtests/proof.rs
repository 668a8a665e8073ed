//! Every right answer proved again from the logs, by the code of `hermod verify`: the request and the response on the
//! consumer's server and on the provider's, each a container of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hermod::sandbox::client::Client;
use hermod::sandbox::proof::Conf;
use hermod::sandbox::tour;
use serde::Serialize;

use crate::judge::{ALL, Case, lacks};
use crate::message::Messages;
use crate::metrics::Metrics;
use crate::recorder::{Outcome, Outcomes};
use crate::system::{System, metrics_url};

/// How long the servers may take to time-stamp what they have logged.
const STAMPED_MAX: Duration = Duration::from_secs(180);
const POLL_PAUSE: Duration = Duration::from_millis(250);
const FAILURES_SHOWN: usize = 8;

/// What the logs say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Proof {
    /// Right answers: each needs its proof.
    pub required: usize,
    /// Those with it.
    pub verified: usize,
    /// Records that were judged.
    pub records: usize,
    /// Proved exchanges of each member.
    pub members: Vec<MemberProof>,
    /// Distinct signature documents among those of each server.
    pub signature_documents: Vec<usize>,
    /// Bodies were not logged: REST messages are judged by the digests of the bodies that the generator knows …
    pub without_bodies: bool,
    /// … and of SOAP messages, whose envelopes nobody knows any more, only presence is looked at.
    pub presence_only: bool,
    /// What is wrong, some of it.
    pub failures: Vec<String>,
    /// Number of all failures.
    pub failure_count: usize,
    /// Waiting for time-stamps, and judging.
    pub seconds: f64,
}

/// Proved exchanges of a member, whose own key has signed its part in all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberProof {
    /// `INSTANCE/CLASS/MEMBER`
    pub member: String,
    /// Those whose request it has signed.
    pub asked: usize,
    /// Those whose response it has signed.
    pub answered: usize,
}

impl Proof {
    /// Is everything proved?
    pub fn is_complete(&self) -> bool {
        self.verified == self.required && self.failure_count == 0
    }

    fn fail(&mut self, failure: String) {
        self.failure_count += 1;
        if self.failures.len() < FAILURES_SHOWN {
            self.failures.push(failure);
        }
    }
}

/// Waits for the time-stamps, stops the servers and judges their logs.
///
/// # Errors
/// When a log cannot be read at all.
pub async fn prove(
    system: &mut System,
    messages: Arc<Messages>,
    outcomes: Arc<Outcomes>,
    bodies: bool,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Proof, String> {
    let began = Instant::now();
    let presence_only = !bodies && !messages.bodies_are_parts();
    let mut proof = Proof { without_bodies: !bodies, presence_only, ..Proof::default() };
    proof.required = outcomes.count(Outcome::Right);
    let conf = match system.is_killed(0) {
        true => Conf::of(system.ecosystem()),
        false => match tour::verification_conf(system.ecosystem(), &Client::default()).await {
            Ok(path) => Conf::load(&path),
            Err(_) => Conf::of(system.ecosystem()),
        },
    };
    let conf = conf.map_err(|e| e.to_string())?;
    say("waiting for the time-stamps of all records");
    if let Err(reason) = wait_stamped(system).await {
        proof.fail(reason);
    }
    let killed: Vec<usize> =
        (0..system.ecosystem().servers().len()).filter(|index| system.is_killed(*index)).collect();
    for index in killed {
        proof.fail(format!("{} was killed in mid-run", system.ecosystem().server(index).plan().code));
    }
    if let Err(error) = system.ecosystem_mut().stop_servers().await {
        proof.fail(error.to_string());
    }

    say("verifying every request and response from the logs");
    let case = Arc::new(Case::new(messages, outcomes, conf, bodies));
    let sides: Vec<_> = system
        .ecosystem()
        .servers()
        .iter()
        .enumerate()
        .map(|(index, server)| {
            let (case, log, code) = (Arc::clone(&case), server.files().log(), server.plan().code.clone());
            tokio::task::spawn_blocking(move || case.judge_log(index == 0, &code, &log))
        })
        .collect();
    let total = proof.required * 4;
    let told = tokio::spawn(tell(Arc::clone(&case), total));
    let mut seen = vec![0_u8; case.outcomes.len()];
    for side in sides {
        let side = side.await.map_err(|e| e.to_string())??;
        proof.records += side.records;
        proof.signature_documents.push(side.documents.len());
        for (index, mark) in side.marks {
            if let Some(seen) = seen.get_mut(index as usize) {
                *seen |= mark;
            }
        }
        for failure in side.failures {
            proof.fail(failure);
        }
    }
    told.abort();
    let mut members = BTreeMap::<String, (usize, usize)>::new();
    for index in case.outcomes.right() {
        match seen.get(index as usize).copied().unwrap_or(0) {
            ALL => {
                proof.verified += 1;
                let route = case.messages.route(index);
                members.entry(member(&route.client)).or_insert((0, 0)).0 += 1;
                members.entry(member(route.provider())).or_insert((0, 0)).1 += 1;
            }
            marks => proof.fail(format!("{}: {}", case.messages.id(index), lacks(marks))),
        }
    }
    let of_member = |(member, (asked, answered))| MemberProof { member, asked, answered };
    proof.members = members.into_iter().map(of_member).collect();
    proof.seconds = (began.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    Ok(proof)
}

/// The member of a subsystem.
fn member(subsystem: &str) -> String {
    subsystem.rsplit_once('/').map_or(subsystem, |(member, _)| member).to_owned()
}

async fn tell(case: Arc<Case>, total: usize) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        eprintln!("    {} of about {total} records judged", case.judged.load(Ordering::Relaxed));
    }
}

async fn wait_stamped(system: &System) -> Result<(), String> {
    let client = Client::default();
    let began = Instant::now();
    for (index, server) in system.ecosystem().servers().iter().enumerate() {
        if system.is_killed(index) {
            continue;
        }
        loop {
            let answer = client.get(&metrics_url(server.plan()), &[]).await.map_err(|e| e.to_string())?;
            let metrics = Metrics::parse(&String::from_utf8_lossy(answer.body()));
            let unstamped = metrics.get("hermod_log_unstamped_records");
            if unstamped == 0.0 && !metrics.is_empty() {
                break;
            }
            if began.elapsed() > STAMPED_MAX {
                return Err(format!("{}: {unstamped} records have no time-stamp", server.plan().code));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }
    Ok(())
}
