//! The HTTP/1.1 client and its pool.

use super::*;

const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn target(address: SocketAddr) -> Target {
    Target::plain(vec![address])
}

#[test]
fn ten_megabytes_go_both_ways_in_every_framing() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let body: Vec<u8> = (0..10_000_000u32).map(|i| (i % 253) as u8).collect();
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            for framing in [BodyFraming::Length(body.len() as u64), BodyFraming::Chunked] {
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                let (head, answer) = exchange(&mut connection, "POST", "/", framing, &body).await.unwrap();
                assert_eq!(head.header("content-length").unwrap(), "10000000");
                assert!(answer == body);
                connection.release();
            }
        });
        stop(workers);
    });
}

#[test]
fn streams_chunks_back_while_they_are_sent() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            for path in ["/stream", "/close"] {
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                let chunked = BodyFraming::Chunked;
                let (head, answer) =
                    exchange(&mut connection, "POST", path, chunked, b"hello").await.unwrap();
                assert_eq!(answer, b"hello");
                assert_eq!(head.header("transfer-encoding").is_some(), path == "/stream");
                connection.release();
                assert_eq!(pool.idle(), usize::from(path == "/stream"));
            }
        });
        stop(workers);
    });
}

#[test]
fn skips_interim_responses_and_knows_bodiless_ones() {
    on_both(|kind| {
        let (address, server) = scripted(vec![
            answers(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
            answers(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ]);
        as_worker(kind, async {
            for (method, status) in [("GET", 204), ("GET", 304), ("HEAD", 200)] {
                let pool = Pool::new(PoolOptions::default());
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                let (head, body) =
                    exchange(&mut connection, method, "/", BodyFraming::None, b"").await.unwrap();
                assert_eq!((head.status, body.len()), (status, 0));
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn a_response_that_ends_early_is_truncated() {
    on_both(|kind| {
        let broken: [&[u8]; 4] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"",
        ];
        let (address, server) = scripted(broken.map(answers).into_iter().collect());
        as_worker(kind, async {
            for bytes in broken {
                let pool = Pool::new(PoolOptions::default());
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                let error = get(&mut connection, "/").await.unwrap_err();
                match bytes.is_empty() {
                    true => assert!(matches!(error, HttpError::Closed), "{error}"),
                    false => assert!(matches!(error, HttpError::Truncated), "{error}"),
                }
                assert!(!connection.may_resend());
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn refuses_malformed_responses() {
    on_both(|kind| {
        let broken: [&[u8]; 4] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"SMTP ready\r\n\r\n",
        ];
        let (address, server) = scripted(broken.map(answers).into_iter().collect());
        as_worker(kind, async {
            for _ in broken {
                let pool = Pool::new(PoolOptions::default());
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                let error = get(&mut connection, "/").await.unwrap_err();
                assert!(matches!(error, HttpError::Malformed { .. }), "{error}");
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn a_pooled_connection_is_reused_while_it_stands() {
    on_both(|kind| {
        let (address, server) = scripted(vec![
            Box::new(|mut stream| {
                for _ in 0..2 {
                    read_until(&mut stream, "\r\n\r\n");
                    stream.write_all(SMALL).unwrap();
                }
                // Reads the end that the client makes when its idle time is over.
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }),
            answers(SMALL),
        ]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions { idle: Duration::from_millis(50), ..PoolOptions::default() });
            for reused in [false, true] {
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                assert_eq!(connection.reused(), reused);
                assert_eq!(get(&mut connection, "/").await.unwrap().1, b"ok");
                connection.release();
            }
            while pool.idle() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            assert!(!connection.reused());
            assert_eq!(get(&mut connection, "/").await.unwrap().1, b"ok");
        });
        server.join().unwrap();
    });
}

#[test]
fn a_pooled_connection_that_the_peer_closed_is_not_taken() {
    on_both(|kind| {
        let (address, server) = scripted(vec![answers(SMALL), answers(SMALL)]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            get(&mut connection, "/").await.unwrap();
            // The script closes right after its answer; wait until that is visible, then pool the connection.
            let closed = connection.read_body_chunk().await.unwrap();
            assert!(closed.is_none());
            connection.release();
            let mut connection = loop {
                let connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                if !connection.reused() {
                    break connection;
                }
                connection.release();
                tokio::task::yield_now().await;
            };
            assert_eq!(get(&mut connection, "/").await.unwrap().1, b"ok");
        });
        server.join().unwrap();
    });
}

#[test]
fn only_a_peer_that_closes_new_connections_is_one_that_closes_each() {
    const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    on_both(|kind| {
        let (address, server) = scripted(vec![
            Box::new(|mut stream| {
                // As a server does that is told to stop.
                for answer in [SMALL, LAST] {
                    read_until(&mut stream, "\r\n\r\n");
                    stream.write_all(answer).unwrap();
                }
            }),
            answers(LAST),
        ]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            for (reused, closing) in [(false, false), (true, false), (false, true)] {
                let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
                assert_eq!(connection.reused(), reused);
                assert_eq!(get(&mut connection, "/").await.unwrap().1, b"ok");
                connection.release();
                assert_eq!(pool.is_closing(), closing);
            }
        });
        server.join().unwrap();
    });
}

#[test]
fn a_reused_connection_that_fails_before_an_answer_permits_one_resend() {
    on_both(|kind| {
        let (address, server) = scripted(vec![
            Box::new(|mut stream| {
                read_until(&mut stream, "\r\n\r\n");
                stream.write_all(SMALL).unwrap();
                // Takes the second request and closes without an answer.
                read_until(&mut stream, "\r\n\r\n");
            }),
            answers(SMALL),
        ]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            get(&mut connection, "/").await.unwrap();
            assert!(!connection.may_resend());
            connection.release();
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            assert!(get(&mut connection, "/").await.is_err());
            assert!(connection.may_resend());
            let mut connection = pool.connect(&target(address), PATIENCE).await.unwrap();
            assert_eq!(get(&mut connection, "/").await.unwrap().1, b"ok");
            assert!(!connection.reused());
        });
        server.join().unwrap();
    });
}

#[test]
fn a_read_that_a_timeout_cancels_loses_nothing() {
    on_both(|kind| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (address, server) = scripted(vec![Box::new(move |mut stream| {
            read_until(&mut stream, "\r\n\r\n");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").unwrap();
            wait.recv().unwrap();
            stream.write_all(b"abc").unwrap();
            wait.recv().unwrap();
            stream.write_all(b"def").unwrap();
        })]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            connection.send_request("GET", b"/", &[("Host", "h")], BodyFraming::None).await.unwrap();
            connection.finish_request().await.unwrap();
            connection.read_head(PATIENCE).await.unwrap();
            let mut body = Vec::new();
            for _ in 0..2 {
                let cancelled = tokio::time::timeout(Duration::from_millis(20), connection.read_body_chunk());
                assert!(cancelled.await.is_err());
                go.send(()).unwrap();
                body.extend_from_slice(&connection.read_body_chunk().await.unwrap().unwrap());
            }
            assert_eq!(body, b"abcdef");
            assert!(connection.read_body_chunk().await.unwrap().is_none());
        });
        server.join().unwrap();
    });
}

#[test]
fn waiting_has_limits() {
    on_both(|kind| {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let (address, server) = scripted(vec![Box::new(move |mut stream| {
            read_until(&mut stream, "\r\n\r\n");
            let _ = wait.recv();
        })]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            connection.send_request("GET", b"/", &[("Host", "h")], BodyFraming::None).await.unwrap();
            connection.finish_request().await.unwrap();
            let error = connection.read_head(Duration::from_millis(20)).await.unwrap_err();
            assert!(matches!(error, HttpError::Timeout(Wait::Head)), "{error}");
            // Given up with a read in flight: the connection must really end.
            drop(connection);
        });
        done.send(()).unwrap();
        server.join().unwrap();
    });
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    on_both(|kind| {
        let refused = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
        let (address, server) = scripted(vec![answers(SMALL)]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection =
                pool.acquire(&Target::plain(vec![refused, address]), PATIENCE).await.unwrap();
            assert_eq!(connection.peer(), address);
            get(&mut connection, "/").await.unwrap();
            let error = pool.acquire(&Target::plain(vec![refused]), PATIENCE).await.map(|_| ()).unwrap_err();
            assert!(matches!(error, HttpError::Connect { address, .. } if address == refused), "{error}");
            assert_eq!(resolve("127.0.0.1", 80).await.unwrap(), vec![([127, 0, 0, 1], 80).into()]);
        });
        server.join().unwrap();
    });
}

#[test]
fn a_sender_is_held_to_what_it_announced() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            for headers in [[("a b", "c")], [("a", "b\r\nc: d")]] {
                let sent = connection.send_request("GET", b"/", &headers, BodyFraming::None).await;
                assert!(matches!(sent, Err(HttpError::Misuse(_))));
            }
            assert!(connection.send_request("GET", b"/ x", NO_HEADERS, BodyFraming::None).await.is_err());
            connection.send_request("POST", b"/", &[("Host", "h")], BodyFraming::Length(3)).await.unwrap();
            assert!(connection.write(Bytes::from_static(b"four")).await.is_err());
            assert!(connection.finish_request().await.is_err());
        });
        stop(workers);
    });
}

#[test]
fn an_early_answer_can_be_read_before_the_request_is_finished() {
    on_both(|kind| {
        let (address, server) = scripted(vec![Box::new(|mut stream| {
            read_until(&mut stream, "\r\n\r\n");
            stream.write_all(SMALL).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        })]);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let mut connection = pool.acquire(&target(address), PATIENCE).await.unwrap();
            connection.send_request("POST", b"/", &[("Host", "h")], BodyFraming::Chunked).await.unwrap();
            connection.write(Bytes::from(vec![b'x'; 300_000])).await.unwrap();
            assert_eq!(connection.read_head(PATIENCE).await.unwrap().status, 200);
            assert_eq!(connection.read_body_chunk().await.unwrap().unwrap(), "ok");
            assert!(connection.read_body_chunk().await.unwrap().is_none());
            // Half of a request was sent: nobody else gets this connection.
            connection.release();
            assert_eq!(pool.idle(), 0);
        });
        server.join().unwrap();
    });
}
