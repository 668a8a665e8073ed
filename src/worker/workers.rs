//! Worker threads: start, accept, drain, stop.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::affinity;
use super::error::WorkerError;
use super::exchange::Handler;
use super::listener::{Listener, ListenerConfig, Role};
use super::runtime::{self, RuntimeKind, WorkerRuntime};
use super::server::{ServerTimeouts, Site, serve};
use crate::limits::CONNECTIONS_PER_WORKER_MAX;

// Pause after an accept that failed for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
}

impl WorkerConfig {
    /// One pinned worker per CPU, no listeners, usual timeouts.
    pub fn new(runtime: RuntimeKind) -> Self {
        let (timeouts, drain) = (ServerTimeouts::default(), Duration::from_secs(30));
        Self { runtime, workers: 0, listeners: Vec::new(), timeouts, pin: true, drain }
    }
}

/// Running workers. Dropping them stops them too, without waiting.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<(Role, SocketAddr)>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Bound addresses in the order of the configuration.
    pub fn addresses(&self) -> &[(Role, SocketAddr)] {
        &self.addresses
    }

    /// Begins a graceful stop: nothing is accepted any more, idle connections close, running exchanges finish.
    pub fn stop(&self) {
        self.stop.send_replace(true);
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
    let mut addresses = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let sockets = listener.sockets(count)?;
        let bound = sockets.first().and_then(|socket| socket.local_addr().ok());
        addresses.push((listener.role, bound.unwrap_or(listener.address)));
        per_listener.push(sockets.into_iter());
    }
    let (stop, stopped) = watch::channel(false);
    let (config, make_handler) = (Arc::new(config), Arc::new(make_handler));
    let mut workers = Workers { threads: Vec::with_capacity(count), addresses, stop };
    let (started, starts) = mpsc::channel();
    for number in 0..count {
        let sockets = per_listener.iter_mut().filter_map(Iterator::next).collect();
        let cpu = (config.pin && !cpus.is_empty()).then(|| cpus.get(number % cpus.len()).copied()).flatten();
        let (config, make_handler, stopped) =
            (Arc::clone(&config), Arc::clone(&make_handler), stopped.clone());
        let started = started.clone();
        let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            cpu.into_iter().for_each(affinity::pin);
            work(&config, sockets, || make_handler(number), stopped, started);
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
    sockets: Vec<TcpListener>,
    make_handler: impl FnOnce() -> Rc<H>,
    stop: watch::Receiver<bool>,
    started: mpsc::Sender<std::io::Result<()>>,
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
        let listeners: std::io::Result<Vec<_>> =
            sockets.into_iter().map(|socket| Listener::new(socket, config.runtime)).collect();
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        let (handler, open) = (make_handler(), Rc::new(OpenConnections::default()));
        let accepting: Vec<_> = config
            .listeners
            .iter()
            .zip(listeners)
            .map(|(listener, socket)| {
                let site = Rc::new(Site {
                    handler: Rc::clone(&handler),
                    role: listener.role,
                    tls: listener.tls.clone(),
                    timeouts: config.timeouts,
                    stop: stop.clone(),
                });
                tokio::task::spawn_local(accept(site, socket, Rc::clone(&open)))
            })
            .collect();
        let _ = started.send(Ok(()));
        for task in accepting {
            let _ = task.await;
        }
        let _ = stop.clone().wait_for(|stop| *stop).await;
        if tokio::time::timeout(config.drain, open.none_left()).await.is_err() {
            tracing::warn!(connections = open.count.get(), "exchanges are cut by the end of the drain time");
        }
    });
}

async fn accept<H: Handler>(site: Rc<Site<H>>, listener: Listener, open: Rc<OpenConnections>) {
    let mut stop = site.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = async { open.room().await; listener.accept().await } => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (site, open) = (Rc::clone(&site), OpenConnections::enter(&open));
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

#[derive(Default)]
struct OpenConnections {
    count: Cell<usize>,
    changed: Notify,
}

struct OpenConnection(Rc<OpenConnections>);

impl OpenConnections {
    fn enter(this: &Rc<Self>) -> OpenConnection {
        this.count.set(this.count.get() + 1);
        OpenConnection(Rc::clone(this))
    }

    async fn until(&self, condition: impl Fn(usize) -> bool) {
        while !condition(self.count.get()) {
            self.changed.notified().await;
        }
    }

    async fn room(&self) {
        self.until(|count| count < CONNECTIONS_PER_WORKER_MAX).await;
    }

    async fn none_left(&self) {
        self.until(|count| count == 0).await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get().saturating_sub(1));
        // Everything is on one thread, so nobody can start to wait between the change and this.
        self.0.changed.notify_waiters();
    }
}
