//! A hostile consumer's server: who it is, and how it uses its connections.

use std::time::{Duration, Instant};

use hermod::crypto::Certificate;
use hermod::sandbox::ocsp::Responder;
use hermod::sandbox::source::Parts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::draft;
use crate::lab::{Case, Forger, Lab, assert_bounded, now, other_pki, refused};
use crate::wire::{self, End};

const REFUSED: &str = "service_failed.ssl_authentication_failed";

#[tokio::test]
async fn servers_that_are_not_who_they_say_are_refused() {
    let lab = Lab::start(&[1]).await;
    let own = lab.forger(0);
    let certificate = own.identities.authentication.certificate();
    let directory = tempfile::tempdir().unwrap();
    let foreign = other_pki(&lab, directory.path(), &[], now());
    let responder = Responder::new(foreign.clone()).unwrap();
    let stranger = foreign.servers[0].authentication.certificate();
    let foreign_ocsp =
        Forger { identities: &foreign.servers[0], ca: foreign.ca.certificate(), responder: &responder }
            .ocsp(stranger, 0);
    own.responder.set_revoked(certificate.serial().to_vec(), true);
    let revoked = own.ocsp(certificate, 0);
    own.responder.set_revoked(certificate.serial().to_vec(), false);
    let mut forged = own.ocsp(certificate, 0);
    let last = forged.windows(4).position(|w| w == b"\x18\x0f20").unwrap() + 6;
    forged[last] ^= 1;
    let other = lab.forger(1).ocsp(lab.forger(1).identities.authentication.certificate(), 0);
    let cases = [
        ("an old OCSP response", own.ocsp(certificate, -7200)),
        ("an OCSP response from the future", own.ocsp(certificate, 3600)),
        ("a revoked certificate", revoked.clone()),
        ("a foreign authority's OCSP response", foreign_ocsp),
        ("an OCSP response about another certificate", other),
        ("a forged OCSP response", forged),
        ("garbage as OCSP response", b"garbage".to_vec()),
        ("an empty OCSP response", Vec::new()),
        ("an OCSP request", hermod::trust::ocsp_request(certificate, own.ca)),
    ];
    let mut table: Vec<Case> = Vec::new();
    for (name, ocsp) in cases {
        let mut draft = lab.rest();
        *draft.part(draft::OCSP) = ocsp;
        table.push(Case::new(name, &draft, refused(REFUSED)));
    }
    let mut draft = lab.rest();
    draft.parts.insert(1, draft::Part { content_type: draft::OCSP.into(), body: revoked });
    table.push(Case::new("a good answer beside a revocation", &draft, refused(REFUSED)));
    lab.check(table).await;
    handshakes(&lab, &foreign.servers[0].authentication).await;
    expired(&lab).await;
    other_server(&lab).await;
}

// Nothing of HTTP is answered to who cannot prove a registered certificate.
async fn handshakes(lab: &Lab, stranger: &hermod::sandbox::keys::Identity) {
    let bytes = lab.rest().bytes();
    let own = &lab.ecosystem.pki().servers[0];
    for (name, identity) in [
        ("no certificate", None),
        ("a foreign certificate", Some(stranger)),
        ("a signing certificate", Some(&own.signing)),
        ("an internal certificate", Some(&own.internal_tls)),
        ("the authority's certificate", Some(&lab.ecosystem.pki().ca)),
    ] {
        let config = wire::client_config(identity);
        let answer = wire::tls(lab.provider(), &config, &bytes, End::Wait).await;
        assert_eq!(answer.verdict(), "nothing", "{name}: {}", answer.text());
    }
    for bytes in [bytes.as_slice(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[0; 4096], &[0xff; 70_000]] {
        let answer = wire::plain(lab.provider(), bytes, End::Wait).await;
        assert!(!answer.text().contains("HTTP/"), "plain bytes: {}", answer.text());
    }
    lab.good().await;
}

// Registered once, expired since: TLS lets it in, the message is refused.
async fn expired(lab: &Lab) {
    let directory = tempfile::tempdir().unwrap();
    let authority = ["ca.key", "ca.crt", "ocsp.key", "ocsp.crt"];
    let old = other_pki(lab, directory.path(), &authority, now().plus_secs(-11 * 366 * 86_400));
    let (config, certificate) = register(lab, &old.servers[0].authentication).await;
    let responder = Responder::new(old.clone()).unwrap();
    let forger = Forger { identities: &old.servers[0], ca: lab.forger(0).ca, responder: &responder };
    let mut draft = lab.rest();
    *draft.part(draft::OCSP) = forger.ocsp(&certificate, 0);
    let bytes = draft.bytes();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = wire::tls(lab.provider(), &config, &bytes, End::Wait).await;
        match answer.verdict().as_str() {
            // The server has not read the new configuration yet.
            "nothing" if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
            verdict => break assert_eq!(verdict, refused(REFUSED), "{}", answer.text()),
        }
    }
    lab.good().await;
}

async fn register(
    lab: &Lab,
    identity: &hermod::sandbox::keys::Identity,
) -> (std::sync::Arc<rustls::ClientConfig>, Certificate) {
    use base64::Engine as _;
    let certificate = identity.certificate().clone();
    let hash = base64::engine::general_purpose::STANDARD.encode(certificate.sha256());
    let parts = lab.ecosystem.source().parts();
    let line = format!("<authCertHash>{hash}</authCertHash>\n        <authCertHash>");
    let shared = parts.shared.replacen("<authCertHash>", &line, 1);
    lab.ecosystem.source().publish(Parts { shared, private: parts.private });
    (wire::client_config(Some(identity)), certificate)
}

// A registered server that sends for a client of another one.
async fn other_server(lab: &Lab) {
    let config = wire::client_config(Some(&lab.ecosystem.pki().servers[1].authentication));
    let other = lab.forger(1);
    let mut draft = lab.rest();
    let own_answer = draft.bytes();
    *draft.part(draft::OCSP) = other.ocsp(other.identities.authentication.certificate(), 0);
    for bytes in [own_answer, draft.bytes()] {
        let answer = wire::tls(lab.provider(), &config, &bytes, End::Wait).await;
        assert_eq!(answer.verdict(), refused(REFUSED), "{}", answer.text());
    }
    lab.good().await;
}

#[tokio::test]
async fn connections_that_only_wait_do_not_keep_others_out() {
    let lab = Lab::start(&[1]).await;
    lab.good().await;
    let address = lab.provider();
    let mut held = Vec::new();
    for index in 0..600 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A third says nothing, a third begins a handshake and stalls, a third sends its first byte only.
        match index % 3 {
            0 => {}
            1 => stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap(),
            _ => stream.write_all(&[0x16]).await.unwrap(),
        }
        held.push(stream);
    }
    let head = lab.rest().head("Transfer-Encoding: chunked");
    let mut slow = Vec::new();
    for index in 0..100 {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = rustls::pki_types::ServerName::IpAddress(address.ip().into());
        let connector = tokio_rustls::TlsConnector::from(lab.tls.clone());
        let mut stream = connector.connect(name, stream).await.unwrap();
        let sent = if index % 2 == 0 { &head[..head.len() / 2] } else { &head[..] };
        stream.write_all(sent).await.unwrap();
        stream.flush().await.unwrap();
        slow.push(stream);
    }
    for _ in 0..20 {
        lab.good().await;
        for stream in &mut slow {
            // A byte now and then: of the head, or of a chunk's size line that never ends.
            let _ = stream.write_all(b"0").await;
        }
    }
    assert_bounded(lab.ecosystem.server(1).id());
    drop((held, slow));
    lab.good().await;
}

#[tokio::test]
async fn a_peer_that_leaves_is_not_worked_for() {
    use hermod::sandbox::Fault;
    let lab = Lab::start(&[1]).await;
    lab.good().await;
    let station = &lab.ecosystem.stations().rest;
    station.set_fault(Fault::Slow(Duration::from_secs(3600)));
    let calls = station.calls();
    let bytes = lab.rest().bytes();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let stream = TcpStream::connect(lab.provider()).await.unwrap();
        let name = rustls::pki_types::ServerName::IpAddress(lab.provider().ip().into());
        let connector = tokio_rustls::TlsConnector::from(lab.tls.clone());
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.flush().await.unwrap();
        peers.push(stream);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while station.calls() < calls + 3 {
        assert!(Instant::now() < deadline, "the calls have not arrived");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let services = lab.ecosystem.plan().service(hermod::sandbox::plan::ports::REST);
    let before = connections_to(services);
    assert!(before >= 3, "{before} connections");
    for mut peer in peers {
        let _ = peer.shutdown().await;
        let _ = tokio::time::timeout(Duration::from_millis(200), peer.read(&mut [0; 1])).await;
    }
    while connections_to(services) + 3 > before {
        assert!(Instant::now() < deadline, "the service is still being waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    station.set_fault(Fault::None);
    lab.good().await;
}

/// Established connections to an address, as the kernel lists them: those of the security servers.
pub fn connections_to(address: std::net::SocketAddr) -> usize {
    let std::net::IpAddr::V4(ip) = address.ip() else { unreachable!("loopback") };
    let remote = format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let established = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2) == Some(&remote.as_str()) && fields.get(3) == Some(&"01")
    };
    table.lines().filter(established).count()
}
