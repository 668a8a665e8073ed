//! Idle connections, and the making of new ones for those who wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::super::client::{ClientConnection, Target};
use super::super::connection::Connection;
use super::super::error::HttpError;
use super::route::{CONNECT_LONGEST, Handed, Route};
use super::{Key, MADE, PoolOptions};

/// The idle connections, and who waits for one.
pub(in crate::worker) struct Idle {
    options: PoolOptions,
    routes: RefCell<HashMap<Key, Route>>,
    sweeping: Cell<bool>,
}

impl Idle {
    pub(super) fn new(options: PoolOptions) -> Self {
        Self { options, routes: RefCell::default(), sweeping: Cell::new(false) }
    }

    /// Hands a connection to the first one who waits for it, or keeps it. Has it served an exchange?
    pub(in crate::worker) fn put(self: &Rc<Self>, key: Key, connection: Connection, served: bool) {
        let mut routes = self.routes.borrow_mut();
        let route = match routes.get_mut(&key) {
            Some(route) => route,
            None => routes.entry(key.clone()).or_default(),
        };
        route.closes &= !served;
        let connection = ClientConnection::new(connection, key, Rc::downgrade(self), true);
        let Some(connection) = route.hand_over(connection) else { return };
        if route.idle.len() < self.options.idle_per_target_max {
            route.idle.push((Instant::now(), connection.into_connection()));
        }
        drop(routes);
        self.start_sweeping();
    }

    /// Notes that the peer ended a connection after its first exchange.
    pub(in crate::worker) fn closes(self: &Rc<Self>, key: &Key) {
        let mut routes = self.routes.borrow_mut();
        let Some(route) = routes.get_mut(key) else { return };
        route.closes = true;
        self.make_connections(key, route);
    }

    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut routes = self.routes.borrow_mut();
        let (since, connection) = routes.get_mut(key)?.idle.pop()?;
        (since.elapsed() < self.options.idle).then_some(connection)
    }

    /// A place among those who wait; connections are made for them. `since`: who waits again, and had waited since
    /// then, has the first place. Error: too many wait.
    pub(super) fn wait(
        self: &Rc<Self>,
        key: Key,
        target: &Target,
        since: Option<Instant>,
    ) -> Result<Waiting, HttpError> {
        let mut routes = self.routes.borrow_mut();
        let route = routes.entry(key.clone()).or_default();
        let handed = match since {
            None => route.wait(target)?,
            Some(since) => route.wait_again(target, since),
        };
        self.make_connections(&key, route);
        Ok(Waiting { idle: Rc::clone(self), key, handed: Some(handed) })
    }

    /// A new connection.
    pub(super) async fn connect(self: &Rc<Self>, target: &Target, limit: Duration) -> Handed {
        MADE.fetch_add(1, Ordering::Relaxed);
        let key = |address| Key::new(target, address);
        ClientConnection::connect(target, limit, key, Rc::downgrade(self)).await
    }

    // Each in a task of its own: whoever waits takes what comes first, and what was begun is not given up.
    fn make_connections(self: &Rc<Self>, key: &Key, route: &mut Route) {
        while let Some(target) = route.next_connection() {
            let attempt =
                Attempt { idle: Rc::clone(self), key: key.clone(), began: Instant::now(), ended: false };
            spawn_local(async move {
                let made = attempt.idle.connect(&target, CONNECT_LONGEST).await;
                attempt.ended(made);
            });
        }
    }

    // One task as long as anything is idle, so that nothing stays open behind a peer's close for long.
    fn start_sweeping(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let (idle, life) = (Rc::downgrade(self), self.options.idle);
        spawn_local(async move {
            loop {
                sleep(life).await;
                let Some(idle) = idle.upgrade() else { return };
                let mut routes = idle.routes.borrow_mut();
                routes.retain(|_, route| {
                    route.idle.retain(|(since, _)| since.elapsed() < life);
                    !route.is_unused()
                });
                if routes.values().all(|route| route.idle.is_empty()) {
                    idle.sweeping.set(false);
                    return;
                }
            }
        });
    }

    /// Idle connections at the moment.
    pub(super) fn count(&self) -> usize {
        self.routes.borrow().values().map(|route| route.idle.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn is_closing(&self) -> bool {
        self.routes.borrow().values().any(|route| route.closes)
    }
}

/// A connection that is being made.
struct Attempt {
    idle: Rc<Idle>,
    key: Key,
    began: Instant,
    ended: bool,
}

impl Attempt {
    fn ended(mut self, made: Handed) {
        self.ended = true;
        let mut routes = self.idle.routes.borrow_mut();
        let Some(route) = routes.get_mut(&self.key) else { return };
        route.connected(made.is_ok().then(|| self.began.elapsed()));
        let left = match made {
            Ok(connection) => route.hand_over(connection),
            Err(error) => {
                route.fail(error, self.began);
                None
            }
        };
        self.idle.make_connections(&self.key, route);
        drop(routes);
        // Nobody waits any more.
        left.into_iter().for_each(ClientConnection::release);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // The worker stops, or the attempt has failed in a way that nothing is known of.
        if !self.ended
            && let Ok(mut routes) = self.idle.routes.try_borrow_mut()
            && let Some(route) = routes.get_mut(&self.key)
        {
            route.connected(None);
        }
    }
}

/// A place among those who wait.
pub(super) struct Waiting {
    idle: Rc<Idle>,
    key: Key,
    /// `None` once it was used.
    handed: Option<oneshot::Receiver<Handed>>,
}

impl Waiting {
    /// What comes first: a connection, or why none could be made. May be given up at any time.
    pub(super) async fn handed(mut self) -> Handed {
        let Some(handed) = &mut self.handed else { return Err(HttpError::Closed) };
        let outcome = handed.await;
        self.handed = None;
        // A route with someone who waits is not forgotten: its end stands.
        outcome.unwrap_or(Err(HttpError::Closed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match self.handed.take().map(|mut handed| handed.try_recv()) {
            None => {}
            // Given up in the moment in which it was handed over.
            Some(Ok(Ok(connection))) => connection.release(),
            Some(Ok(Err(_))) => {}
            Some(Err(_)) => {
                if let Some(route) = self.idle.routes.borrow_mut().get_mut(&self.key) {
                    route.waits_no_more();
                }
            }
        }
    }
}
