//! Idle client connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::{ClientConnection, Target};
use super::connection::Connection;
use super::error::{HttpError, Wait};

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Idle connections kept per address and identity.
    pub idle_per_target_max: usize,
    /// Life of an idle connection; below the 30 s after which official servers close theirs.
    pub idle: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { idle_per_target_max: 256, idle: Duration::from_secs(25) }
    }
}

/// What makes two connections interchangeable: the address, the TLS host and the own identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    address: SocketAddr,
    tls: Option<(u64, String)>,
}

impl Key {
    fn new(target: &Target, address: SocketAddr) -> Result<Self, HttpError> {
        let tls = match &target.tls {
            Some((client, host)) => Some((client.generation()?, host.clone())),
            None => None,
        };
        Ok(Self { address, tls })
    }
}

/// New connections that are made at the same time to a peer that keeps them: the others wait, and mostly get one that
/// becomes idle meanwhile. Without a bound each message of a burst would begin a handshake of its own, and handshakes,
/// each with private-key operations on both sides, would take the processor from the messages.
const CONNECTING_MAX: usize = 8;

/// What leads to one target.
#[derive(Default)]
struct Route {
    /// The newest is at the end and is taken first.
    idle: Vec<(Instant, Connection)>,
    /// Connections that are being made.
    connecting: usize,
    /// The peer closed the last connection after one exchange: nothing will become idle, so nothing is waited for.
    closes: bool,
    /// One became idle, or one more may be made.
    changed: Rc<Notify>,
}

/// The idle connections.
pub(super) struct Idle {
    options: PoolOptions,
    routes: RefCell<HashMap<Key, Route>>,
    sweeping: Cell<bool>,
}

impl Idle {
    /// Keeps a connection.
    pub(super) fn put(self: &Rc<Self>, key: Key, connection: Connection) {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(key).or_default();
        route.closes = false;
        if route.idle.len() < self.options.idle_per_target_max {
            route.idle.push((Instant::now(), connection));
        }
        route.changed.notify_one();
        drop(routes);
        self.start_sweeping();
    }

    /// Notes that the peer ended a connection after its exchange.
    pub(super) fn closes(&self, key: &Key) {
        if let Some(route) = self.routes.borrow_mut().get_mut(key) {
            route.closes = true;
            route.changed.notify_waiters();
        }
    }

    fn take(&self, key: &Key) -> Option<Connection> {
        let mut routes = self.routes.borrow_mut();
        let (since, connection) = routes.get_mut(key)?.idle.pop()?;
        (since.elapsed() < self.options.idle).then_some(connection)
    }

    /// The leave to make a connection, or what to wait for.
    fn may_connect(self: &Rc<Self>, key: &Key) -> Result<Connecting, Rc<Notify>> {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(key.clone()).or_default();
        if route.connecting >= CONNECTING_MAX && !route.closes {
            return Err(Rc::clone(&route.changed));
        }
        route.connecting += 1;
        Ok(Connecting { idle: Rc::clone(self), key: key.clone() })
    }

    // One task as long as anything is idle, so that nothing stays open behind a peer's close for long.
    fn start_sweeping(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let (idle, life) = (Rc::downgrade(self), self.options.idle);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(life).await;
                let Some(idle) = idle.upgrade() else { return };
                let mut routes = idle.routes.borrow_mut();
                routes.retain(|_, route| {
                    route.idle.retain(|(since, _)| since.elapsed() < life);
                    !route.idle.is_empty() || route.connecting > 0 || Rc::strong_count(&route.changed) > 1
                });
                if routes.values().all(|route| route.idle.is_empty()) {
                    idle.sweeping.set(false);
                    return;
                }
            }
        });
    }
}

/// A connection that is being made; at its end, good or bad, the next one may be.
struct Connecting {
    idle: Rc<Idle>,
    key: Key,
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(route) = self.idle.routes.borrow_mut().get_mut(&self.key) {
            route.connecting = route.connecting.saturating_sub(1);
            route.changed.notify_one();
        }
    }
}

static MADE: AtomicU64 = AtomicU64::new(0);
static KEPT: AtomicU64 = AtomicU64::new(0);

/// Connections that messages took since the process started, over all pools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Made for them, whether that succeeded or not.
    pub made: u64,
    /// Idle ones.
    pub kept: u64,
}

/// The figures of the moment.
pub fn connections() -> Connections {
    Connections { made: MADE.load(Ordering::Relaxed), kept: KEPT.load(Ordering::Relaxed) }
}

/// A worker's client side: opens connections and keeps idle ones.
pub struct Pool(Rc<Idle>);

impl Pool {
    /// An empty pool; it belongs to the thread that makes it, inside of a worker's runtime.
    pub fn new(options: PoolOptions) -> Rc<Self> {
        let (routes, sweeping) = (RefCell::default(), Cell::new(false));
        Rc::new(Self(Rc::new(Idle { options, routes, sweeping })))
    }

    /// An idle connection that still stands, or a new one. `limit` is for connecting to each address in turn, with
    /// its TLS handshake. Under TLS the caller checks the server's certificates before sending, each time.
    pub async fn acquire(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        let deadline = Instant::now() + limit;
        loop {
            for &address in &target.addresses {
                let key = Key::new(target, address)?;
                while let Some(mut connection) = self.0.take(&key) {
                    if connection.is_idle_and_open().await {
                        KEPT.fetch_add(1, Ordering::Relaxed);
                        return Ok(ClientConnection::new(connection, key, Rc::downgrade(&self.0), true));
                    }
                }
            }
            // Of several addresses nobody knows which one will become idle, and a dead one among them must not make the
            // others wait for its timeout.
            let &[only] = target.addresses.as_slice() else {
                return Box::pin(self.connect(target, limit)).await;
            };
            match self.0.may_connect(&Key::new(target, only)?) {
                Ok(_connecting) => return Box::pin(self.connect(target, limit)).await,
                Err(changed) => {
                    let waited = tokio::time::timeout_at(deadline, changed.notified()).await;
                    waited.map_err(|_| HttpError::Timeout(Wait::Connect))?;
                }
            }
        }
    }

    /// A new connection, whatever is idle: for the one resend that a failed reused connection permits.
    pub async fn connect(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        MADE.fetch_add(1, Ordering::Relaxed);
        let key = |address| Key::new(target, address);
        ClientConnection::connect(target, limit, key, Rc::downgrade(&self.0)).await
    }

    /// Idle connections at the moment.
    pub fn idle(&self) -> usize {
        self.0.routes.borrow().values().map(|route| route.idle.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_makes_few_connections_at_once_unless_the_peer_closes_each() {
        let pool = Pool::new(PoolOptions::default());
        let key = Key { address: ([127, 0, 0, 1], 5500).into(), tls: None };
        let mut connecting: Vec<Connecting> = (0..CONNECTING_MAX)
            .map(|_| pool.0.may_connect(&key).unwrap_or_else(|_| panic!("below the bound")))
            .collect();
        assert!(pool.0.may_connect(&key).is_err(), "the others wait");
        connecting.pop();
        let next = pool.0.may_connect(&key);
        assert!(next.is_ok(), "one was made");
        assert!(pool.0.may_connect(&key).is_err());
        pool.0.closes(&key);
        assert!(pool.0.may_connect(&key).is_ok(), "nothing will become idle");
    }
}
