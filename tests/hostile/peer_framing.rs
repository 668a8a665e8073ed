//! A hostile consumer's server: HTTP and TLS framing.

use crate::draft;
use crate::lab::{Case, Lab, refused};
use crate::wire::End;

#[tokio::test]
async fn unfinished_and_ambiguous_messages_are_refused() {
    let lab = Lab::start(&[1]).await;
    let mut cases = Vec::new();
    cut_anywhere(&lab, &mut cases);
    framing(&lab, &mut cases);
    lab.check(cases).await;
}

const CUT: &str = "service_failed.io_error";

// Who says that it has closed may not get an answer any more: under TLS 1.2 both directions end with one close_notify.
fn cut_off(end: End) -> String {
    let fault = refused(CUT);
    if end == End::Close { format!("nothing|{fault}") } else { fault }
}

// The same message ended at many places, in all three ways.
fn cut_anywhere(lab: &Lab, cases: &mut Vec<Case>) {
    let (draft, body) = (lab.rest(), lab.rest().body());
    let places: Vec<usize> = (1..24).map(|n| n * body.len() / 24).chain([1, body.len() - 1]).collect();
    for at in places {
        // A proper end of HTTP, an unfinished multipart. The last byte is behind the closing boundary.
        let cut = [draft.head("Transfer-Encoding: chunked"), draft::chunked(&body[..at], true)].concat();
        if at < body.len() - 4 {
            cases.push(Case::raw(format!("{at} bytes in whole chunks"), cut, refused(CUT)));
        }
        let open = [draft.head("Transfer-Encoding: chunked"), draft::chunked(&body[..at], false)].concat();
        for end in [End::Close, End::Fin] {
            let name = format!("{at} bytes without last chunk");
            cases.push(Case { end, ..Case::raw(name, open.clone(), cut_off(end)) });
        }
    }
    // Even when everything is there, an unfinished body is no message.
    for (name, tail) in [("no last chunk", 5), ("half a last chunk", 3), ("no final line end", 2)] {
        let whole = lab.rest().bytes();
        let bytes = whole[..whole.len() - tail].to_vec();
        cases.push(Case { end: End::Close, ..Case::raw(name, bytes.clone(), cut_off(End::Close)) });
        cases.push(Case { end: End::Fin, ..Case::raw(name, bytes, refused(CUT)) });
    }
    let long = format!("Content-Length: {}", body.len() + 1);
    let bytes = [draft.head(&long), body.clone()].concat();
    cases.push(Case { end: End::Close, ..Case::raw("content length too large", bytes, cut_off(End::Close)) });
    let mut open = lab.rest();
    open.closed = false;
    cases.push(Case::new("no closing boundary", &open, refused(CUT)));
}

fn framing(lab: &Lab, cases: &mut Vec<Case>) {
    let (draft, body) = (lab.rest(), lab.rest().body());
    let chunks = draft::chunked(&body, true);
    let mut add = |name: &str, framing: &str, body: &[u8], expect: &str| {
        cases.push(Case::raw(name, [draft.head(framing), body.to_vec()].concat(), expect));
    };
    let both = format!("Content-Length: {}\r\nTransfer-Encoding: chunked", chunks.len());
    add("length and chunks", &both, &chunks, "status 400");
    let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {}", body.len());
    add("chunks and length", &both, &body, "status 400");
    let two = format!("Content-Length: {}\r\nContent-Length: {}", body.len(), body.len() - 1);
    add("two lengths", &two, &body, "status 400");
    for length in ["-1", "+5", "0x10", "1e3", "", "99999999999999999999", "5, 5", "5 5"] {
        add(&format!("length {length:?}"), &format!("Content-Length: {length}"), &body, "status 400");
    }
    for coding in ["gzip, chunked", "identity", "chunked, chunked", "xchunked", "\"chunked\"", "chunked;q=1"]
    {
        add(&format!("coding {coding:?}"), &format!("Transfer-Encoding: {coding}"), &chunks, "status 501");
    }
    add("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", &chunks, "status 501");
    let cut = refused(CUT);
    for size in ["g", "-1", "+7", "0x7", "", " 7", "1000000000000000", "7 7", "7;\u{1}"] {
        let bad = [format!("{size}\r\n").as_bytes(), body.as_slice()].concat();
        add(&format!("chunk size {size:?}"), "Transfer-Encoding: chunked", &bad, &cut);
    }
    let extension = [format!("7;{}\r\n", "x".repeat(300)).as_bytes(), body.as_slice()].concat();
    add("chunk extension of 300 bytes", "Transfer-Encoding: chunked", &extension, &cut);
    let bare = String::from_utf8_lossy(&chunks[..6]).replace("\r\n", "\n").into_bytes();
    add("bare LF in a chunk", "Transfer-Encoding: chunked", &[bare, body.clone()].concat(), &cut);
    let overrun =
        [format!("{:x}\r\n", body.len() - 3).as_bytes(), body.as_slice(), b"\r\n0\r\n\r\n"].concat();
    add("chunk longer than its size", "Transfer-Encoding: chunked", &overrun, &cut);
    let trailers = [&chunks[..chunks.len() - 2], b"x: y\r\n".repeat(2000).as_slice(), b"\r\n"].concat();
    add("12 KB of trailers", "Transfer-Encoding: chunked", &trailers, &cut);
    let folded = "X-A: b\r\n folded\r\nTransfer-Encoding: chunked";
    add("folded header line", folded, &chunks, "status 400");
    add("blank before the colon", "X-A : b\r\nTransfer-Encoding: chunked", &chunks, "status 400");
    add("bare CR in a header", "X-A: b\rX-B: c\r\nTransfer-Encoding: chunked", &chunks, "status 400");
    add("NUL in a header", "X-A: \0\r\nTransfer-Encoding: chunked", &chunks, "status 400");
    add("two hosts", "Host: other\r\nTransfer-Encoding: chunked", &chunks, "status 400");
    let large = format!("X-A: {}\r\nTransfer-Encoding: chunked", "a".repeat(9000));
    add("head of 9 KB", &large, &chunks, "status 431");
    let many: String = (0..200).map(|n| format!("X{n}: a\r\n")).collect();
    add("200 header fields", &format!("{many}Transfer-Encoding: chunked"), &chunks, "status 431");
    let lf = String::from_utf8(draft.head("Transfer-Encoding: chunked")).unwrap().replace("\r\n", "\n");
    cases.push(Case::raw("LF line ends", [lf.as_bytes(), &chunks].concat(), "status 400"));
    for host in ["", "a b", "a:99999", "a:b", "a:", ":80", "[::1", "a/b", "a@b", "a, b:c", "http://a"] {
        let mut draft = lab.rest();
        draft.set("Host", Some(host));
        cases.push(Case::new(format!("host {host:?}"), &draft, "status 400"));
    }
    let mut draft = lab.rest();
    draft.header("Upgrade", "h2c");
    cases.push(Case::new("an upgrade out of nowhere", &draft, "status 400"));
    for (start, expect) in [
        ("POST * HTTP/1.1", "status 400"),
        ("POST x HTTP/1.1", "status 400"),
        ("POST http://other/ HTTP/1.1", "status 400"),
        ("POST //x HTTP/1.1", "status 400"),
        ("POST /%zz HTTP/1.1", "status 400"),
        ("POST /%00 HTTP/1.1", "status 400"),
        ("POST /%25 HTTP/1.1", "status 400"),
        ("POST /%ff HTTP/1.1", "status 400"),
        ("POST /a/%2e%2e/b HTTP/1.1", "status 400"),
        ("POST / HTTP/1.0", "status 400"),
        ("POST / HTTP/2.0", "status 505"),
        ("POST /", "status 400"),
        ("POST  / HTTP/1.1", "status 400"),
        ("PO ST / HTTP/1.1", "status 505"),
        ("\u{0}", "status 400"),
    ] {
        let mut draft = lab.rest();
        draft.start = start.into();
        cases.push(Case::new(format!("{start:?}"), &draft, expect));
    }
    let mut draft = lab.rest();
    draft.start = format!("POST /{} HTTP/1.1", "a".repeat(9000));
    cases.push(Case::new("target of 9 KB", &draft, "status 414"));
    let mut draft = lab.rest();
    draft.header("Expect", "200-ok");
    cases.push(Case::new("an unknown expectation", &draft, "status 417"));
}
