//! Clients that misuse their connection: more behind it, no end, no reader.

use std::time::{Duration, Instant};

use hermod::sandbox::Fault;
use hermod::sandbox::plan::ports;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Clients, rest, rest_post};
use crate::lab::assert_bounded;
use crate::wire::{self, End};

#[tokio::test]
async fn requests_behind_one_another_are_kept_apart() {
    let clients = Clients::start().await;
    clients.good().await;
    // Two requests in one packet: two answers. The second is inside of the first one's body for a careless reader.
    let second = rest("GET", "/random?size=7", "X-Road-Id: second\r\nConnection: close");
    let smuggled = rest("GET", "/random?size=9", "X-Road-Id: smuggled");
    let first = [rest("POST", "/echo", &format!("Content-Length: {}", smuggled.len())), smuggled].concat();
    let calls = clients.lab.ecosystem.stations().rest.calls();
    let answer = wire::plain(clients.http, &[first, second].concat(), End::Wait).await.text();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert!(answer.contains("x-road-id: second") && answer.ends_with("0123456"), "{answer}");
    assert_eq!(clients.lab.ecosystem.stations().rest.calls(), calls + 2);
    // A refused request ends the connection: what follows it is not read.
    let bad = rest("POST", "/echo", "Content-Length: 5\r\nTransfer-Encoding: chunked");
    let follow = rest("GET", "/random?size=7", "X: y");
    let answer =
        wire::plain(clients.http, &[bad, b"0\r\n\r\n".to_vec(), follow].concat(), End::Wait).await.text();
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(clients.lab.ecosystem.stations().rest.calls(), calls + 2);
    clients.good().await;
}

#[tokio::test]
async fn bodies_without_end_and_clients_that_leave_hold_nothing() {
    let clients = Clients::start().await;
    clients.good().await;
    let rest_station = &clients.lab.ecosystem.stations().rest;
    let calls = rest_station.calls();
    // More than may be logged: refused, on both sides nothing is evidence.
    let before = clients.delivered().1;
    let large = vec![b'x'; 11 << 20];
    let bytes = rest_post(&format!("Content-Length: {}", large.len()), &large);
    let answer = wire::plain(clients.http, &bytes, End::Wait).await;
    assert_eq!(answer.verdict(), "error server.clientproxy.io_error", "{}", answer.text());
    assert_eq!((rest_station.calls(), clients.delivered().1), (calls, before));
    // A client that goes in the middle of its body.
    for _ in 0..30 {
        let mut stream = TcpStream::connect(clients.http).await.unwrap();
        stream.write_all(&rest_post("Content-Length: 1000000", &[b'x'; 100_000])).await.unwrap();
    }
    // Clients that never read: the answer of 9 MB fills every buffer and stops.
    let mut deaf = Vec::new();
    let calls = rest_station.calls();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(clients.http).await.unwrap();
        stream.write_all(&rest("GET", "/random?size=9000000", "X: y")).await.unwrap();
        deaf.push(stream);
    }
    clients.arrived(calls + 4).await;
    clients.good().await;
    for server in clients.lab.ecosystem.servers() {
        assert_bounded(server.id());
    }
    drop(deaf);
    // A client that goes while its provider is slow: nobody waits any more, on neither side.
    rest_station.set_fault(Fault::Slow(Duration::from_secs(3600)));
    let calls = rest_station.calls();
    let mut stream = TcpStream::connect(clients.http).await.unwrap();
    stream.write_all(&rest("GET", "/random?size=1", "X: y")).await.unwrap();
    clients.arrived(calls + 1).await;
    let service = clients.lab.ecosystem.plan().service(ports::REST);
    let before = crate::peer_tls::connections_to(service);
    assert!(before > 0, "nothing is being waited for");
    drop(stream);
    let deadline = Instant::now() + Duration::from_secs(20);
    while crate::peer_tls::connections_to(service) >= before {
        assert!(Instant::now() < deadline, "the service is still being waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rest_station.set_fault(Fault::None);
    clients.good().await;
}
