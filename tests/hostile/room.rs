//! Senders that take room and do not let go of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::draft;
use crate::lab::{Case, Lab, good_rest_part, refused};
use crate::wire::{self, End};

const MIB: usize = 1 << 20;

fn soap(padding: usize) -> Vec<u8> {
    let envelope = String::from_utf8(draft::envelope(("100", "consumer"), "q-1", "")).unwrap();
    let envelope = envelope.replace("<e:Body>", &format!("<!--{}--><e:Body>", "x".repeat(padding)));
    let length = envelope.len();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/xml";
    format!("{head}\r\nContent-Length: {length}\r\n\r\n{envelope}").into_bytes()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Sends until the answer is the expected one: others let go of their room in their own time.
async fn until(address: SocketAddr, bytes: &[u8], expected: &str) {
    let deadline = deadline();
    loop {
        let answer = wire::plain(address, bytes, End::Wait).await;
        if answer.verdict() == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{} is not {expected}", answer.text());
    }
}

#[tokio::test]
async fn soap_that_fills_the_memory_leaves_room_for_small_messages_and_gives_it_back() {
    let lab = Lab::start_with(&[0, 1], "[limits]\nmemory_bytes_max = 1048576\n").await;
    let http = SocketAddr::from((lab.ecosystem.plan().servers[0].address, 8080));
    let refused = "fault server.clientproxy.internal_error";
    let deadline = deadline();
    let greedy = loop {
        // It may come too late and be the one that finds no room: then it tries again.
        let mut greedy = TcpStream::connect(http).await.unwrap();
        greedy.write_all(&soap(2 * MIB)[..MIB]).await.unwrap();
        if wire::plain(http, &soap(MIB / 2), End::Wait).await.verdict() == refused {
            break greedy;
        }
        assert!(Instant::now() < deadline, "half a megabyte is never refused");
    };
    until(http, &soap(20_000), "status 200").await;
    drop(greedy);
    until(http, &soap(MIB / 2), "status 200").await;
    // More than there is for all.
    until(http, &soap(2 * MIB), refused).await;
}

#[tokio::test]
async fn bodies_of_other_servers_take_no_more_disk_than_they_may() {
    let limits = "[limits]\nbody_bytes_max = 1048576\nspool_bytes_max = 1572864\n[log]\nbodies = false\n";
    let lab = Lab::start_with(&[0, 1], limits).await;
    let of = |size: usize| lab.rest_of(&good_rest_part("POST", "/echo"), Some(&vec![b'x'; size])).bytes();
    let case = Case::raw("1.2 MB", of(1_200_000), refused("service_failed.invalid_message"));
    lab.check(vec![case]).await;
    // One holds most of the disk, and does not end.
    let address = lab.provider();
    let name = ServerName::IpAddress(address.ip().into());
    let deadline = deadline();
    let greedy = loop {
        let stream = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::clone(&lab.tls));
        let mut greedy = connector.connect(name.clone(), stream).await.unwrap();
        let half_sent = of(1_000_000);
        // It may come too late and be refused itself, while it sends.
        let _ = greedy.write_all(&half_sent[..half_sent.len() - 20_000]).await;
        let _ = greedy.flush().await;
        let answer = wire::tls(address, &lab.tls, &of(1_000_000), End::Wait).await;
        if answer.verdict() == refused("service_failed.internal_error") {
            break greedy;
        }
        assert!(Instant::now() < deadline, "a megabyte is never refused");
    };
    lab.good().await;
    drop(greedy);
    while wire::tls(address, &lab.tls, &of(1_000_000), End::Wait).await.verdict() != "status 200" {
        assert!(Instant::now() < deadline, "the disk is not given back");
    }
}
