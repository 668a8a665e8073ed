//! Hostile information systems on the client ports.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hermod::sandbox::Fault;
use hermod::sandbox::plan::ports;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
    heads(&mut cases);
    identities(&mut cases);
    soap_bodies(&mut cases);
    multiparts(&mut cases);
    clients.check(cases).await;
}

fn heads(cases: &mut Vec<Case>) {
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

fn identities(cases: &mut Vec<Case>) {
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

fn soap_bodies(cases: &mut Vec<Case>) {
    let mut add = |name: &str, body: &[u8], code: &str| {
        cases.push(Case::raw(name, soap("text/xml", body), format!("fault client.{code}")));
    };
    let good = good_envelope();
    let inner = |xml: &str| good.replace("<p:size>", &format!("{xml}<p:size>"));
    let doctype =
        |inside: &str| good.replacen("<e:Envelope", &format!("<!DOCTYPE e {inside}><e:Envelope"), 1);
    let lol: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    add("a billion laughs", doctype(&format!("[<!ENTITY l0 \"lol\">{lol}]")).as_bytes(), "invalid_soap");
    add("external entity", doctype("[<!ENTITY x SYSTEM \"file:///etc/passwd\">]").as_bytes(), "invalid_soap");
    add(
        "parameter entity",
        doctype("[<!ENTITY % x SYSTEM \"http://127.0.0.1:1/\">%x;]").as_bytes(),
        "invalid_soap",
    );
    add("depth of 100,000", inner(&"<a>".repeat(100_000)).as_bytes(), "invalid_soap");
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"x\"")).collect();
    add("20,000 attributes", inner(&format!("<a{attributes}/>")).as_bytes(), "invalid_soap");
    let namespaces: String = (0..20_000).map(|n| format!(" xmlns:n{n}=\"u\"")).collect();
    add("20,000 namespaces", inner(&format!("<a{namespaces}/>")).as_bytes(), "invalid_soap");
    add(
        "a long namespace",
        inner(&format!("<a xmlns=\"{}\"/>", "u".repeat(1 << 20))).as_bytes(),
        "invalid_soap",
    );
    add("bad UTF-8", &[inner("<a>").as_bytes(), b"\xff\xfe"].concat(), "invalid_soap");
    add(
        "half a character of UTF-16",
        &good.bytes().flat_map(|b| [b, 0]).chain([b'x']).collect::<Vec<_>>(),
        "invalid_soap",
    );
    let split = good.replacen("<i:memberCode>", "<i:memberCode><x/>", 1);
    add("element in a member code", split.as_bytes(), "invalid_xml");
    add("no XML", b"hello", "invalid_soap");
    add("nothing", b"", "invalid_soap");
    let large = inner(&format!("<a>{}</a>", "x".repeat(33 << 20)));
    add("33 MB", large.as_bytes(), "invalid_soap");
    let mut raw = |name: &str, bytes: Vec<u8>, expect: &str| cases.push(Case::raw(name, bytes, expect));
    raw(
        "another content type",
        soap("application/json", good.as_bytes()),
        "fault client.invalid_content_type",
    );
    raw("no content type", soap("", good.as_bytes()), "fault server.clientproxy.internal_error");
    let action = String::from_utf8(soap("text/xml", good.as_bytes())).unwrap();
    raw(
        "SOAP action that is none",
        action.replacen("Host", "SOAPAction: x y\r\nHost", 1).into_bytes(),
        "fault client.invalid_soap_action",
    );
    raw(
        "GET",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        "fault client.invalid_http_method",
    );
    let unknown = String::from_utf8(draft::envelope(("100", "other"), "q-1", "")).unwrap();
    raw("unknown client", soap("text/xml", unknown.as_bytes()), "fault server.clientproxy.unknown_member");
    let cut = soap("text/xml", good.as_bytes());
    let case = Case::raw("cut off", cut[..cut.len() - 50].to_vec(), "nothing|fault client.io_error");
    cases.push(Case { end: End::Close, ..case });
}

fn multiparts(cases: &mut Vec<Case>) {
    let related = "multipart/related; type=\"text/xml\"; boundary=b";
    let good = good_envelope();
    let first = format!("--b\r\nContent-Type: text/xml\r\n\r\n{good}\r\n");
    let mut add = |name: &str, body: String, code: &str| {
        cases.push(Case::raw(name, soap(related, body.as_bytes()), format!("fault client.{code}")));
    };
    add("no part", "--b--\r\n".into(), "missing_soap");
    add("no boundary in sight", "hello".into(), "missing_soap");
    add("first part without type", format!("--b\r\n\r\n{good}\r\n--b--"), "invalid_content_type");
    add(
        "first part is a picture",
        format!("--b\r\nContent-Type: image/png\r\n\r\n{good}\r\n--b--"),
        "invalid_content_type",
    );
    add("attachment without type", format!("{first}--b\r\n\r\nx\r\n--b--"), "invalid_content_type");
    let part = |header: &str| format!("{first}--b\r\nContent-Type: text/plain\r\n{header}\r\n\r\nx\r\n--b--");
    add("header line of 1000 bytes", part(&format!("X: {}", "x".repeat(995))), "mime_parsing_failed");
    let folded = format!("X: y{}", "\r\n z".repeat(4000));
    add("folded header of 8 KB", part(&folded), "mime_parsing_failed");
    add(
        "folded header of the SOAP part",
        format!("--b\r\nContent-Type: text/xml\r\n{folded}\r\n\r\n{good}\r\n--b--"),
        "mime_parsing_failed",
    );
    add(
        "2000 headers",
        part(&(0..2000).map(|n| format!("X{n}: y")).collect::<Vec<_>>().join("\r\n")),
        "mime_parsing_failed",
    );
    add("control in a header", part("X: \u{1}"), "mime_parsing_failed");
    add("bare CR in a header", part("X: a\rContent-Type: b"), "mime_parsing_failed");
    add("no colon", part("nothing"), "mime_parsing_failed");
    add("cut off in headers", format!("{first}--b\r\nContent-Type: te"), "io_error");
    let mut nested = String::new();
    for depth in 0..50 {
        nested.push_str(&format!(
            "--{}\r\nContent-Type: multipart/mixed; boundary={}\r\n\r\n",
            "b".repeat(depth + 1),
            "b".repeat(depth + 2)
        ));
    }
    add("50 levels", nested, "mime_parsing_failed");
    add(
        "boundary of 201 bytes inside",
        part(&format!("\r\n--b\r\nContent-Type: multipart/mixed; boundary={}", "x".repeat(201))),
        "invalid_content_type",
    );
    let thousand = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(1001);
    add("1001 attachments", format!("{first}{thousand}--b--"), "invalid_message");
    add(
        "SOAP part of 33 MB",
        format!("--b\r\nContent-Type: text/xml\r\n\r\n{}\r\n--b--", "x".repeat(33 << 20)),
        "invalid_soap",
    );
    let kind = "multipart/related; type=\"text/xml\"; boundary=";
    for (name, boundary) in [("empty", String::new()), ("of 201 bytes", "b".repeat(201))] {
        let bytes = soap(&format!("{kind}\"{boundary}\""), good.as_bytes());
        cases.push(Case::raw(format!("boundary {name}"), bytes, "fault client.invalid_content_type"));
    }
}

#[tokio::test]
async fn a_boundary_inside_of_content_ends_nothing() {
    let clients = Clients::start().await;
    let content = "x\r\n--bX\r\n--\r\n--b\u{e4}\r\n--xroad\r\n--b-\r\ny";
    let body = format!(
        "--b\r\nContent-Type: text/xml\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\n{content}\r\n--b--",
        good_envelope()
    );
    let bytes = soap("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary=b", body.as_bytes());
    let answer = wire::plain(clients.http, &bytes, End::Wait).await.text();
    assert!(answer.contains(content) && !answer.contains("faultcode"), "{answer}");
}

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
    // Clients that never read: the answer of 16 MB fills every buffer and stops.
    let mut deaf = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(clients.http).await.unwrap();
        stream.write_all(&rest("GET", "/random?size=9000000", "X: y")).await.unwrap();
        deaf.push(stream);
    }
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
    let deadline = Instant::now() + Duration::from_secs(20);
    while rest_station.calls() == calls {
        assert!(Instant::now() < deadline, "the call has not arrived");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let service = clients.lab.ecosystem.plan().service(ports::REST);
    let before = crate::peer_tls::connections_to(service);
    drop(stream);
    while crate::peer_tls::connections_to(service) >= before {
        assert!(Instant::now() < deadline, "the service is still being waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rest_station.set_fault(Fault::None);
    clients.good().await;
}
