//! Worker threads: start, accept, leave, drain, stop.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::affinity;
use super::error::WorkerError;
use super::exchange::Handler;
use super::listener::{Listener, ListenerConfig, Role};
use super::multiplex::Hello;
use super::open::OpenConnections;
use super::runtime::{self, RuntimeKind, WorkerRuntime};
use super::server::{ServerTimeouts, Site, serve};
use crate::limits::CONNECTIONS_PER_WORKER_MAX;

/// How long clients are told to move away before a stop: at least, so that those are counted who have kept connections; at
/// most; and until nobody has used a kept connection for so long, as such a one is hardly used at the very moment at which
/// it is closed.
const LEAVING_MIN: Duration = Duration::from_millis(100);
const LEAVING_MAX: Duration = Duration::from_secs(5);
const LEAVING_QUIET: Duration = Duration::from_millis(400);
const LEAVING_LOOK: Duration = Duration::from_millis(10);
// Pause after an accept that failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// All are welcome.
    Running,
    /// All are served, each with the word that it closes: clients move away without losing a message.
    Leaving,
    /// The same, and new ones wait in the sockets for whoever else has these.
    Moving,
    /// None is accepted; what runs is finished.
    Draining,
}

/// How workers run.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Runtime, as [`choose`](super::choose) decided.
    pub runtime: RuntimeKind,
    /// Threads; 0 is one per CPU that the process may use.
    pub workers: usize,
    /// Addresses that every worker serves.
    pub listeners: Vec<ListenerConfig>,
    /// Waiting for clients.
    pub timeouts: ServerTimeouts,
    /// Pin each thread to a CPU of those that the process may use.
    pub pin: bool,
    /// How long running exchanges may take after a stop before they are cut.
    pub drain: Duration,
    /// Connections open at a time on one worker; more wait in the kernel's queue.
    pub connections: usize,
    /// Whether connections are accepted.
    pub admission: Admission,
    /// Time between two signs of life of each worker; see [`Workers::pulse`].
    pub beat: Duration,
}

impl WorkerConfig {
    /// One pinned worker per CPU, no listeners, usual timeouts.
    pub fn new(runtime: RuntimeKind) -> Self {
        let (timeouts, drain) = (ServerTimeouts::default(), Duration::from_secs(30));
        let beat = Duration::from_secs(1);
        let (connections, admission) = (CONNECTIONS_PER_WORKER_MAX, Admission::default());
        let (workers, listeners, pin) = (0, Vec::new(), true);
        Self { runtime, workers, listeners, timeouts, pin, drain, connections, admission, beat }
    }
}

/// Whether workers accept connections; those that are not accepted wait in the kernel's queue. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Admission(Arc<AtomicBool>);

impl Admission {
    /// No more, or again.
    pub fn close(&self, close: bool) {
        self.0.store(close, Ordering::Relaxed);
    }

    /// They are accepted.
    pub fn is_open(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    pub(super) async fn opened(&self) {
        while !self.is_open() {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Running workers. Dropping them stops them too, without waiting.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<(Role, SocketAddr)>,
    /// Of each listener, the sockets that the workers have, for a successor.
    sockets: Mutex<Vec<Vec<TcpListener>>>,
    pulse: Pulse,
    leaving: Arc<Leaving>,
    stop: watch::Sender<Phase>,
}

/// Kept connections while clients are told to move away. Nothing is counted before.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Those that wait for their next request.
    kept: AtomicUsize,
    /// Those on which it came.
    used: AtomicU64,
}

impl Leaving {
    fn read(&self) -> (usize, u64) {
        (self.kept.load(Ordering::Relaxed), self.used.load(Ordering::Relaxed))
    }

    /// Counts a kept connection as long as the value lives.
    pub(super) fn keep(&self) -> Kept<'_> {
        self.kept.fetch_add(1, Ordering::Relaxed);
        Kept(self)
    }
}

/// A connection that waits for its next request.
pub(super) struct Kept<'l>(&'l Leaving);

impl Kept<'_> {
    /// It came.
    pub(super) fn used(&self) {
        self.0.used.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.kept.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Signs of life of workers: each counts them in its own event loop, so that one that hangs counts no further.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<[AtomicU64]>);

impl Pulse {
    /// What each worker has counted so far.
    pub fn read(&self) -> Vec<u64> {
        self.0.iter().map(|beats| beats.load(Ordering::Relaxed)).collect()
    }
}

impl Workers {
    /// Bound addresses in the order of the configuration.
    pub fn addresses(&self) -> &[(Role, SocketAddr)] {
        &self.addresses
    }

    /// Signs of life.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// The sockets of all listeners once more, in the order of the configuration: connections that come when these
    /// workers accept no more wait in them. After a [`stop`](Self::stop) there are none.
    pub fn duplicate_sockets(&self) -> Vec<Vec<TcpListener>> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let of_listener =
            |own: &Vec<TcpListener>| own.iter().filter_map(|own| own.try_clone().ok()).collect();
        sockets.iter().map(of_listener).collect()
    }

    /// Lets clients move away: every answer says that its connection closes, and all are served as before. Waits until
    /// those clients have been told who use the connections that they keep. Blocks the thread.
    ///
    /// With `elsewhere` somebody else has the sockets too, and serves them now or soon: new connections are left to it.
    /// To take them would cost a handshake for each message.
    pub fn leave(&self, elsewhere: bool) {
        let leaving = if elsewhere { Phase::Moving } else { Phase::Leaving };
        let begins = self.stop.send_if_modified(|phase| {
            let begins = *phase == Phase::Running;
            *phase = (*phase).max(leaving);
            begins
        });
        if !begins {
            return;
        }
        let began = Instant::now();
        let (mut used, mut used_at) = (0, began);
        while began.elapsed() < LEAVING_MAX {
            std::thread::sleep(LEAVING_LOOK);
            let (kept, now) = self.leaving.read();
            if now != used {
                (used, used_at) = (now, Instant::now());
            }
            if began.elapsed() > LEAVING_MIN && (kept == 0 || used_at.elapsed() > LEAVING_QUIET) {
                return;
            }
        }
    }

    /// Begins a graceful stop: nothing is accepted any more, idle connections close, running exchanges finish.
    pub fn stop(&self) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.stop.send_replace(Phase::Draining);
    }

    /// Waits until all workers have ended (after [`stop`](Self::stop), at most the drain time). Blocks the thread.
    pub fn join(mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread has panicked");
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds all listeners and starts the workers; returns once all of them accept.
///
/// `make_handler` is called once on every worker's thread, inside of its runtime, with the worker's number.
pub fn run_workers<H: Handler>(
    config: WorkerConfig,
    make_handler: impl Fn(usize) -> Rc<H> + Send + Sync + 'static,
) -> Result<Workers, WorkerError> {
    let cpus = affinity::allowed_cpus();
    let count = if config.workers == 0 { cpus.len().max(1) } else { config.workers };
    let mut per_listener = Vec::with_capacity(config.listeners.len());
    let mut kept = Vec::with_capacity(config.listeners.len());
    let mut addresses = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let sockets = listener.sockets(count)?;
        let bound = sockets.iter().flatten().next().and_then(|socket| socket.local_addr().ok());
        kept.push(listener.duplicates(&sockets)?);
        addresses.push((listener.role, bound.unwrap_or(listener.address)));
        per_listener.push(sockets.into_iter());
    }
    let (stop, stopped) = watch::channel(Phase::Running);
    let (config, make_handler) = (Arc::new(config), Arc::new(make_handler));
    let pulse = Pulse((0..count).map(|_| AtomicU64::new(0)).collect());
    let (threads, sockets) = (Vec::with_capacity(count), Mutex::new(kept));
    let leaving = Arc::new(Leaving::default());
    let (told, kept) = (pulse.clone(), Arc::clone(&leaving));
    let mut workers = Workers { threads, addresses, sockets, pulse: told, leaving: kept, stop };
    let (started, starts) = mpsc::channel();
    for number in 0..count {
        let sockets = per_listener.iter_mut().filter_map(Iterator::next).collect();
        let cpu = (config.pin && !cpus.is_empty()).then(|| cpus.get(number % cpus.len()).copied()).flatten();
        let (config, make_handler, stopped) =
            (Arc::clone(&config), Arc::clone(&make_handler), stopped.clone());
        let (started, signs) = (started.clone(), (pulse.clone(), Arc::clone(&leaving), number));
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            cpu.into_iter().for_each(affinity::pin);
            work(&config, sockets, || make_handler(number), stopped, started, signs);
        });
        workers.threads.push(thread.map_err(WorkerError::Start)?);
    }
    drop(started);
    for _ in 0..count {
        let ended = |_| WorkerError::Start(std::io::Error::other("a worker ended while starting"));
        starts.recv().map_err(ended)?.map_err(WorkerError::Start)?;
    }
    Ok(workers)
}

fn work<H: Handler>(
    config: &WorkerConfig,
    sockets: Vec<Vec<TcpListener>>,
    make_handler: impl FnOnce() -> Rc<H>,
    stop: watch::Receiver<Phase>,
    started: mpsc::Sender<std::io::Result<()>>,
    (pulse, leaving, number): (Pulse, Arc<Leaving>, usize),
) {
    let runtime = match WorkerRuntime::new(config.runtime) {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime::set_current(config.runtime);
    runtime.block_on(async {
        let own = |(listener, sockets): (usize, Vec<TcpListener>)| {
            sockets.into_iter().map(move |socket| Ok((listener, Listener::new(socket, config.runtime)?)))
        };
        let listeners: std::io::Result<Vec<_>> = sockets.into_iter().enumerate().flat_map(own).collect();
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let place = Hello { worker: number as u16, workers: pulse.0.len() as u16 };
        let (handler, open) = (make_handler(), Rc::new(OpenConnections::up_to(config.connections)));
        let accepting: Vec<_> = listeners
            .into_iter()
            .filter_map(|(place, socket)| Some((config.listeners.get(place)?, socket)))
            .map(|(listener, socket)| {
                let site = Rc::new(Site {
                    handler: Rc::clone(&handler),
                    role: listener.role,
                    tls: listener.tls.clone(),
                    timeouts: config.timeouts,
                    stop: stop.clone(),
                    leaving: Arc::clone(&leaving),
                    open: Rc::clone(&open),
                    admission: config.admission.clone(),
                    place,
                });
                tokio::task::spawn_local(accept(site, socket))
            })
            .collect();
        let beating = tokio::task::spawn_local(beat(pulse, number, config.beat));
        let _ = started.send(Ok(()));
        for task in accepting {
            let _ = task.await;
        }
        let _ = stop.clone().wait_for(|phase| *phase == Phase::Draining).await;
        if tokio::time::timeout(config.drain, open.none_left()).await.is_err() {
            tracing::warn!(connections = open.count(), "exchanges are cut by the end of the drain time");
        }
        beating.abort();
    });
}

async fn beat(pulse: Pulse, number: usize, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        hang_on_purpose(number);
        if let Some(beats) = pulse.0.get(number) {
            beats.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For tests of the watchdog: the first worker hangs as soon as the file is there that this environment variable names.
#[cfg(debug_assertions)]
fn hang_on_purpose(number: usize) {
    let file = std::env::var_os("HERMOD_TEST_HANG_FILE").filter(|_| number == 0);
    while file.as_ref().is_some_and(|file| std::path::Path::new(file).exists()) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(not(debug_assertions))]
fn hang_on_purpose(_: usize) {}

async fn accept<H: Handler>(site: Rc<Site<H>>, listener: Listener) {
    let mut stop = site.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|phase| *phase >= Phase::Moving) => return,
            accepted = async {
                site.open.room().await;
                site.admission.opened().await;
                listener.accept().await
            } => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (site, open) = (Rc::clone(&site), OpenConnections::enter(&site.open));
                tokio::task::spawn_local(async move {
                    serve(&site, stream, address).await;
                    drop(open);
                });
            }
            Err(error) => {
                tracing::warn!(role = ?site.role, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
