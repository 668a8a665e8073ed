//! One thread per signing key that makes one signature for all requests that wait.
//!
//! A request that meets an idle key is signed alone and at once. While a signature is being made requests
//! queue up, and the next signature covers them all, so batches grow with the load by themselves. In addition
//! the thread lingers a little, so that signing takes no more than its share of a core.
//! That share is large while cores are free, so that lingering costs no latency that nobody gains from, and
//! shrinks as soon as the thread itself has to wait for a core: then larger batches buy throughput.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError};
use tokio::sync::oneshot;

use super::statistics::Counters;
use crate::crypto::Digest;
use crate::evidence::SignatureData;
use crate::message::{ErrorCode, XRoadError};

/// How a key's requests are batched.
#[derive(Debug, Clone, Copy)]
pub struct BatchConfig {
    /// Requests under one signature; 1 signs each alone, as some hardware tokens demand.
    pub requests_max: usize,
    /// Requests that may wait.
    pub queue_max: usize,
    /// Longest wait for further requests under load; 0: never wait.
    pub linger_us_max: u32,
    /// Share of one core that signing aims to stay below while cores are free, in percent.
    pub cpu_share_percent: u32,
    /// The same while the thread has to wait for a core, in percent.
    pub busy_cpu_share_percent: u32,
    /// A request that has waited longer is refused.
    pub timeout_ms: u32,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            requests_max: crate::limits::SIGN_BATCH_REQUESTS_MAX,
            queue_max: crate::limits::SIGN_QUEUE_REQUESTS_MAX,
            linger_us_max: 10_000,
            cpu_share_percent: 50,
            busy_cpu_share_percent: 6,
            timeout_ms: 60_000,
        }
    }
}

/// Makes the signature documents of a batch: one for each list of part digests, with one private-key operation.
pub(super) type SignBatch<T> = dyn Fn(&T, &[Vec<Digest>]) -> Result<Vec<SignatureData>, XRoadError> + Send;

type Reply = oneshot::Sender<Result<SignatureData, XRoadError>>;

struct Request<T> {
    template: Arc<T>,
    parts: Vec<Digest>,
    since: Instant,
    reply: Reply,
}

/// The queue of one key. Cheap to clone; the thread ends when the last clone is gone.
pub(super) struct Batcher<T> {
    queue: Sender<Request<T>>,
}

impl<T> Clone for Batcher<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + Sync + 'static> Batcher<T> {
    /// Starts the thread of a key.
    pub fn start(
        name: &str,
        config: BatchConfig,
        counters: Arc<Counters>,
        sign: Box<SignBatch<T>>,
    ) -> std::io::Result<Self> {
        let (queue, requests) = crossbeam::channel::bounded(config.queue_max);
        let worker = Worker { requests, held: VecDeque::new(), config, counters, sign };
        // Thread names are cut to 15 bytes by the system.
        let name = format!("sign-{}", name.get(..8).unwrap_or(name));
        std::thread::Builder::new().name(name).spawn(move || worker.run())?;
        Ok(Self { queue })
    }

    /// Signs the parts of one message; waits for its turn.
    pub async fn sign(&self, template: Arc<T>, parts: Vec<Digest>) -> Result<SignatureData, XRoadError> {
        let (reply, answer) = oneshot::channel();
        let request = Request { template, parts, since: Instant::now(), reply };
        match self.queue.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(failed("Too many messages wait for the signing key")),
            Err(TrySendError::Disconnected(_)) => return Err(failed("The signing key is closed")),
        }
        answer.await.unwrap_or_else(|_| Err(failed("The signing key is closed")))
    }
}

fn failed(text: &'static str) -> XRoadError {
    XRoadError::new(ErrorCode::CannotCreateSignature, text)
}

struct Worker<T> {
    requests: Receiver<Request<T>>,
    /// Requests taken from the queue that did not fit into the last batch.
    held: VecDeque<Request<T>>,
    config: BatchConfig,
    counters: Arc<Counters>,
    sign: Box<SignBatch<T>>,
}

impl<T> Worker<T> {
    fn run(mut self) {
        let mut last = Pace::default();
        while let Some(first) = self.held.pop_front().or_else(|| self.requests.recv().ok()) {
            let waiting = 1 + self.held.len() + self.requests.len();
            let mut late = Duration::ZERO;
            if waiting < self.config.requests_max {
                let now = Instant::now();
                let pause = linger(&self.config, &last, now);
                if !pause.is_zero() {
                    std::thread::sleep(pause);
                    late = now.elapsed().saturating_sub(pause);
                }
            }
            let batch = self.take_batch(first);
            let (began, cpu_before) = (Instant::now(), cpu_time());
            self.work(batch);
            let cpu = cpu_time().saturating_sub(cpu_before);
            late += began.elapsed().saturating_sub(cpu);
            last = Pace { last: Some((began, cpu)), contention: contention(last.contention, late, cpu) };
        }
    }

    /// All waiting requests for the template of the first, as many as a batch holds.
    fn take_batch(&mut self, first: Request<T>) -> Vec<Request<T>> {
        self.held.extend(self.requests.try_iter().take(self.config.requests_max));
        let template = Arc::clone(&first.template);
        let mut batch = vec![first];
        let mut later = VecDeque::new();
        for request in self.held.drain(..) {
            let fits = batch.len() < self.config.requests_max && Arc::ptr_eq(&request.template, &template);
            if fits { batch.push(request) } else { later.push_back(request) }
        }
        self.held = later;
        batch
    }

    fn work(&self, batch: Vec<Request<T>>) {
        let began = Instant::now();
        let timeout = Duration::from_millis(self.config.timeout_ms.into());
        let (mut parts, mut replies, mut template) = (Vec::new(), Vec::new(), None);
        for request in batch {
            if request.reply.is_closed() {
                continue;
            }
            if began.duration_since(request.since) > timeout {
                self.counters.expired();
                let text = "Timeout while waiting for the signing key";
                let error = XRoadError::new(ErrorCode::InternalError, text);
                let _ = request.reply.send(Err(error.within(ErrorCode::CannotCreateSignature)));
                continue;
            }
            template = Some(request.template);
            parts.push(request.parts);
            replies.push(request.reply);
        }
        let Some(template) = template else { return };
        let result = match (self.sign)(&template, &parts) {
            Ok(signatures) if signatures.len() == replies.len() => Ok(signatures),
            Ok(_) => Err(failed("The signature batch is incomplete")),
            Err(error) => Err(error.within(ErrorCode::CannotCreateSignature)),
        };
        let requests = replies.len();
        let took = began.elapsed();
        match result {
            Ok(signatures) => {
                self.counters.signed(requests, took);
                for (reply, signature) in replies.into_iter().zip(signatures) {
                    let _ = reply.send(Ok(signature));
                }
            }
            Err(error) => {
                self.counters.failed(requests);
                tracing::error!(code = error.code(), text = error.text(), requests, "signing failed");
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// The last signature: when it began and how much of a core it took; and how long signatures have lately waited for a core: 0 not at all, 1 as long as they take, more accordingly.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(Instant, Duration)>,
    contention: f32,
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What timers and wake-ups are late by on an idle machine.
const USUAL_DELAY: Duration = Duration::from_micros(150);

/// What one signature's wait counts at most, as a multiple of its own time. Under contention one that was woken at once follows
/// one that waited for ten times as long as it took: it is their mean that tells, and one long wait alone is soon forgotten.
const LATE_MAX: f32 = 8.0;

/// The contention after a signature that was late by `late` and took `cpu`. A token that signs outside of the
/// processor is no contention: it makes batches grow without lingering.
fn contention(before: f32, late: Duration, cpu: Duration) -> f32 {
    if cpu.is_zero() {
        return before;
    }
    let now = late.saturating_sub(USUAL_DELAY).as_secs_f32() / cpu.as_secs_f32();
    before + (now.min(LATE_MAX) - before) / 8.0
}

/// How long to wait before the next signature: until the last one's processor time is within its share of the time
/// since. A lone caller never waits, because its next message comes after a signature of the other server.
fn linger(config: &BatchConfig, pace: &Pace, now: Instant) -> Duration {
    let Some((began, took)) = pace.last.filter(|_| config.linger_us_max > 0 && config.cpu_share_percent > 0)
    else {
        return Duration::ZERO;
    };
    let (free, busy) = (config.cpu_share_percent.min(100) as f32, config.busy_cpu_share_percent as f32);
    let share = free - (free - busy.clamp(1.0, free)) * pace.contention.min(1.0);
    let interval = took * 1000 / (share * 10.0).round().max(1.0) as u32;
    let until = began + interval;
    until.saturating_duration_since(now).min(Duration::from_micros(config.linger_us_max.into()))
}

#[cfg(test)]
mod tests;
