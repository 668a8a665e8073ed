//! Multiplexed connections to one target: few, with many channels on each. Every worker of the client reaches up to a number
//! of the server's, each worker others, so that none has all the clients.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::connection::Connection;
use super::super::multiplex::{Hello, Session};

/// Workers of the server that one of the client reaches: the fewer there are, the more is said at once on each connection.
const REACHED_MAX: usize = 4;
/// Attempts to reach one of them; which one takes a connection is the kernel's choice.
const ATTEMPTS_PER_WORKER: usize = 4;

/// Whether a worker of the client is to reach that one of the server, and how many it is to reach: several, so that one with
/// many clients does not make another as busy as itself.
fn reaches(worker: usize, there: Hello) -> (bool, usize) {
    let (workers, number) = (usize::from(there.workers).max(1), usize::from(there.worker));
    let wanted = workers.min(REACHED_MAX);
    let first = worker * wanted % workers;
    (number < workers && (number + workers - first) % workers < wanted, wanted)
}

/// The connections.
pub(super) struct Sessions {
    /// The worker that they belong to.
    worker: usize,
    held: Vec<Held>,
    /// One more is being made.
    pub(super) is_widening: bool,
    attempts: usize,
}

struct Held {
    session: Rc<Session>,
    /// Channels that nobody uses; the newest is at the end and is taken first.
    idle: Vec<(Instant, Connection)>,
}

impl Held {
    fn in_use(&self) -> usize {
        self.session.count().saturating_sub(self.idle.len())
    }

    /// Whether it leads to a worker that this one is to reach.
    fn leads_to_one_of(&self, worker: usize) -> bool {
        self.session.known_hello().is_some_and(|hello| reaches(worker, hello).0)
    }
}

impl Sessions {
    pub(super) fn new(worker: usize) -> Self {
        Self { worker, held: Vec::new(), is_widening: false, attempts: 0 }
    }

    /// An idle channel of the connection that has the fewest in use among those that have any.
    pub(super) fn idle_channel(&mut self, life: Duration) -> Option<Connection> {
        while let Some(held) = self.least_used(|held| !held.idle.is_empty()) {
            while let Some((since, mut channel)) = held.idle.pop() {
                if since.elapsed() < life && channel.is_idle_channel() {
                    return Some(channel);
                }
            }
        }
        None
    }

    /// A connection on which a channel can be opened: that which has the fewest in use.
    pub(super) fn with_room(&mut self) -> Option<Rc<Session>> {
        self.least_used(|held| held.session.has_room()).map(|held| Rc::clone(&held.session))
    }

    /// Opens a channel on it.
    pub(super) fn open(&mut self) -> Option<Connection> {
        self.with_room()?.open().map(Connection::of_channel)
    }

    fn least_used(&mut self, fits: impl Fn(&Held) -> bool) -> Option<&mut Held> {
        let before = self.held.len();
        self.held.retain(|held| held.session.is_open());
        if self.held.len() < before {
            // Others are looked for in its place.
            self.attempts = 0;
        }
        // Those that lead elsewhere serve until there is one that does not.
        let worker = self.worker;
        let fitting = self.held.iter_mut().filter(|held| fits(held));
        fitting.min_by_key(|held| (!held.leads_to_one_of(worker), held.in_use()))
    }

    /// Keeps a channel for the next exchange.
    pub(super) fn keep(&mut self, channel: Connection, idle_max: usize) {
        let held = channel
            .session()
            .and_then(|session| self.held.iter_mut().find(|held| Rc::ptr_eq(&held.session, session)));
        if let Some(held) = held.filter(|held| held.idle.len() < idle_max) {
            held.idle.push((Instant::now(), channel));
        }
    }

    /// One more connection.
    pub(super) fn add(&mut self, session: Rc<Session>) {
        self.held.push(Held { session, idle: Vec::new() });
    }

    /// Whether another connection is to be made. The attempt is counted.
    pub(super) fn widens(&mut self) -> bool {
        let hellos = self.held.iter().filter_map(|held| held.session.known_hello());
        let (mut reached, mut wanted) = (0, 0);
        for (is_one, all) in hellos.map(|hello| reaches(self.worker, hello)) {
            (reached, wanted) = (reached + usize::from(is_one), all);
        }
        if self.is_widening || reached >= wanted || self.attempts >= ATTEMPTS_PER_WORKER * wanted {
            return false;
        }
        self.is_widening = true;
        self.attempts += 1;
        true
    }

    /// The connection that was being made, and where it ended up: it is kept if it leads where none else does.
    pub(super) fn widened(&mut self, made: Option<Rc<Session>>, hello: Option<Hello>) {
        self.is_widening = false;
        let Some(session) = made else { return };
        let is_reached = |there: Hello| {
            self.held
                .iter()
                .any(|held| held.session.known_hello().is_some_and(|known| known.worker == there.worker))
        };
        match hello.is_some_and(|there| reaches(self.worker, there).0 && !is_reached(there)) {
            true => self.add(session),
            false => session.close(),
        }
    }

    /// Lets go of channels that were idle for so long, and of connections that are gone.
    pub(super) fn sweep(&mut self, life: Duration) {
        self.held.retain(|held| held.session.is_open());
        for held in &mut self.held {
            held.idle.retain(|(since, _)| since.elapsed() < life);
        }
    }

    /// Nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && !self.is_widening
    }

    /// Idle channels at the moment.
    pub(super) fn idle_count(&self) -> usize {
        self.held.iter().map(|held| held.idle.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_of_the_server_is_reached_and_none_of_the_client_reaches_too_many() {
        for workers in 1..=20 {
            for here in 1..=20 {
                let reached = |worker: usize| {
                    let there = move |number| Hello { worker: number as u16, workers: workers as u16 };
                    let those =
                        (0..workers).filter(|number| reaches(worker, there(*number)).0).collect::<Vec<_>>();
                    assert_eq!(
                        those.len(),
                        reaches(worker, there(0)).1,
                        "worker {worker} of {here}: {workers}"
                    );
                    assert!((1..=REACHED_MAX).contains(&those.len()));
                    those
                };
                let mut all = (0..here).flat_map(reached).collect::<Vec<_>>();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), workers.min(here * REACHED_MAX), "{here} workers reach {workers}");
            }
        }
    }
}
