//! Sends the messages of a phase at their times, whatever became of those before.
//!
//! One thread for all connections: it shares the machine with what it measures, so that it must cost little.

mod gather;
mod pacer;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};

use self::gather::Gather;
use self::pacer::Pacer;
use crate::arrivals::{Pattern, Schedule};
use crate::client::{Answer, Connection, Target};
use crate::message::Messages;
use crate::recorder::{Figures, Live, Outcome, Outcomes, Recorder};
use crate::scenario::{Load, Phase, Sweep};
use crate::seed::Seed;

// Below the 30 s after which servers close idle connections.
const IDLE_MAX: Duration = Duration::from_secs(20);

static FAULT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"faultcode"));

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Pattern of arrivals.
    pub pattern: Pattern,
    /// Messages per second at the start …
    pub from: f64,
    /// … and at the end.
    pub to: f64,
    /// With [`Pattern::Callers`].
    pub callers: usize,
    /// Time at the beginning that counts for no rate and no latency.
    pub settle: Duration,
    /// Length, with it.
    pub length: Duration,
}

impl Plan {
    /// Of a phase. The knee is what its rate may refer to.
    pub fn of(phase: &Phase, knee: Option<f64>) -> Self {
        let from = match (phase.of_knee, knee) {
            (Some(share), Some(knee)) => share * knee,
            _ => phase.rate,
        };
        Self {
            pattern: phase.arrivals,
            from,
            to: phase.to_rate.unwrap_or(from),
            callers: phase.callers,
            settle: phase.settle(),
            length: phase.length(),
        }
    }

    /// Of a step of a sweep.
    pub fn step(sweep: &Sweep, rate: f64) -> Self {
        let settle = Duration::from_secs_f64(sweep.settle_seconds);
        let length = settle + Duration::from_secs_f64(sweep.step_seconds);
        Self { pattern: Pattern::Poisson, from: rate, to: rate, callers: 0, settle, length }
    }

    /// Messages per second that are meant to be sent, in the mean; callers send as they can.
    pub fn offered(&self) -> Option<f64> {
        (self.pattern != Pattern::Callers).then_some((self.from + self.to) / 2.0)
    }
}

type Order = (Plan, oneshot::Sender<Figures>);

/// The generator's thread.
pub struct Generator {
    orders: mpsc::UnboundedSender<Order>,
    thread: std::thread::JoinHandle<Outcomes>,
    live: Arc<Live>,
}

impl Generator {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none.
    pub fn start(messages: Arc<Messages>, target: Target, load: &Load, seed: u64) -> Result<Self, String> {
        let (orders, received) = mpsc::unbounded_channel();
        let live = Arc::new(Live::default());
        let (load, shared) = (load.clone(), Arc::clone(&live));
        let work = move || {
            let (gather, pause) = Gather::new();
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().on_thread_park(move || pause.take()).build();
            let runtime = runtime.expect("a runtime needs a few descriptors only");
            let _entered = runtime.enter();
            let state = State::new(messages, target, load, seed, shared, gather);
            let state = LocalSet::new().block_on(&runtime, serve(Rc::new(state), received));
            state.outcomes.take()
        };
        let thread = std::thread::Builder::new().name("generator".into()).spawn(work);
        Ok(Self { orders, thread: thread.map_err(|e| e.to_string())?, live })
    }

    /// Sends the messages of a phase; answers when all of them have ended.
    ///
    /// # Errors
    /// When the thread is gone.
    pub async fn run(&self, plan: Plan) -> Result<Figures, String> {
        let gone = || "the generator has ended early".to_owned();
        let (reply, figures) = oneshot::channel();
        self.orders.send((plan, reply)).map_err(|_| gone())?;
        figures.await.map_err(|_| gone())
    }

    /// For the live view.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Ends the thread and gives what came of every message.
    ///
    /// # Errors
    /// When the thread has failed.
    pub fn finish(self) -> Result<Outcomes, String> {
        drop(self.orders);
        self.thread.join().map_err(|_| "the generator has failed".to_owned())
    }
}

struct State {
    messages: Arc<Messages>,
    target: Target,
    load: Load,
    live: Arc<Live>,
    seed: RefCell<Seed>,
    outcomes: RefCell<Outcomes>,
    idle: RefCell<Vec<(Instant, Connection)>>,
    in_flight: Cell<usize>,
    changed: Notify,
    gather: RefCell<Gather>,
}

impl State {
    fn new(
        messages: Arc<Messages>,
        target: Target,
        load: Load,
        seed: u64,
        live: Arc<Live>,
        gather: Gather,
    ) -> Self {
        Self {
            messages,
            target,
            load,
            live,
            seed: RefCell::new(Seed::new(seed)),
            outcomes: RefCell::default(),
            idle: RefCell::default(),
            in_flight: Cell::new(0),
            changed: Notify::new(),
            gather: RefCell::new(gather),
        }
    }
}

async fn serve(state: Rc<State>, mut orders: mpsc::UnboundedReceiver<Order>) -> Rc<State> {
    while let Some((plan, reply)) = orders.recv().await {
        let _ = reply.send(phase(&state, plan).await);
    }
    state
}

/// A phase while it runs.
struct Running {
    started: Instant,
    recorder: RefCell<Recorder>,
}

async fn phase(state: &Rc<State>, plan: Plan) -> Figures {
    let classes = state.messages.sizes().classes().len();
    let running = Rc::new(Running {
        started: Instant::now(),
        recorder: RefCell::new(Recorder::new(plan.settle, plan.length, classes)),
    });
    state.gather.borrow_mut().turn(plan.pattern != Pattern::Callers);
    match plan.pattern {
        Pattern::Callers => callers(state, &running, &plan).await,
        _ => scheduled(state, &running, &plan).await,
    }
    while state.in_flight.get() > 0 {
        state.changed.notified().await;
    }
    state.gather.borrow_mut().turn(false);
    let elapsed = running.started.elapsed();
    let empty = Recorder::new(plan.settle, plan.length, classes);
    running.recorder.replace(empty).finish(elapsed)
}

async fn scheduled(state: &Rc<State>, running: &Rc<Running>, plan: &Plan) {
    let seed = Seed::new(state.seed.borrow_mut().next());
    let (mut pacer, mut unbroken) = (Pacer::new(), 0);
    for due in Schedule::new(plan.pattern, plan.from, plan.to, plan.length, seed) {
        let intended = running.started + due;
        if intended > Instant::now() {
            pacer.until(intended).await;
            unbroken = 0;
        }
        // Behind the schedule the answers still want to be read.
        unbroken += 1;
        if unbroken % 16 == 0 {
            tokio::task::yield_now().await;
        }
        while state.in_flight.get() >= state.load.in_flight_max {
            state.changed.notified().await;
        }
        state.in_flight.set(state.in_flight.get() + 1);
        let (state, running) = (Rc::clone(state), Rc::clone(running));
        spawn_local(async move {
            one(&state, &running, intended).await;
            state.in_flight.set(state.in_flight.get() - 1);
            state.changed.notify_one();
        });
    }
}

async fn callers(state: &Rc<State>, running: &Rc<Running>, plan: &Plan) {
    let length = plan.length;
    let callers: Vec<_> = (0..plan.callers)
        .map(|_| {
            let (state, running) = (Rc::clone(state), Rc::clone(running));
            spawn_local(async move {
                while running.started.elapsed() < length {
                    one(&state, &running, Instant::now()).await;
                }
            })
        })
        .collect();
    for caller in callers {
        let _ = caller.await;
    }
}

async fn one(state: &Rc<State>, running: &Running, intended: Instant) {
    let class = state.messages.sizes().pick(&mut state.seed.borrow_mut());
    let index = state.outcomes.borrow_mut().begin(class);
    let due = intended.saturating_duration_since(running.started);
    running.recorder.borrow_mut().sent(due, intended.elapsed());
    state.live.sent.fetch_add(1, Ordering::Relaxed);
    let limit = Duration::from_millis(state.load.answer_timeout_ms);
    let answered = match tokio::time::timeout(limit, exchange(state, index, class)).await {
        Ok(Ok(judged)) => judged,
        Ok(Err(error)) => Err((Outcome::Failed, error.to_string())),
        Err(_) => Err((Outcome::Failed, format!("no answer within {} s", limit.as_secs_f64()))),
    };
    let (took, at) = (intended.elapsed(), running.started.elapsed());
    let (outcome, check, reason) = match answered {
        Ok(check) => (Outcome::Right, check, String::new()),
        Err((outcome, reason)) => (outcome, 0, reason),
    };
    let counter = if outcome == Outcome::Right { &state.live.right } else { &state.live.errors };
    counter.fetch_add(1, Ordering::Relaxed);
    state.gather.borrow_mut().answered(took);
    state.outcomes.borrow_mut().end(index, outcome, check);
    running.recorder.borrow_mut().ended(at, class, outcome, took, &reason);
}

type Judged = Result<u32, (Outcome, String)>;

async fn exchange(state: &State, index: u32, class: u8) -> std::io::Result<Judged> {
    let request = state.messages.request(index, class);
    let idle = loop {
        let taken = state.idle.borrow_mut().pop();
        match taken {
            Some((since, _)) if since.elapsed() > IDLE_MAX => {}
            // As every client that keeps connections does before it uses one again.
            Some((_, connection)) if connection.is_closed() => {}
            Some((_, connection)) => break Some(connection),
            None => break None,
        }
    };
    let mut connection = match idle {
        Some(connection) => connection,
        // Apart, as below: most messages find one.
        None => Box::pin(Connection::open(&state.target)).await?,
    };
    let answer = match state.messages.large(index, class) {
        None => connection.exchange(request).await?,
        Some(body) => {
            // Apart, so that the task of a small message is no larger for it.
            let answer = Box::pin(connection.exchange_large(&request.head, body)).await?;
            if let Some(passed) = answer.passed {
                state.live.meters.request.add(body.length, passed.sent);
                state.live.meters.response.add(body.length, passed.received);
            }
            answer
        }
    };
    let (judged, reusable) = (judge(state, index, class, &answer), answer.reusable);
    if reusable && state.load.keep_alive {
        state.idle.borrow_mut().push((Instant::now(), connection));
    }
    Ok(judged)
}

fn judge(state: &State, index: u32, class: u8, answer: &Answer<'_>) -> Judged {
    let body = &answer.body;
    let start = || String::from_utf8_lossy(body.get(..body.len().min(400)).unwrap_or(body)).into_owned();
    let fault = FAULT.find(body.get(..body.len().min(2000)).unwrap_or(body)).is_some();
    if answer.header("x-road-error").is_some() || fault {
        return Err((Outcome::Refused, without_ids(&start(), &state.messages.id(index))));
    }
    if answer.status != 200 {
        let outcome = if answer.status == 503 { Outcome::Refused } else { Outcome::Wrong };
        return Err((outcome, format!("HTTP {}: {}", answer.status, start())));
    }
    state.messages.check(index, class, answer).map_err(|reason| (Outcome::Wrong, reason.to_owned()))
}

// The same trouble of two messages is the same reason.
fn without_ids(text: &str, id: &str) -> String {
    let text = text.replace(id, "…");
    match text.find("\"detail\"").or_else(|| text.find("<detail")).or_else(|| text.find("faultdetail")) {
        Some(detail) => text.get(..detail).unwrap_or_default().to_owned(),
        None => text,
    }
}
