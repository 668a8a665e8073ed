//! The HTTP/1.1 server against raw bytes.

use super::*;

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

#[test]
fn refuses_ambiguous_and_broken_framing_and_closes() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let long = "x".repeat(9000);
        let many = "a: b\r\n".repeat(200);
        for (request, expected) in [
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
                400,
            ),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                501,
            ),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: h\n\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
            ("GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", 417),
            (&format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 414),
            (&format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}\r\n\r\n"), 431),
            (&format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 431),
        ] {
            let answer = talk(address, request.as_bytes());
            assert_eq!(status(&answer), expected, "{request}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        }
        stop(workers);
    });
}

#[test]
fn keeps_the_connection_and_answers_pipelined_requests_in_order() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let answer = talk(
            address,
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1\
              POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n\
              \r\nGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
        );
        let (first, second) = (answer.find("\r\n\r\n1HTTP").unwrap(), answer.find("\r\n\r\n2HTTP").unwrap());
        assert!(first < second && answer[second..].contains("2HTTP/1.1 500 "), "{answer}");
        stop(workers);
    });
}

#[test]
fn trap_transport_03_header_names_go_out_as_written() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let answer = talk(address, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let expected = "HTTP/1.1 200 OK\r\nx-hash-algorithm: SHA-512\r\nX-Mixed-Case: kept\r\n\
                        Content-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(answer, expected);
        stop(workers);
    });
}

#[test]
fn trap_transport_14_a_connection_is_announced_as_closed_or_really_kept() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        // Kept: no Connection field, the next request is answered. Closed: announced, by the end of the body.
        let answer = talk(
            address,
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /close HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        );
        let (kept, closed) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!kept.to_lowercase().contains("connection"), "{kept}");
        assert!(
            closed.ends_with("Connection: close\r\n\r\nhi") && !closed.contains("Content-Length"),
            "{closed}"
        );
        stop(workers);
    });
}

#[test]
fn answers_head_and_bodiless_statuses_without_a_body() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let answer = talk(
            address,
            b"HEAD /early HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        );
        let (head, none) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with("Content-Length: 5"), "{head}");
        assert!(
            none.starts_with("HTTP/1.1 204 No Content\r\n") && !none.contains("Content-Length"),
            "{none}"
        );
        assert!(none.ends_with("\r\n\r\n"), "{none}");
        stop(workers);
    });
}

#[test]
fn speaks_http_1_0_without_chunks() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let answer = talk(address, b"POST /stream HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
        assert!(answer.ends_with("Connection: close\r\n\r\nabc") && !answer.contains("chunked"), "{answer}");
        let mut stream = connect(address);
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
            assert!(read_until(&mut stream, "\r\n\r\n").contains("Connection: keep-alive"));
        }
        stop(workers);
    });
}

#[test]
fn tells_a_client_to_continue_only_when_the_body_is_wanted() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let head = |target| {
            format!("POST {target} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        };
        let mut stream = connect(address);
        stream.write_all(head("/").as_bytes()).unwrap();
        assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").unwrap();
        assert!(read_until(&mut stream, "hello").starts_with("HTTP/1.1 200 "));
        // Refused at once; the connection cannot go on, since the body may or may not come.
        let answer = talk(address, head("/early").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("early"), "{answer}");
        stop(workers);
    });
}

#[test]
fn a_failing_handler_resets_the_connection_once_the_answer_has_begun() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        for target in ["/torn", "/short", "/panic"] {
            let mut stream = connect(address);
            stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).unwrap();
            let mut answer = Vec::new();
            let error = stream.read_to_end(&mut answer).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{target}");
        }
        stop(workers);
    });
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let mut stream = connect(address);
        stream.write_all(b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; 399_999]).unwrap();
        let answer = read_until(&mut stream, "early");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        // A small rest is read and dropped, and the connection serves on.
        let answer = talk(
            address,
            b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
        );
        assert!(answer.contains("earlyHTTP/1.1 500 "), "{answer}");
        stop(workers);
    });
}

#[test]
fn slow_clients_are_cut_at_each_stage() {
    on_both(|kind| {
        let moment = Duration::from_millis(60);
        let timeouts =
            ServerTimeouts { idle: moment, head: moment, body: moment, ..ServerTimeouts::default() };
        let (workers, address) = start(kind, None, timeouts);
        assert_eq!(talk(address, b""), "");
        assert_eq!(status(&talk(address, b"GET / HT")), 408);
        // A body that stalls is an error of the exchange; the handler passes it on and the server answers.
        assert_eq!(status(&talk(address, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")), 400);
        stop(workers);
    });
}

#[test]
fn an_unfinished_body_is_no_message() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        for body in ["Content-Length: 5\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"] {
            let mut stream = connect(address);
            stream.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{body}").as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(status(&answer), 400, "{answer}");
        }
        stop(workers);
    });
}

#[test]
fn a_handler_learns_that_nobody_waits_for_its_answer() {
    on_both(|kind| {
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let answers = (Arc::clone(&entered), Arc::clone(&proceed));
        let listeners = vec![ListenerConfig::new(loopback(), Role::InformationSystem)];
        let config = WorkerConfig { workers: 1, listeners, ..WorkerConfig::new(kind) };
        let workers = run_workers(config, move |_| {
            Rc::new(Answers { entered: Arc::clone(&answers.0), proceed: Arc::clone(&answers.1) })
        });
        let workers = workers.unwrap();
        let mut stream = connect(workers.addresses()[0].1);
        stream.write_all(b"GET /abandoned HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        as_worker(RuntimeKind::Epoll, entered.notified());
        drop(stream);
        as_worker(RuntimeKind::Epoll, proceed.notified());
        stop(workers);
    });
}

#[test]
fn trap_transport_15_the_host_field_routes_nothing() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        for host in ["localhost:5500", "somebody.else.example", "[::1]:1"] {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(status(&talk(address, request.as_bytes())), 200);
        }
        stop(workers);
    });
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut() {
    on_both(|kind| {
        let timeouts = ServerTimeouts { write: Duration::from_millis(60), ..ServerTimeouts::default() };
        let (workers, address) = start(kind, None, timeouts);
        // More than all socket buffers hold.
        let body = vec![b'x'; 40_000_000];
        let mut stream = connect(address);
        stream
            .write_all(
                format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
            )
            .unwrap();
        stream.write_all(&body).unwrap();
        // Ends long before the drain time, since the write gives up.
        let before = std::time::Instant::now();
        stop(workers);
        assert!(before.elapsed() < PATIENCE);
        let mut answer = Vec::new();
        assert!(stream.read_to_end(&mut answer).is_err() || answer.len() < body.len());
    });
}
