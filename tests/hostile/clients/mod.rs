//! Hostile information systems on the client ports.

mod bodies;
mod connections;
mod heads;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::draft;
use crate::lab::{Case, Lab, assert_bounded, judge, records};
use crate::wire::{self, End};

struct Clients {
    lab: Lab,
    http: SocketAddr,
}

fn rest(method: &str, path: &str, fields: &str) -> Vec<u8> {
    let target = format!("/r1/{}{path}", draft::subsystem("200", "provider"));
    let client = draft::subsystem("100", "consumer");
    format!("{method} {target} HTTP/1.1\r\nHost: ss1\r\nX-Road-Client: {client}\r\n{fields}\r\n\r\n")
        .into_bytes()
}

fn rest_post(fields: &str, body: &[u8]) -> Vec<u8> {
    [rest("POST", "/echo", &format!("Connection: close\r\n{fields}")), body.to_vec()].concat()
}

fn soap(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: ss1\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn good_envelope() -> String {
    String::from_utf8(draft::envelope(("100", "consumer"), "q-1", "")).unwrap()
}

impl Clients {
    async fn start() -> Self {
        let lab = Lab::start(&[0, 1]).await;
        let http = SocketAddr::from((lab.ecosystem.plan().servers[0].address, 8080));
        Self { lab, http }
    }

    fn delivered(&self) -> (u64, u64) {
        let stations = self.lab.ecosystem.stations();
        (
            stations.rest.calls() + stations.soap.calls(),
            records(&self.lab.ecosystem.server(0).files().log())
                + records(&self.lab.ecosystem.server(1).files().log()),
        )
    }

    /// The REST service has been called so often.
    async fn arrived(&self, calls: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.lab.ecosystem.stations().rest.calls() < calls {
            assert!(Instant::now() < deadline, "the calls have not arrived");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn good(&self) {
        let answer = wire::plain(self.http, &rest_post("Content-Length: 2", b"{}"), End::Wait).await;
        assert!(answer.text().contains("x-road-request-hash"), "no good answer: {}", answer.text());
    }

    /// Both client ports answer each attack as they should; nothing is delivered or logged.
    async fn check(&self, cases: Vec<Case>) {
        self.good().await;
        let https = SocketAddr::from((self.http.ip(), 8443));
        let tls = wire::client_config(None);
        let (count, mut wrong) = (cases.len(), Vec::new());
        for case in cases {
            let before = self.delivered();
            let answer = wire::plain(self.http, &case.bytes, case.end).await;
            judge(&case, &answer, &mut wrong);
            // Large ones once: TLS changes nothing about them.
            if case.bytes.len() < 100_000 {
                let answer = wire::tls(https, &tls, &case.bytes, case.end).await;
                judge(&case, &answer, &mut wrong);
            }
            if self.delivered() != before {
                wrong.push(format!("{}: was delivered or logged", case.name));
            }
        }
        self.good().await;
        for server in self.lab.ecosystem.servers() {
            assert_bounded(server.id());
        }
        assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
        println!("{count} cases refused as they should");
    }
}

#[tokio::test]
async fn requests_that_break_http_or_the_protocol_are_refused() {
    let clients = Clients::start().await;
    let mut cases = Vec::new();
    heads::broken(&mut cases);
    heads::identities(&mut cases);
    bodies::envelopes(&mut cases);
    bodies::multiparts(&mut cases);
    clients.check(cases).await;
}
