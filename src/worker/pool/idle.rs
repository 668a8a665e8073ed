//! Idle connections, and the making of new ones for those who wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use super::super::client::{ClientConnection, Target, dial};
use super::super::connection::Connection;
use super::super::error::{HttpError, Wait};
use super::super::multiplex::Session;
use super::super::tls::TlsClient;
use super::route::{CONNECT_LONGEST, Handed, Route};
use super::sessions::Sessions;
use super::{Key, MADE, PoolOptions};

/// How long the first frame of a server that multiplexes may take.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// The idle connections, and who waits for one.
pub(in crate::worker) struct Idle {
    options: PoolOptions,
    routes: RefCell<HashMap<Key, Route>>,
    sessions: RefCell<HashMap<Key, Sessions>>,
    sweeping: Cell<bool>,
}

impl Idle {
    pub(super) fn new(options: PoolOptions) -> Self {
        let (routes, sessions) = (RefCell::default(), RefCell::default());
        Self { options, routes, sessions, sweeping: Cell::new(false) }
    }

    /// Hands a connection to the first one who waits for it, or keeps it. Has it served an exchange?
    pub(in crate::worker) fn put(self: &Rc<Self>, key: Key, connection: Connection, served: bool) {
        let mut routes = self.routes.borrow_mut();
        let route = match routes.get_mut(&key) {
            Some(route) => route,
            None => routes.entry(key.clone()).or_default(),
        };
        route.closes &= !served;
        let connection = ClientConnection::new(connection, key.clone(), Rc::downgrade(self), true);
        let Some(connection) = route.hand_over(connection) else { return };
        if connection.is_channel() {
            if let Some(sessions) = self.sessions.borrow_mut().get_mut(&key) {
                sessions.keep(connection.into_connection(), self.options.idle_per_target_max);
            }
        } else if route.idle.len() < self.options.idle_per_target_max {
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

    /// An idle channel of a multiplexed connection to the target; with `new` also one that is opened now.
    pub(super) fn channel(
        self: &Rc<Self>,
        key: &Key,
        target: &Target,
        new: bool,
    ) -> Option<ClientConnection> {
        let mut all = self.sessions.borrow_mut();
        let sessions = all.get_mut(key)?;
        let mut channel = sessions.idle_channel(self.options.idle);
        if new && channel.is_none() {
            channel = sessions.open();
        }
        if sessions.widens() {
            self.widen(key.clone(), target.tls.clone());
        }
        channel.map(|channel| self.of_session(channel, key))
    }

    /// Connections to the target are multiplexed, or were a short while ago.
    pub(super) fn is_multiplexed(&self, key: &Key) -> bool {
        self.sessions.borrow().contains_key(key)
    }

    // Of a connection that stood before.
    fn of_session(self: &Rc<Self>, channel: Connection, key: &Key) -> ClientConnection {
        ClientConnection::new(channel, key.clone(), Rc::downgrade(self), true)
    }

    // Another worker of the server takes its part of the messages.
    fn widen(self: &Rc<Self>, key: Key, tls: Option<(Arc<TlsClient>, String)>) {
        let idle = Rc::clone(self);
        spawn_local(async move {
            MADE.fetch_add(1, Ordering::Relaxed);
            let target = Target { addresses: vec![key.address], tls };
            let made = match dial(&target, CONNECT_LONGEST).await {
                Ok((connection, made)) if made == key => connection.into_established(),
                _ => None,
            };
            let session = made.map(|made| Session::client(made, idle.options.idle));
            let hello = match &session {
                Some(session) => timeout(HELLO_WITHIN, session.hello()).await.ok().flatten(),
                None => None,
            };
            match idle.sessions.borrow_mut().get_mut(&key) {
                Some(sessions) => sessions.widened(session, hello),
                None => session.iter().for_each(|session| session.close()),
            }
        });
    }

    /// A new connection, or where connections to the target are multiplexed a channel of one.
    pub(super) async fn connect(self: &Rc<Self>, target: &Target, limit: Duration) -> Handed {
        MADE.fetch_add(1, Ordering::Relaxed);
        let (connection, key) = dial(target, limit).await?;
        if !connection.is_multiplexed() {
            return Ok(ClientConnection::new(connection, key, Rc::downgrade(self), false));
        }
        let session = connection.into_established().map(|made| Session::client(made, self.options.idle));
        let session = session.ok_or(HttpError::Closed)?;
        let mut all = self.sessions.borrow_mut();
        let sessions = all.entry(key.clone()).or_insert_with(|| Sessions::new(self.options.worker));
        // Somebody else has made one meanwhile.
        if let Some(channel) = sessions.open() {
            session.close();
            return Ok(self.of_session(channel, &key));
        }
        let channel = session.open().map(Connection::of_channel).ok_or(HttpError::Closed)?;
        sessions.add(session);
        drop(all);
        self.start_sweeping();
        Ok(ClientConnection::new(channel, key, Rc::downgrade(self), false))
    }

    /// A new channel of a connection that stands, as soon as the server's worker has answered. So channels become more as
    /// connections do: slowly when either end is busy. When the connection is gone meanwhile nobody who waits is told: the
    /// next attempts, which are fewer, are for another one.
    async fn open(self: &Rc<Self>, key: &Key, limit: Duration) -> Handed {
        let none = || HttpError::Timeout(Wait::Connect);
        let session = self.sessions.borrow_mut().get_mut(key).and_then(Sessions::with_room);
        let session = session.ok_or_else(none)?;
        let answered = timeout(limit, session.ping()).await;
        let channel = session.open().filter(|_| answered == Ok(true)).ok_or_else(none)?;
        Ok(self.of_session(Connection::of_channel(channel), key))
    }

    // Each in a task of its own: whoever waits takes what comes first, and what was begun is not given up.
    fn make_connections(self: &Rc<Self>, key: &Key, route: &mut Route) {
        let multiplexed =
            self.sessions.borrow_mut().get_mut(key).is_some_and(|sessions| sessions.with_room().is_some());
        while let Some(target) = route.next_connection(multiplexed) {
            let attempt =
                Attempt { idle: Rc::clone(self), key: key.clone(), began: Instant::now(), ended: false };
            spawn_local(async move {
                let made = match multiplexed {
                    true => attempt.idle.open(&attempt.key, CONNECT_LONGEST).await,
                    false => attempt.idle.connect(&target, CONNECT_LONGEST).await,
                };
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
                idle.sessions.borrow_mut().retain(|_, sessions| {
                    sessions.sweep(life);
                    !sessions.is_empty()
                });
                let none = idle.sessions.borrow().is_empty();
                let mut routes = idle.routes.borrow_mut();
                routes.retain(|_, route| {
                    route.idle.retain(|(since, _)| since.elapsed() < life);
                    !route.is_unused()
                });
                if none && routes.values().all(|route| route.idle.is_empty()) {
                    idle.sweeping.set(false);
                    return;
                }
            }
        });
    }

    /// Idle connections at the moment.
    pub(super) fn count(&self) -> usize {
        self.channels() + self.routes.borrow().values().map(|route| route.idle.len()).sum::<usize>()
    }

    fn channels(&self) -> usize {
        self.sessions.borrow().values().map(Sessions::idle_count).sum()
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
