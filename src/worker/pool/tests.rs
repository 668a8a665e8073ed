//! Who waits for a connection, in which order, and how many are made meanwhile. `tests/client.rs` has the rest.

use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::time::Instant;

use super::route::{BURST, CONNECTING_MAX, CONNECTING_TO_CLOSING_MAX, Handed, OPENING_MAX, Route};
use crate::limits::{CONNECTION_WAITERS_BURST_MAX, CONNECTION_WAITERS_MAX};
use crate::worker::error::Wait;
use crate::worker::{HttpError, Target};

fn wait(route: &mut Route) -> Result<Receiver<Handed>, HttpError> {
    route.wait(&target())
}

fn target() -> Target {
    Target::plain(vec![([127, 0, 0, 1], 5500).into()])
}

/// A route for whose connections so many wait, more than will be made at once.
fn crowd(many: usize) -> (Route, Vec<Receiver<Handed>>) {
    let mut route = Route::default();
    let waiting = (0..many).map(|_| wait(&mut route).unwrap()).collect();
    (route, waiting)
}

/// Connections that are begun now.
fn begun(route: &mut Route) -> usize {
    std::iter::from_fn(|| route.next_connection(false)).count()
}

#[test]
fn one_connection_is_made_for_each_who_waits() {
    let (mut route, mut waiting) = crowd(2);
    assert_eq!(begun(&mut route), 2);
    assert_eq!(begun(&mut route), 0);
    waiting.push(wait(&mut route).unwrap());
    assert_eq!(begun(&mut route), 1);
}

#[test]
fn a_burst_makes_few_connections_at_once_unless_the_peer_closes_each() {
    let (mut route, _waiting) = crowd(CONNECTION_WAITERS_MAX);
    assert_eq!(begun(&mut route), CONNECTING_MAX, "the others wait");
    route.connected(None);
    assert_eq!(begun(&mut route), 1, "one has ended");
    route.closes = true;
    assert_eq!(begun(&mut route), CONNECTING_TO_CLOSING_MAX - CONNECTING_MAX, "nothing will become idle");
}

#[test]
fn who_came_first_is_served_first_and_who_gave_up_is_passed_over() {
    let (mut route, mut waiting) = crowd(3);
    drop(waiting.remove(1));
    route.waits_no_more();
    let again = route.wait_again(&target(), Instant::now());
    waiting.insert(0, again);
    for handed in &mut waiting {
        assert!(handed.try_recv().is_err());
        route.fail(HttpError::Closed, Instant::now());
        assert!(matches!(handed.try_recv(), Ok(Err(HttpError::Closed))));
    }
    route.fail(HttpError::Closed, Instant::now());
    assert_eq!(begun(&mut route), 0);
    assert!(route.is_unused());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_fails_those_alone_for_whom_it_was_made() {
    let (mut route, mut waiting) = crowd(1);
    let began = Instant::now();
    assert_eq!(begun(&mut route), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    // The first one is served by a connection that has become idle; the second one came later.
    route.fail(HttpError::Closed, Instant::now());
    assert!(waiting.remove(0).try_recv().is_ok());
    let mut later = wait(&mut route).unwrap();
    route.connected(None);
    route.fail(HttpError::Closed, began);
    assert!(later.try_recv().is_err(), "it is not his");
    assert_eq!(begun(&mut route), 1, "another is made for him");
    route.fail(HttpError::Timeout(Wait::Connect), Instant::now());
    assert!(later.try_recv().is_err(), "he has a limit of his own");
    route.fail(HttpError::Closed, Instant::now());
    assert!(matches!(later.try_recv(), Ok(Err(HttpError::Closed))));
}

#[test]
fn as_long_as_somebody_waits_a_connection_is_being_made() {
    let (mut route, waiting) = crowd(2);
    assert_eq!(begun(&mut route), 2);
    for failed in 1..=waiting.len() {
        route.connected(None);
        route.fail(HttpError::Closed, Instant::now());
        assert_eq!(begun(&mut route), 0, "{failed} failed: enough are on their way");
    }
    assert!(route.is_unused());
    let _one = wait(&mut route).unwrap();
    assert_eq!(begun(&mut route), 1);
    route.connected(None);
    assert_eq!(begun(&mut route), 1, "it is tried again");
}

#[test]
fn those_who_gave_up_take_no_room() {
    let mut route = Route::default();
    for _ in 0..10 * CONNECTION_WAITERS_BURST_MAX {
        drop(wait(&mut route).unwrap());
        route.waits_no_more();
    }
    assert!(route.queued() < 16);
}

/// Handshakes at once where the quickest one took so many milliseconds and the last one so many.
fn at_once_after(quickest_ms: u64, took_ms: u64) -> usize {
    let (mut route, _waiting) = crowd(100);
    for took_ms in [quickest_ms, took_ms] {
        assert!(route.next_connection(false).is_some());
        route.connected(Some(Duration::from_millis(took_ms)));
    }
    begun(&mut route)
}

#[test]
fn slow_handshakes_are_fewer_at_once() {
    for (took_ms, at_once) in [(10, 8), (50, 8), (100, 4), (399, 1), (60_000, 1)] {
        assert_eq!(at_once_after(1, took_ms), at_once, "{took_ms} ms");
    }
}

#[test]
fn a_far_peer_is_not_a_busy_one() {
    for (took_ms, at_once) in [(300, 8), (600, 8), (1200, 4)] {
        assert_eq!(at_once_after(300, took_ms), at_once, "{took_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_of_messages_waits_for_a_connection_more_for_a_short_time() {
    let (mut route, mut waiting) = crowd(CONNECTION_WAITERS_BURST_MAX);
    let is_refused = |route: &mut Route| matches!(wait(route), Err(HttpError::Busy(_)));
    let gives_up = |route: &mut Route, waiting: &mut Vec<Receiver<Handed>>, left: usize| {
        for one in waiting.drain(left..) {
            drop(one);
            route.waits_no_more();
        }
    };
    assert!(is_refused(&mut route));
    gives_up(&mut route, &mut waiting, CONNECTION_WAITERS_BURST_MAX - 1);
    waiting.push(wait(&mut route).unwrap());
    tokio::time::advance(BURST).await;
    assert!(is_refused(&mut route), "the crowd has stayed");
    gives_up(&mut route, &mut waiting, CONNECTION_WAITERS_MAX);
    assert!(is_refused(&mut route), "no more than may wait for long");
    gives_up(&mut route, &mut waiting, CONNECTION_WAITERS_MAX - 1);
    waiting.push(wait(&mut route).unwrap());
    waiting.push(wait(&mut route).expect("a new crowd"));
}

#[test]
fn channels_are_asked_for_more_freely_than_connections_as_long_as_answers_are_quick() {
    let (mut route, _waiting) = crowd(100);
    assert_eq!(std::iter::from_fn(|| route.next_connection(true)).count(), OPENING_MAX);
    for took_ms in std::iter::once(1).chain(std::iter::repeat_n(200, OPENING_MAX - 1)) {
        route.connected(Some(Duration::from_millis(took_ms)));
    }
    assert_eq!(std::iter::from_fn(|| route.next_connection(true)).count(), OPENING_MAX / 4);
}
