//! Many exchanges at a time on one connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::tls::TlsVersions;
use super::tls::{make, source, to};
use super::*;

/// Two workers that multiplex, a client that does, and how many handshakes there were.
struct Site {
    workers: Workers,
    target: Target,
    handshakes: Arc<AtomicUsize>,
}

fn site(kind: RuntimeKind, server_does: bool, client_does: bool, versions: TlsVersions) -> Site {
    let handshakes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handshakes);
    let accept = Arc::new(move |_: &[u8]| {
        count.fetch_add(1, Ordering::SeqCst);
        true
    });
    let hints = Arc::new(Vec::new());
    let auth = ClientAuth::Required { accept, hints: Arc::new(move || Arc::clone(&hints)) };
    let tls = TlsServer::new(source(make("server", |_| {})), auth)
        .with_suites(versions, Vec::new())
        .with_resumption(false)
        .with_multiplexing(server_does);
    let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
    let client = TlsClient::new(Some(source(make("client", |_| {}))))
        .with_resumption(false)
        .with_multiplexing(client_does);
    Site { workers, target: to(address, &Arc::new(client)), handshakes }
}

impl Site {
    fn of(kind: RuntimeKind) -> Self {
        site(kind, true, true, TlsVersions::Both)
    }

    fn made(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

#[test]
fn exchanges_at_the_same_time_share_few_connections_that_lead_to_all_workers() {
    on_both(|kind| {
        for versions in [TlsVersions::Both, TlsVersions::Tls12] {
            let site = site(kind, true, true, versions);
            as_worker(kind, async {
                let pool = Pool::new(PoolOptions::default());
                let bodies: Vec<Vec<u8>> = (0..60).map(|at| vec![at as u8; 300 * at]).collect();
                for round in 0..4 {
                    let exchanges: Vec<_> = bodies
                        .iter()
                        .map(|body| {
                            let (pool, target, body) = (Rc::clone(&pool), site.target.clone(), body.clone());
                            tokio::task::spawn_local(async move {
                                let mut connection = pool.acquire(&target, PATIENCE).await.unwrap();
                                let chunked = BodyFraming::Chunked;
                                let (_, answer) =
                                    exchange(&mut connection, "POST", "/stream", chunked, &body)
                                        .await
                                        .unwrap();
                                assert!(answer == body);
                                assert_eq!(connection.peer_certificates().len(), 1);
                                connection.release();
                            })
                        })
                        .collect();
                    for exchange in exchanges {
                        exchange.await.unwrap();
                    }
                    // As many as were opened while others were in use; more at each of two connections' turn.
                    assert!((1..=130).contains(&pool.idle()), "{} idle in round {round}", pool.idle());
                }
                let mut connection = pool.acquire(&site.target, PATIENCE).await.unwrap();
                assert!(connection.reused());
                let (_, peer) = get(&mut connection, "/peer").await.unwrap();
                assert_eq!(peer, b"1 false SecurityServer");
            });
            // Those of the start, when nobody knew, and those in search of the other worker.
            assert!((1..=16).contains(&site.made()), "{}", site.made());
            stop(site.workers);
        }
    });
}

#[test]
fn long_bodies_pass_in_both_directions_beside_short_messages() {
    on_both(|kind| {
        let site = Site::of(kind);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            pool.acquire(&site.target, PATIENCE).await.unwrap().release();
            let long = (0..3).map(|_| {
                let (pool, target) = (Rc::clone(&pool), site.target.clone());
                tokio::task::spawn_local(async move {
                    let mut connection = pool.acquire(&target, PATIENCE).await.unwrap();
                    let body: Vec<u8> = (0..5_000_000).map(|at| (at / 7) as u8).collect();
                    let length = BodyFraming::Length(body.len() as u64);
                    let (_, answer) = exchange(&mut connection, "POST", "/any", length, &body).await.unwrap();
                    assert!(answer == body);
                    connection.release();
                })
            });
            let long: Vec<_> = long.collect();
            for _ in 0..50 {
                let mut connection = pool.acquire(&site.target, PATIENCE).await.unwrap();
                let (head, _) = get(&mut connection, "/none").await.unwrap();
                assert_eq!(head.status, 204);
                connection.release();
            }
            for exchange in long {
                exchange.await.unwrap();
            }
        });
        stop(site.workers);
    });
}

#[test]
fn who_does_not_multiplex_is_served_as_ever() {
    on_both(|kind| {
        for (server_does, client_does) in [(true, false), (false, true), (false, false)] {
            let site = site(kind, server_does, client_does, TlsVersions::Both);
            as_worker(kind, async {
                let pool = Pool::new(PoolOptions::default());
                let mut first = pool.acquire(&site.target, PATIENCE).await.unwrap();
                let mut second = pool.acquire(&site.target, PATIENCE).await.unwrap();
                for connection in [&mut first, &mut second] {
                    assert!(!connection.is_channel());
                    assert_eq!(get(connection, "/none").await.unwrap().0.status, 204);
                }
            });
            assert_eq!(site.made(), 2);
            stop(site.workers);
        }
    });
}

#[test]
fn a_broken_exchange_breaks_no_other() {
    on_both(|kind| {
        let site = Site::of(kind);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let channel = || pool.acquire(&site.target, PATIENCE);
            channel().await.unwrap().release();
            let mut lasting = channel().await.unwrap();
            lasting.send_request("POST", b"/stream", &[("Host", "h")], BodyFraming::Chunked).await.unwrap();
            for torn in ["/torn", "/panic", "/short"] {
                let mut connection = channel().await.unwrap();
                assert!(get(&mut connection, torn).await.is_err(), "{torn}");
                connection.release();
            }
            let mut early = channel().await.unwrap();
            assert_eq!(get(&mut early, "/early").await.unwrap().0.status, 400);
            early.release();
            let mut malformed = channel().await.unwrap();
            malformed.send_request("BAD", b"/a b", &[("Host", "h")], BodyFraming::None).await.ok();
            let _ = malformed.finish_request().await;
            drop(malformed);
            // A client that leaves is noticed.
            let mut leaves = channel().await.unwrap();
            leaves.send_request("GET", b"/abandoned", &[("Host", "h")], BodyFraming::None).await.unwrap();
            leaves.finish_request().await.unwrap();
            drop(leaves);
            lasting.write(Bytes::from_static(b"still there")).await.unwrap();
            lasting.finish_request().await.unwrap();
            assert_eq!(lasting.read_head(PATIENCE).await.unwrap().status, 200);
            assert_eq!(lasting.read_body_chunk().await.unwrap().unwrap(), "still there");
        });
        stop(site.workers);
    });
}

#[test]
fn a_server_that_stops_finishes_what_runs_and_is_asked_no_more() {
    on_both(|kind| {
        let site = Site::of(kind);
        let (target, made) = (site.target.clone(), Arc::clone(&site.handshakes));
        let workers = site.workers;
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut running = pool.acquire(&target, PATIENCE).await.unwrap();
            running.send_request("POST", b"/stream", &[("Host", "h")], BodyFraming::Chunked).await.unwrap();
            running.write(Bytes::from_static(b"begun")).await.unwrap();
            running.flush().await.unwrap();
            let mut idle = pool.acquire(&target, PATIENCE).await.unwrap();
            get(&mut idle, "/none").await.unwrap();
            idle.release();
            let leaving = tokio::task::spawn_blocking(move || {
                workers.leave(false);
                workers
            });
            // It says so: the next exchange has a connection of its own.
            let before = made.load(Ordering::SeqCst);
            while made.load(Ordering::SeqCst) == before {
                let mut next = pool.acquire(&target, PATIENCE).await.unwrap();
                assert_eq!(get(&mut next, "/none").await.unwrap().0.status, 204);
                next.release();
            }
            let workers = leaving.await.unwrap();
            workers.stop();
            running.write(Bytes::from_static(b" and ended")).await.unwrap();
            running.finish_request().await.unwrap();
            assert_eq!(running.read_head(PATIENCE).await.unwrap().status, 200);
            let mut answer = Vec::new();
            while let Some(chunk) = running.read_body_chunk().await.unwrap() {
                answer.extend_from_slice(&chunk);
            }
            assert_eq!(answer, b"begun and ended");
            drop(running);
            let began = std::time::Instant::now();
            tokio::task::spawn_blocking(move || workers.join()).await.unwrap();
            assert!(began.elapsed() < PATIENCE);
            assert!(pool.acquire(&target, Duration::from_secs(1)).await.is_err());
        });
    });
}

#[test]
fn an_exchange_that_a_lost_connection_took_along_may_be_sent_again() {
    on_both(|kind| {
        let site = Site::of(kind);
        let target = site.target.clone();
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut first = pool.acquire(&target, PATIENCE).await.unwrap();
            get(&mut first, "/none").await.unwrap();
            first.release();
            let mut lost = pool.acquire(&target, PATIENCE).await.unwrap();
            lost.send_request("GET", b"/none", &[("Host", "h")], BodyFraming::None).await.unwrap();
            lost.session().unwrap().lose();
            let _ = lost.finish_request().await;
            assert!(lost.read_head(PATIENCE).await.is_err());
            assert!(lost.may_resend());
            drop(lost);
            let mut again = pool.connect(&target, PATIENCE).await.unwrap();
            assert_eq!(get(&mut again, "/none").await.unwrap().0.status, 204);
            again.release();
            let mut next = pool.acquire(&target, PATIENCE).await.unwrap();
            assert!(next.reused());
            assert_eq!(get(&mut next, "/none").await.unwrap().0.status, 204);
        });
        stop(site.workers);
    });
}

#[test]
fn a_connection_with_a_server_that_was_not_accepted_is_not_used_again() {
    on_both(|kind| {
        let site = Site::of(kind);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            for _ in 0..3 {
                let mut refused = pool.acquire(&site.target, PATIENCE).await.unwrap();
                get(&mut refused, "/none").await.unwrap();
                let session = refused.session().unwrap();
                let mut running = std::iter::from_fn(|| session.open()).take(1).collect::<Vec<_>>();
                refused.distrust();
                drop(refused);
                assert!(session.open().is_none());
                let mut next = pool.acquire(&site.target, PATIENCE).await.unwrap();
                assert!(!Rc::ptr_eq(&session, &next.session().unwrap()));
                assert_eq!(get(&mut next, "/none").await.unwrap().0.status, 204);
                // What runs on it goes on, and then it ends.
                assert!(!session.is_gone());
                running.clear();
                tokio::time::timeout(PATIENCE, session.gone()).await.unwrap();
                next.release();
            }
        });
        stop(site.workers);
    });
}

#[test]
fn those_that_a_lost_connection_took_along_share_the_next_one() {
    on_both(|kind| {
        let site = Site::of(kind);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            pool.acquire(&site.target, PATIENCE).await.unwrap().release();
            let mut all = Vec::new();
            for _ in 0..100 {
                all.push(pool.acquire(&site.target, PATIENCE).await.unwrap());
            }
            let before = site.made();
            all.iter().for_each(|lost| lost.session().unwrap().lose());
            let again = all.into_iter().map(|lost| {
                let (pool, target) = (Rc::clone(&pool), site.target.clone());
                tokio::task::spawn_local(async move {
                    drop(lost);
                    let mut again = pool.connect(&target, PATIENCE).await.unwrap();
                    assert_eq!(get(&mut again, "/none").await.unwrap().0.status, 204);
                    again.release();
                })
            });
            for exchange in again.collect::<Vec<_>>() {
                exchange.await.unwrap();
            }
            // Those of the first moment, and those in search of the other worker.
            assert!(site.made() - before <= 30, "{} handshakes", site.made() - before);
        });
        stop(site.workers);
    });
}
