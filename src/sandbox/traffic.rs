//! Many messages from many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client::Client;
use super::messages::{Kind, Message};
use super::plan::Plan;

/// Callers that send at the same time.
pub const CALLERS: usize = 32;

/// One finished exchange.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its message id.
    pub message_id: String,
    /// What it was.
    pub kind: Kind,
    /// What was wrong with the answer; `None` for a right one.
    pub error: Option<String>,
}

/// What came of all exchanges.
#[derive(Debug)]
pub struct Traffic {
    /// Every exchange.
    pub outcomes: Vec<Outcome>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Traffic {
    /// Exchanges without the right answer.
    pub fn errors(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.error.is_some()).count()
    }

    /// Exchanges per second of wall clock.
    pub fn per_second(&self) -> f64 {
        self.outcomes.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

/// Sends `count` messages, a mix of all kinds to all providers in turn, from [`CALLERS`] callers. `progress` is told
/// how many are done, now and then.
pub async fn send(plan: &Plan, count: usize, progress: impl Fn(usize) + Send + Sync + 'static) -> Traffic {
    let plan = Arc::new(plan.clone());
    let run = super::random_text(8);
    let next = Arc::new(AtomicUsize::new(0));
    let progress = Arc::new(progress);
    let client = Client::default();
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS.min(count) {
        let (plan, run, next) = (Arc::clone(&plan), run.clone(), Arc::clone(&next));
        let (progress, client) = (Arc::clone(&progress), client.clone());
        callers.spawn(async move {
            let mut outcomes = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return outcomes;
                }
                outcomes.push(exchange(&plan, &client, index, format!("sandbox-{run}-{index}")).await);
                if index.is_multiple_of((count / 20).max(1)) {
                    progress(index);
                }
            }
        });
    }
    let outcomes = callers.join_all().await.into_iter().flatten().collect();
    Traffic { outcomes, elapsed: started.elapsed() }
}

async fn exchange(plan: &Plan, client: &Client, index: usize, message_id: String) -> Outcome {
    let kind = Kind::ALL[index % Kind::ALL.len()];
    let providers = plan.providers();
    let provider = &providers[index / Kind::ALL.len() % providers.len()];
    let message = Message::new(plan, provider, kind, message_id);
    Outcome { error: send_one(client, &message).await.err(), kind, message_id: message.message_id }
}

/// Sends one message and checks its answer.
///
/// # Errors
/// What was wrong.
pub async fn send_one(client: &Client, message: &Message) -> Result<(), String> {
    let request = message.request().map_err(|e| e.to_string())?;
    let answer = client.send(request).await.map_err(|e| e.to_string())?;
    message.check(&answer)
}
