//! A hostile consumer's server sends a request again that was signed once.

use std::process::Command;

use crate::draft;
use crate::lab::{Lab, records};
use crate::wire::{self, End};

#[tokio::test]
async fn repeated_requests_are_counted_and_refused_where_a_service_wants_that() {
    let lab = Lab::start(&[1]).await;
    let server = lab.ecosystem.server(1);
    let repeated = async || {
        let address = (server.plan().address, 9600).into();
        let metrics =
            wire::plain(address, b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", End::Wait);
        let text = metrics.await.text();
        let line = text.lines().find_map(|line| line.strip_prefix("hermod_repeated_requests_total "));
        line.expect("a figure").trim().parse::<u64>().expect("a number")
    };
    let send = async |bytes: &[u8]| wire::tls(lab.provider(), &lab.tls, bytes, End::Wait).await;
    let request = lab.rest().bytes();
    for expected in 0..3 {
        assert!(send(&request).await.text().contains(draft::REST_RESPONSE));
        assert_eq!(repeated().await, expected);
    }
    // The same message, signed again, is another request.
    lab.good().await;
    assert_eq!(repeated().await, 2);

    let declaration = std::fs::read_to_string(server.files().registry()).unwrap();
    let strict = declaration.replace("code = \"echo\"\n", "code = \"echo\"\nrefuse_repeats = true\n");
    assert_ne!(strict, declaration);
    let file = server.files().directory().join("strict.toml");
    std::fs::write(&file, strict).unwrap();
    let apply = Command::new(env!("CARGO_BIN_EXE_hermod"))
        .args(["registry", "apply"])
        .arg(&file)
        .arg("--config")
        .arg(server.files().config())
        .output()
        .unwrap();
    assert!(apply.status.success(), "{}", String::from_utf8_lossy(&apply.stderr));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !send(&request).await.text().contains("has been received before") {
        assert!(std::time::Instant::now() < deadline, "the registry is not taken over");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let before = records(&server.files().log());
    let answer = send(&request).await;
    assert_eq!(answer.verdict(), "fault server.serverproxy.invalid_message");
    assert_eq!(records(&server.files().log()), before, "it is no evidence");
    lab.good().await;
}
