//! Idle client connections of one worker.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::client::{ClientConnection, Target};
use super::connection::Connection;
use super::error::{HttpError, Wait};
use crate::limits::{CONNECTION_WAITERS_BURST_MAX, CONNECTION_WAITERS_MAX};

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
/// The same to a peer that closes each connection after its first exchange: what is waited for there is only the turn.
const CONNECTING_TO_CLOSING_MAX: usize = 256;
/// Handshakes that take longer than this, and than twice the quickest one with the same peer, are fewer at once, in
/// proportion: what slows them down is not the way to it, but that the processors of this server or of the peer are busy
/// with messages, which more handshakes would only delay.
const HANDSHAKE_USUAL: Duration = Duration::from_millis(50);

/// How long more messages may wait than else. They pile up like that while a peer is restarted, and are gone soon after
/// it; a crowd that stays is an overload, which waiting does not mend.
const BURST: Duration = Duration::from_secs(8);

/// What leads to one target.
#[derive(Default)]
struct Route {
    /// The newest is at the end and is taken first.
    idle: Vec<(Instant, Connection)>,
    /// Connections that are being made.
    connecting: usize,
    /// How long it took to make the last one.
    took: Duration,
    /// How long the quickest one took: the way to the peer and back is in it.
    quickest: Option<Duration>,
    /// Messages that wait for one.
    waiting: usize,
    /// Since when more wait than may do for long.
    crowded: Option<Instant>,
    /// The peer closed a new connection after its first exchange: nothing will become idle, so nothing is waited for.
    closes: bool,
    /// One became idle, or one more may be made.
    changed: Rc<Notify>,
}

impl Route {
    fn connecting_max(&self) -> usize {
        if self.closes {
            return CONNECTING_TO_CLOSING_MAX;
        }
        let usual = HANDSHAKE_USUAL.max(2 * self.quickest.unwrap_or_default());
        let usual = CONNECTING_MAX as u128 * usual.as_micros();
        let now = usual.checked_div(self.took.as_micros()).unwrap_or(usual);
        (now as usize).clamp(1, CONNECTING_MAX)
    }

    fn waiting_max(&mut self) -> usize {
        if self.waiting < CONNECTION_WAITERS_MAX {
            return CONNECTION_WAITERS_MAX;
        }
        match self.crowded.get_or_insert_with(Instant::now).elapsed() < BURST {
            true => CONNECTION_WAITERS_BURST_MAX,
            false => CONNECTION_WAITERS_MAX,
        }
    }

    fn waits_no_more(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting < CONNECTION_WAITERS_MAX {
            self.crowded = None;
        }
    }
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

    /// Notes that the peer ended a connection after its first exchange.
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

    /// The leave to make a connection, or to wait for one. Error: too many wait.
    fn may_connect(self: &Rc<Self>, key: &Key) -> Result<Leave, HttpError> {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(key.clone()).or_default();
        let (idle, key) = (Rc::clone(self), key.clone());
        if route.connecting < route.connecting_max() {
            route.connecting += 1;
            return Ok(Leave::Connect(Connecting { idle, key, since: Instant::now() }));
        }
        if route.waiting >= route.waiting_max() {
            return Err(HttpError::Busy(route.waiting));
        }
        route.waiting += 1;
        let changed = Rc::clone(&route.changed);
        Ok(Leave::Wait(Waiting { idle, key, changed }))
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

/// What a message without a connection does.
enum Leave {
    Connect(Connecting),
    Wait(Waiting),
}

/// A message that waits.
struct Waiting {
    idle: Rc<Idle>,
    key: Key,
    changed: Rc<Notify>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(route) = self.idle.routes.borrow_mut().get_mut(&self.key) {
            route.waits_no_more();
        }
    }
}

/// A connection that is being made; at its end, good or bad, the next one may be.
struct Connecting {
    idle: Rc<Idle>,
    key: Key,
    since: Instant,
}

impl Connecting {
    fn made(self) {
        if let Some(route) = self.idle.routes.borrow_mut().get_mut(&self.key) {
            route.took = self.since.elapsed();
            route.quickest = Some(route.quickest.map_or(route.took, |quickest| quickest.min(route.took)));
        }
    }
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
            match self.0.may_connect(&Key::new(target, only)?)? {
                Leave::Connect(connecting) => {
                    let connection = Box::pin(self.connect(target, limit)).await?;
                    connecting.made();
                    return Ok(connection);
                }
                Leave::Wait(waiting) => {
                    let waited = tokio::time::timeout_at(deadline, waiting.changed.notified()).await;
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

    /// Whether the peer is one that closes each connection after its first exchange.
    #[cfg(test)]
    pub(super) fn is_closing(&self) -> bool {
        self.0.routes.borrow().values().any(|route| route.closes)
    }

    /// Idle connections at the moment.
    pub fn idle(&self) -> usize {
        self.0.routes.borrow().values().map(|route| route.idle.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool_and_key() -> (Rc<Pool>, Key) {
        (Pool::new(PoolOptions::default()), Key { address: ([127, 0, 0, 1], 5500).into(), tls: None })
    }

    fn connect(pool: &Pool, key: &Key) -> Option<Connecting> {
        match pool.0.may_connect(key).unwrap() {
            Leave::Connect(connecting) => Some(connecting),
            Leave::Wait(_) => None,
        }
    }

    #[test]
    fn a_burst_makes_few_connections_at_once_unless_the_peer_closes_each() {
        let (pool, key) = pool_and_key();
        let mut connecting: Vec<Connecting> =
            (0..CONNECTING_MAX).map(|_| connect(&pool, &key).expect("below the bound")).collect();
        assert!(connect(&pool, &key).is_none(), "the others wait");
        connecting.pop();
        let next = connect(&pool, &key);
        assert!(next.is_some(), "one was made");
        assert!(connect(&pool, &key).is_none());
        pool.0.closes(&key);
        let made: Vec<Connecting> = std::iter::from_fn(|| connect(&pool, &key)).collect();
        assert_eq!(made.len(), CONNECTING_TO_CLOSING_MAX - CONNECTING_MAX, "nothing will become idle");
    }

    /// Handshakes at once after one that took so long.
    async fn at_once_after(pool: &Pool, key: &Key, took_ms: u64) -> usize {
        let connecting = connect(pool, key).unwrap();
        tokio::time::advance(Duration::from_millis(took_ms)).await;
        connecting.made();
        let made: Vec<Connecting> = std::iter::from_fn(|| connect(pool, key)).collect();
        made.len()
    }

    #[tokio::test(start_paused = true)]
    async fn slow_handshakes_are_fewer_at_once() {
        let (pool, key) = pool_and_key();
        for (took_ms, at_once) in [(10, 8), (50, 8), (100, 4), (399, 1), (60_000, 1)] {
            assert_eq!(at_once_after(&pool, &key, took_ms).await, at_once, "{took_ms} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_far_peer_is_not_a_busy_one() {
        let (pool, key) = pool_and_key();
        for (took_ms, at_once) in [(300, 8), (600, 8), (1200, 4)] {
            assert_eq!(at_once_after(&pool, &key, took_ms).await, at_once, "{took_ms} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_number_of_messages_waits_for_a_connection_more_for_a_short_time() {
        let (pool, key) = pool_and_key();
        let _connecting: Vec<Connecting> = std::iter::from_fn(|| connect(&pool, &key)).collect();
        let wait = || pool.0.may_connect(&key);
        let mut waiting: Vec<Leave> = (0..CONNECTION_WAITERS_BURST_MAX).map(|_| wait().unwrap()).collect();
        let is_refused = || matches!(wait(), Err(HttpError::Busy(_)));
        assert!(is_refused());
        waiting.pop();
        assert!(!is_refused());
        tokio::time::advance(BURST).await;
        assert!(is_refused(), "the crowd has stayed");
        waiting.truncate(CONNECTION_WAITERS_MAX);
        assert!(is_refused(), "no more than may wait for long");
        waiting.pop();
        waiting.push(wait().unwrap());
        assert!(!is_refused(), "a new crowd");
    }
}
