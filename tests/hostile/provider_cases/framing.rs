//! Answers that break HTTP, or break off.

use super::{Answer, refused};
use crate::provider::{Hostile, Reply, Seen};
use crate::wire::End;

pub fn broken<'h>(hostile: &'h Hostile, cases: &mut Vec<Answer<'h>>) {
    let cut = refused("service_failed.io_error");
    for part in 1..20 {
        for end in [End::Close, End::Fin] {
            let make = move |seen: &Seen| {
                let bytes = hostile.rest(seen).bytes();
                // Behind the head, before the last chunk.
                let head = hostile.rest(seen).head("Transfer-Encoding: chunked").len();
                let at = head + part * (bytes.len() - head - 2) / 19;
                Reply { bytes: bytes[..at].to_vec(), end }
            };
            cases.push((format!("cut at {part}/19"), cut.clone(), Box::new(make)));
        }
    }
    let until_close = move |seen: &Seen, end| {
        let draft = hostile.rest(seen);
        Reply { bytes: [draft.head("X-Framing: none"), draft.body()].concat(), end }
    };
    let make = move |seen: &Seen| until_close(seen, End::Fin);
    cases.push(("until close without close_notify".into(), cut.clone(), Box::new(make)));
    let make = move |seen: &Seen| {
        let mut draft = hostile.rest(seen);
        draft.closed = false;
        Reply { bytes: [draft.head("X-Framing: none"), draft.body()].concat(), end: End::Close }
    };
    cases.push(("until close without closing boundary".into(), cut, Box::new(make)));
    for (name, framing) in [
        ("length and chunks", "Content-Length: 10\r\nTransfer-Encoding: chunked"),
        ("unknown coding", "Transfer-Encoding: gzip, chunked"),
        ("bad length", "Content-Length: x"),
        ("folded line", "X-A: b\r\n c"),
        ("no colon", "nothing"),
        ("head of 70 KB", "long"),
    ] {
        let make = move |seen: &Seen| {
            let draft = hostile.rest(seen);
            let framing =
                if framing == "long" { format!("X: {}", "x".repeat(70_000)) } else { framing.into() };
            Reply { bytes: [draft.head(&framing), draft.body()].concat(), end: End::Close }
        };
        cases.push((name.into(), refused("io_error"), Box::new(make)));
    }
    for (name, bytes) in [
        ("nothing", b"".as_slice()),
        ("no HTTP", b"SSH-2.0-x\r\n\r\n"),
        ("interim answers without end", &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20)),
        ("another protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
    ] {
        let bytes = bytes.to_vec();
        let make = move |_: &Seen| Reply { bytes: bytes.clone(), end: End::Close };
        cases.push((name.into(), refused("io_error"), Box::new(make)));
    }
}
