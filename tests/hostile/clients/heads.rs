//! Requests that break HTTP, or say wrongly who asks for what.

use super::{rest, rest_post};
use crate::draft;
use crate::lab::Case;
use crate::wire::End;

pub fn broken(cases: &mut Vec<Case>) {
    let mut add = |name: &str, bytes: Vec<u8>, expect: &str| {
        cases.push(Case::raw(name, bytes, expect));
    };
    add("target of 9 KB", rest("GET", &format!("/echo/{}", "a".repeat(9000)), "X: y"), "status 414");
    add("head of 9 KB", rest("GET", "/echo", &format!("X: {}", "a".repeat(9000))), "status 431");
    add(
        "endless head",
        [rest("GET", "/echo", "X: y"), Vec::new()].concat()[..40]
            .to_vec()
            .into_iter()
            .chain(b"a".repeat(1 << 20))
            .collect(),
        "status 414",
    );
    let many: String = (0..300).map(|n| format!("\r\nX{n}: a")).collect();
    add("300 header fields", rest("GET", "/echo", &format!("X: y{many}")), "status 431");
    for (name, line) in [
        ("folded line", "X: a\r\n b"),
        ("blank before the colon", "X : a"),
        ("no colon", "nothing"),
        ("no name", ": a"),
        ("NUL", "X: a\0"),
        ("bare CR", "X: a\rY: b"),
        ("two hosts", "Host: other"),
        ("an upgrade out of nowhere", "Upgrade: h2c"),
        ("length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
        ("signed length", "Content-Length: +5"),
        ("list of lengths", "Content-Length: 5, 5"),
        ("hexadecimal length", "Content-Length: 0x5"),
    ] {
        add(name, rest("POST", "/echo", line), "status 400");
    }
    for coding in [
        "gzip, chunked",
        "identity",
        "chunked, chunked",
        "\u{b}chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        let expect = if coding.starts_with('\u{b}') { "status 400" } else { "status 501" };
        add(
            &format!("coding {coding:?}"),
            rest("POST", "/echo", &format!("Transfer-Encoding: {coding}")),
            expect,
        );
    }
    let text = |text: &str| text.as_bytes().to_vec();
    for host in ["", "a b", "a:99999", "a:b", "a:", ":80", "[::1", "a/b", "a@b", "http://a"] {
        let bytes = text(&format!("GET /listClients HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        add(&format!("host {host:?}"), bytes, "status 400");
    }
    for target in [
        "*",
        "x",
        "//x",
        "/%zz",
        "/%00",
        "/a//b",
        "/a%25b",
        "/%ff",
        "/a/%2e%2e/b",
        "http://other/listClients",
        "ftp:/x",
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        add(&format!("target {target}"), text(&head), "status 400");
    }
    add("no host", text("GET / HTTP/1.1\r\n\r\n"), "status 400");
    add("HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "status 505");
    add("HTTP/0.9", text("GET /\r\n\r\n"), "status 400");
    add("LF line ends", text("GET / HTTP/1.1\nHost: x\n\n"), "status 400");
    add(
        "chunks in HTTP/1.0",
        text("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "status 400",
    );
    for chunk in ["g\r\n", "-1\r\n", "5\nhello", "5\r\nhelloX", "\r\n", "1000000000000000\r\n", "5 5\r\n"] {
        // Whatever fails while a REST request is passed on is an I/O error.
        let bytes = rest_post("Transfer-Encoding: chunked", chunk.as_bytes());
        add(&format!("chunk {chunk:?}"), bytes, "error server.clientproxy.io_error");
    }
    for (name, fields, body) in [
        ("chunks cut off", "Transfer-Encoding: chunked", "5\r\nhel"),
        ("no last chunk", "Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        ("body cut off", "Content-Length: 50", "hello"),
    ] {
        // A client that closes its side may be taken as gone, and is told nothing then.
        let expect = "nothing|error server.clientproxy.io_error";
        let case = Case::raw(name, rest_post(fields, body.as_bytes()), expect);
        cases.push(Case { end: End::Close, ..case });
    }
}

pub fn identities(cases: &mut Vec<Case>) {
    let mut add = |name: &str, fields: &str, expect: &str| {
        let bytes = rest_post(&format!("Content-Length: 2\r\n{fields}"), b"{}");
        cases.push(Case::raw(name, bytes, format!("error server.clientproxy.{expect}")));
    };
    add("two clients", "X-Road-Client: SANDBOX/GOV/200/provider", "invalid_client_identifier");
    add("two ids", "X-Road-Id: a\r\nX-Road-Id: b", "invalid_request");
    add("two users", "x-road-userid: a\r\nX-ROAD-USERID: b", "invalid_request");
    add(
        "two represented parties",
        "X-Road-Represented-Party: a\r\nX-Road-Represented-Party: b",
        "invalid_request",
    );
    let server = |code: &str| format!("X-Road-Security-Server: SANDBOX/GOV/200/{code}");
    add("two servers", &format!("{}\r\n{}", server("ss2"), server("ss1")), "invalid_request");
    add(
        "a server that is not the provider's",
        "X-Road-Security-Server: SANDBOX/GOV/100/ss1",
        "invalid_security_server",
    );
    add("id of 256 characters", &format!("X-Road-Id: {}", "q".repeat(256)), "internal_error");
    add("empty id", "X-Road-Id:", "internal_error");
    let mut raw =
        |name: &str, text: String, expect: &str| cases.push(Case::raw(name, text.into_bytes(), expect));
    let target = format!("/r1/{}/echo", draft::subsystem("200", "provider"));
    let get = |client: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{client}\r\n");
    raw("no client", get(""), "error server.clientproxy.invalid_client_identifier");
    raw(
        "unknown client",
        get("X-Road-Client: SANDBOX/GOV/100/other\r\n"),
        "error server.clientproxy.unknown_member",
    );
    raw(
        "client of another server",
        get("X-Road-Client: SANDBOX/GOV/200/provider\r\n"),
        "error server.clientproxy.unknown_member",
    );
    raw("client that is none", get("X-Road-Client: x\r\n"), "error server.clientproxy.internal_error");
    let path = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Road-Client: SANDBOX/GOV/100/consumer\r\n\r\n"
        )
    };
    raw("unknown provider", path("/r1/SANDBOX/GOV/300/x/y"), "error server.clientproxy.unknown_member");
    raw("short path", path("/r1/SANDBOX/GOV"), "error server.clientproxy.internal_error");
    for target in [
        "/echo//x",
        "/echo/%2e%2e/x",
        "/echo/%25",
        "/echo/%00",
        "/echo/%zz",
        "/echo/a%5Cb",
        "/echo/a|b",
        "/echo/a\"b",
        "/echo/..;/x",
        "/echo/%ff",
        "/echo/%c0%af",
    ] {
        let full = format!("/r1/{}{target}", draft::subsystem("200", "provider"));
        raw(&format!("path {target}"), path(&full), "status 400");
    }
    raw("PROPFIND", path(&target).replacen("GET", "PROPFIND", 1), "error server.clientproxy.internal_error");
}
