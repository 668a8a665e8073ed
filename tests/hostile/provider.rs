//! A hostile provider's server: it has the keys of a registered one and answers what it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hermod::crypto::sha512;
use hermod::message::rest_request_hash;
use hermod::sandbox::keys::Identity;
use hermod::transport::{Decoder, Event, PartKind};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::draft::{self, Draft};
use crate::lab::{Lab, push_signature, records};
use crate::wire::{self, Answer, End};

/// What answers carry that must never reach a client.
pub const SECRET: &str = "not-to-be-delivered";

/// A request as the hostile server got it.
pub struct Seen {
    /// Its HTTP head.
    pub head: String,
    pub message: Vec<u8>,
    pub body: Option<Vec<u8>>,
}

/// What the hostile server says, and how it ends.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub end: End,
}

impl From<Draft> for Reply {
    fn from(draft: Draft) -> Self {
        Self { bytes: draft.bytes(), end: End::Close }
    }
}

/// The hostile server in front of a real consumer's server.
pub struct Hostile {
    pub lab: Lab,
    messages: TcpListener,
    ocsp: TcpListener,
    acceptor: TlsAcceptor,
}

pub type Script<'s> = &'s dyn Fn(&Seen) -> Reply;

impl Hostile {
    pub async fn start() -> Self {
        let lab = Lab::start(&[0]).await;
        let address = lab.ecosystem.plan().servers[1].address;
        let listen = |port| TcpListener::bind(SocketAddr::from((address, port)));
        let (messages, ocsp) = (listen(5500).await.unwrap(), listen(5577).await.unwrap());
        let acceptor = acceptor(&lab.ecosystem.pki().servers[1].authentication);
        Self { lab, messages, ocsp, acceptor }
    }

    /// Shows another certificate from now on.
    pub fn show(&mut self, identity: &Identity) {
        self.acceptor = acceptor(identity);
    }

    /// Port 8080 of the consumer's server.
    pub fn consumer(&self) -> SocketAddr {
        SocketAddr::from((self.lab.ecosystem.plan().servers[0].address, 8080))
    }

    /// A client's request, while the hostile server answers as told on both of its ports.
    pub async fn exchange(&self, request: &[u8], script: Script<'_>, ocsp: &[u8]) -> Answer {
        let messages = async {
            while let Ok((stream, _)) = self.messages.accept().await {
                self.answer(stream, script).await;
            }
        };
        let responses = async {
            while let Ok((stream, _)) = self.ocsp.accept().await {
                answer_ocsp(stream, ocsp).await;
            }
        };
        tokio::select! {
            answer = wire::plain(self.consumer(), request, End::Wait) => answer,
            _ = async { tokio::join!(messages, responses) } => unreachable!("they serve for ever"),
        }
    }

    async fn answer(&self, stream: TcpStream, script: Script<'_>) {
        let Ok(mut stream) = self.acceptor.accept(stream).await else { return };
        let Some(seen) = read_request(&mut stream).await else { return };
        let reply = script(&seen);
        let _ = stream.write_all(&reply.bytes).await;
        let _ = stream.flush().await;
        match reply.end {
            End::Fin => drop(stream.get_mut().0.shutdown().await),
            _ => drop(stream.shutdown().await),
        }
    }

    /// The OCSP answer of an honest server.
    pub fn good_ocsp(&self) -> Vec<u8> {
        let forger = self.lab.forger(1);
        ocsp_answer(&[forger.ocsp(forger.identities.authentication.certificate(), 0)])
    }

    /// An honest answer to a REST request.
    pub fn rest(&self, seen: &Seen) -> Draft {
        let body = format!("{{\"x\":\"{SECRET}\"}}");
        self.rest_of(&response_part(seen, &[]), Some(body.as_bytes()))
    }

    /// A REST answer with this part and body, correctly signed.
    pub fn rest_of(&self, part: &[u8], body: Option<&[u8]>) -> Draft {
        let mut draft = Draft::answer();
        draft.push(draft::REST_RESPONSE, part);
        if let Some(body) = body {
            draft.push(draft::REST_BODY, body);
        }
        let parts: Vec<&[u8]> = std::iter::once(part).chain(body).collect();
        push_signature(&mut draft, &self.lab.forger(1).sign(&parts));
        draft
    }

    /// A SOAP answer, correctly signed.
    pub fn soap_of(&self, envelope: &[u8]) -> Draft {
        let mut draft = Draft::answer();
        draft.header("x-original-content-type", draft::XML);
        draft.push(draft::XML, envelope);
        push_signature(&mut draft, &self.lab.forger(1).sign(&[envelope]));
        draft
    }

    /// Message records of the consumer's server.
    pub fn records(&self) -> u64 {
        records(&self.lab.ecosystem.server(0).files().log())
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(wire::chain(identity), wire::key(identity))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Reads one chunked transport message.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let read = async {
        while !bytes.ends_with(b"\r\n0\r\n\r\n") {
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return None;
            }
        }
        Some(())
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.ok()??;
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let mut decoder = Decoder::new(wire::header(&head, "content-type")?).ok()?;
    let mut rest = &bytes[at..];
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        decoder.feed(Bytes::copy_from_slice(&rest[line + 2..line + 2 + size]));
        rest = &rest[line + size + 4..];
    }
    decoder.finish();
    let mut seen = Seen { head, message: Vec::new(), body: None };
    while let Some(event) = decoder.next().ok()? {
        match event {
            Event::Part(part) if matches!(part.kind, PartKind::RestRequest | PartKind::Soap) => {
                seen.message = part.body.to_vec();
            }
            Event::Start { .. } => seen.body = Some(Vec::new()),
            Event::Data(data) => seen.body.as_mut()?.extend_from_slice(&data),
            _ => {}
        }
    }
    Some(seen)
}

async fn answer_ocsp(mut stream: TcpStream, answer: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

/// What port 5577 says with these responses.
pub fn ocsp_answer(responses: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for response in responses {
        body.extend_from_slice(b"--jetty\r\nContent-Type: application/ocsp-response\r\n\r\n");
        body.extend_from_slice(response);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--jetty--\r\n");
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/related; type=\"application/ocsp-response\"; \
         charset=UTF-8; boundary=jetty\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

/// The part of an honest REST response; `changed` replaces values by name, an empty one removes the line.
pub fn response_part(seen: &Seen, changed: &[(&str, &str)]) -> Vec<u8> {
    let request = String::from_utf8_lossy(&seen.message).into_owned();
    let value = |name: &str| {
        let line = request
            .lines()
            .find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        line.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let hash = rest_request_hash(
        &sha512(&seen.message),
        seen.body.as_ref().map(|body| sha512(body)).as_ref().map(|d| &d[..]),
    );
    let service = format!("{}/echo", draft::subsystem("200", "provider"));
    let mut part = "200\r\nOK\r\nContent-Type:application/json\r\n".to_owned();
    for (name, own) in [
        ("x-road-id", value("x-road-id")),
        ("x-road-client", value("x-road-client")),
        ("x-road-service", service),
        ("x-road-request-id", value("x-road-request-id")),
        ("x-road-request-hash", hash),
    ] {
        match changed.iter().find(|(changed, _)| *changed == name) {
            Some((_, "")) => {}
            Some((_, other)) => part.push_str(&format!("{name}:{other}\r\n")),
            None => part.push_str(&format!("{name}:{own}\r\n")),
        }
    }
    part.into_bytes()
}

/// A SOAP response: the request's header, with the hash of the request, and a body that holds the secret.
pub fn response_envelope(seen: &Seen) -> String {
    let request = String::from_utf8_lossy(&seen.message).into_owned();
    let hash = format!(
        "</x:id><x:requestHash algorithmId=\"http://www.w3.org/2001/04/xmlenc#sha512\">{}</x:requestHash>",
        BASE64.encode(sha512(&seen.message))
    );
    let head = request.split("<e:Body>").next().unwrap_or_default().replace("</x:id>", &hash);
    format!(
        "{head}<e:Body><p:getRandomResponse xmlns:p=\"http://sandbox.test/producer\">{SECRET}</p:getRandomResponse></e:Body></e:Envelope>"
    )
}
