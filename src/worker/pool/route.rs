//! What leads to one target: who waits for a connection to it, and how many may be made at once.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::client::{ClientConnection, Target};
use super::super::connection::Connection;
use super::super::error::HttpError;
use crate::limits::{CONNECTION_WAITERS_BURST_MAX, CONNECTION_WAITERS_MAX};

/// New connections that are made at the same time to a peer that keeps them: the others wait, and mostly get one that
/// becomes idle meanwhile. Without a bound each message of a burst would begin a handshake of its own, and handshakes,
/// each with private-key operations on both sides, would take the processor from the messages.
pub(super) const CONNECTING_MAX: usize = 8;
/// New channels that are asked for at the same time where connections are multiplexed: what costs there is not to open one,
/// but what more messages under way cost both ends.
pub(super) const OPENING_MAX: usize = 24;
/// The same to a peer that closes each connection after its first exchange: what is waited for there is only the turn.
pub(super) const CONNECTING_TO_CLOSING_MAX: usize = 256;
/// Handshakes that take longer than this, and than twice the quickest one with the same peer, are fewer at once, in
/// proportion: what slows them down is not the way to it, but that the processors of this server or of the peer are busy
/// with messages, which more handshakes would only delay.
const HANDSHAKE_USUAL: Duration = Duration::from_millis(50);
/// How long more messages may wait than else. They pile up like that while a peer is restarted, and are gone soon after
/// it; a crowd that stays is an overload, which waiting does not mend.
pub(super) const BURST: Duration = Duration::from_secs(8);

/// How long it may take to make one. Those who wait have their own limits; another attempt is made as long as they wait, so
/// that a peer that did not answer when it was tried does not hold those who come when it does.
pub(super) const CONNECT_LONGEST: Duration = Duration::from_secs(15);

/// What one who waits is given at last: a connection, or why none could be made.
pub(super) type Handed = Result<ClientConnection, HttpError>;

/// What leads to one target.
#[derive(Default)]
pub(super) struct Route {
    /// The newest is at the end and is taken first. None is idle while somebody waits.
    pub(super) idle: Vec<(Instant, Connection)>,
    /// The peer closed a new connection after its first exchange: nothing will become idle, so nothing is waited for.
    pub(super) closes: bool,
    /// How connections are made for those who wait.
    way: Option<Rc<Target>>,
    /// Those who wait and since when, the first one first; some may have given up.
    queue: VecDeque<(Instant, oneshot::Sender<Handed>)>,
    /// How many have not.
    waiting: usize,
    /// Since when more wait than may do for long.
    crowded: Option<Instant>,
    /// Connections that are being made.
    connecting: usize,
    /// How long it took to make the last one.
    took: Duration,
    /// How long the quickest one took: the way to the peer and back is in it.
    quickest: Option<Duration>,
}

impl Route {
    /// One more waits, for a connection that becomes idle or is made as `target` says. Error: too many wait.
    pub(super) fn wait(&mut self, target: &Target) -> Result<oneshot::Receiver<Handed>, HttpError> {
        if self.waiting >= self.waiting_max() {
            return Err(HttpError::Busy(self.waiting));
        }
        let (waiter, handed) = oneshot::channel();
        self.queue.push_back((Instant::now(), waiter));
        self.one_more(target);
        Ok(handed)
    }

    /// One that has waited since then waits again, before all others: the peer had closed what it was handed.
    pub(super) fn wait_again(&mut self, target: &Target, since: Instant) -> oneshot::Receiver<Handed> {
        let (waiter, handed) = oneshot::channel();
        self.queue.push_front((since, waiter));
        self.one_more(target);
        handed
    }

    fn one_more(&mut self, target: &Target) {
        if self.waiting == 0 || self.way.is_none() {
            self.way = Some(Rc::new(target.clone()));
        }
        self.waiting += 1;
        if self.queue.len() > 2 * self.waiting + 8 {
            self.queue.retain(|(_, waiter)| !waiter.is_closed());
        }
    }

    /// One waits no more: it was handed something, or gave up.
    pub(super) fn waits_no_more(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting < CONNECTION_WAITERS_MAX {
            self.crowded = None;
        }
    }

    /// Gives a connection to the one who has waited longest; comes back when nobody waits.
    pub(super) fn hand_over(&mut self, connection: ClientConnection) -> Option<ClientConnection> {
        match self.give(Ok(connection), |_| true) {
            Some(Ok(connection)) => Some(connection),
            _ => None,
        }
    }

    /// Tells the one who has waited longest why no connection could be made, if that was tried for him: of an attempt
    /// that began before he came, or whose time was up, he need not know.
    pub(super) fn fail(&mut self, error: HttpError, began: Instant) {
        if !matches!(error, HttpError::Timeout(_)) {
            self.give(Err(error), |since| since <= began);
        }
    }

    fn give(&mut self, mut handed: Handed, may: impl Fn(Instant) -> bool) -> Option<Handed> {
        while self.queue.front().is_some_and(|(since, waiter)| waiter.is_closed() || may(*since)) {
            let (_, waiter) = self.queue.pop_front()?;
            match waiter.send(handed) {
                Ok(()) => {
                    self.waits_no_more();
                    return None;
                }
                Err(back) => handed = back,
            }
        }
        Some(handed)
    }

    /// How the next connection is made, if one must be: as many as somebody waits for, but not too many at once. As
    /// long as somebody waits at least one is being made, since those in use may all be closed by the peer.
    pub(super) fn next_connection(&mut self, multiplexed: bool) -> Option<Rc<Target>> {
        let most = if multiplexed { OPENING_MAX } else { CONNECTING_MAX };
        let wanted = self.waiting.min(self.connecting_max(most));
        let way = self.way.as_ref().filter(|_| self.connecting < wanted)?;
        self.connecting += 1;
        Some(Rc::clone(way))
    }

    /// A connection was made in so long a time, or none.
    pub(super) fn connected(&mut self, took: Option<Duration>) {
        self.connecting = self.connecting.saturating_sub(1);
        if let Some(took) = took {
            self.took = took;
            self.quickest = Some(self.quickest.map_or(took, |quickest| quickest.min(took)));
        }
    }

    /// Nothing is kept for it and nobody waits.
    pub(super) fn is_unused(&self) -> bool {
        self.idle.is_empty() && self.connecting == 0 && self.waiting == 0
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    fn connecting_max(&self, most: usize) -> usize {
        if self.closes {
            return CONNECTING_TO_CLOSING_MAX;
        }
        let usual = HANDSHAKE_USUAL.max(2 * self.quickest.unwrap_or_default());
        let usual = most as u128 * usual.as_micros();
        let now = usual.checked_div(self.took.as_micros()).unwrap_or(usual);
        (now as usize).clamp(1, most)
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
}
