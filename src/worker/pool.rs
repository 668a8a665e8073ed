//! Idle client connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{ClientConnection, Target};
use super::connection::Connection;
use super::error::HttpError;

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

/// The idle connections; the newest is at the end and is taken first.
pub(super) struct Idle {
    options: PoolOptions,
    connections: RefCell<HashMap<Key, Vec<(Instant, Connection)>>>,
    sweeping: Cell<bool>,
}

impl Idle {
    /// Keeps a connection.
    pub(super) fn put(self: &Rc<Self>, key: Key, connection: Connection) {
        let mut connections = self.connections.borrow_mut();
        let idle = connections.entry(key).or_default();
        if idle.len() < self.options.idle_per_target_max {
            idle.push((Instant::now(), connection));
        }
        drop(connections);
        self.start_sweeping();
    }

    fn take(&self, key: &Key) -> Option<Connection> {
        let mut connections = self.connections.borrow_mut();
        let (since, connection) = connections.get_mut(key)?.pop()?;
        (since.elapsed() < self.options.idle).then_some(connection)
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
                let mut connections = idle.connections.borrow_mut();
                connections.retain(|_, list| {
                    list.retain(|(since, _)| since.elapsed() < life);
                    !list.is_empty()
                });
                if connections.is_empty() {
                    idle.sweeping.set(false);
                    return;
                }
            }
        });
    }
}

/// A worker's client side: opens connections and keeps idle ones.
pub struct Pool(Rc<Idle>);

impl Pool {
    /// An empty pool; it belongs to the thread that makes it, inside of a worker's runtime.
    pub fn new(options: PoolOptions) -> Rc<Self> {
        let (connections, sweeping) = (RefCell::default(), Cell::new(false));
        Rc::new(Self(Rc::new(Idle { options, connections, sweeping })))
    }

    /// An idle connection that still stands, or a new one. `limit` is for connecting to each address in turn, with
    /// its TLS handshake. Under TLS the caller checks the server's certificates before sending, each time.
    pub async fn acquire(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        for &address in &target.addresses {
            let key = Key::new(target, address)?;
            while let Some(mut connection) = self.0.take(&key) {
                if connection.is_idle_and_open().await {
                    return Ok(ClientConnection::new(connection, key, Rc::downgrade(&self.0), true));
                }
            }
        }
        self.connect(target, limit).await
    }

    /// A new connection, whatever is idle: for the one resend that a failed reused connection permits.
    pub async fn connect(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        let key = |address| Key::new(target, address);
        ClientConnection::connect(target, limit, key, Rc::downgrade(&self.0)).await
    }

    /// Idle connections at the moment.
    pub fn idle(&self) -> usize {
        self.0.connections.borrow().values().map(Vec::len).sum()
    }
}
