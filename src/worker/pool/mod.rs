//! Client connections of one worker: idle ones are kept, and handed to those who wait for one in the order in which they
//! came.

mod idle;
mod route;
mod sessions;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) use idle::Idle;
use tokio::time::{Instant, timeout_at};

use super::client::{ClientConnection, Target};
use super::error::{HttpError, Wait};

/// Bounds of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Idle connections kept per address and identity.
    pub idle_per_target_max: usize,
    /// The worker that it belongs to: where connections are multiplexed, those of a process share out the workers of a server.
    pub worker: usize,
    /// Life of an idle connection; below the 30 s after which official servers close theirs.
    pub idle: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { idle_per_target_max: 256, worker: 0, idle: Duration::from_secs(25) }
    }
}

/// What makes two connections interchangeable: the address, the TLS host and the own identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    address: SocketAddr,
    tls: Option<(u64, String)>,
}

impl Key {
    pub(super) fn new(target: &Target, address: SocketAddr) -> Result<Self, HttpError> {
        let tls = match &target.tls {
            Some((client, host)) => Some((client.generation()?, host.clone())),
            None => None,
        };
        Ok(Self { address, tls })
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
        Rc::new(Self(Rc::new(Idle::new(options))))
    }

    /// An idle connection that still stands, or the next one that becomes idle or is made. `limit` is for waiting for it;
    /// of several addresses, for connecting to each in turn, with its TLS handshake. Under TLS the caller checks the server's
    /// certificates before sending, each time.
    pub async fn acquire(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        let since = Instant::now();
        let mut waited = None;
        loop {
            for &address in &target.addresses {
                let key = Key::new(target, address)?;
                if let Some(channel) = self.0.channel(&key, target, target.addresses.len() > 1) {
                    KEPT.fetch_add(1, Ordering::Relaxed);
                    return Ok(channel);
                }
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
                return Box::pin(self.0.connect(target, limit)).await;
            };
            let waiting = self.0.wait(Key::new(target, only)?, target, waited)?;
            let handed = timeout_at(since + limit, waiting.handed()).await;
            waited = Some(since);
            let mut connection = handed.map_err(|_| HttpError::Timeout(Wait::Connect))??;
            if !connection.reused() {
                return Ok(connection);
            }
            if connection.is_idle_and_open().await {
                KEPT.fetch_add(1, Ordering::Relaxed);
                return Ok(connection);
            }
        }
    }

    /// A new connection, whatever is idle: for the one resend that a failed reused connection permits. Where connections to
    /// the target are multiplexed it is a channel: many may have failed with one connection, and they have the next one together.
    pub async fn connect(&self, target: &Target, limit: Duration) -> Result<ClientConnection, HttpError> {
        if let &[only] = target.addresses.as_slice()
            && self.0.is_multiplexed(&Key::new(target, only)?)
        {
            return self.acquire(target, limit).await;
        }
        self.0.connect(target, limit).await
    }

    /// Whether the peer is one that closes each connection after its first exchange.
    #[cfg(test)]
    pub(super) fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Idle connections at the moment.
    pub fn idle(&self) -> usize {
        self.0.count()
    }
}
