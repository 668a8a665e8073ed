//! Behaviour over loopback sockets. Every test runs on epoll and, where the host permits it, on io_uring.

mod client;
mod multiplexed;
mod server;
mod tls;
mod waiting;
mod workers;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::*;

/// Longer than any test takes; a hang fails instead of blocking.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test on each runtime that the host has.
fn on_both(test: impl Fn(RuntimeKind)) {
    test(RuntimeKind::Epoll);
    match choose(RuntimeChoice::IoUring) {
        Ok((kind, _)) => test(kind),
        Err(error) => println!("skipped on io_uring: {error}"),
    }
}

/// Runs client code as a worker would.
fn as_worker<T>(kind: RuntimeKind, test: impl Future<Output = T>) -> T {
    let runtime = WorkerRuntime::new(kind).unwrap();
    runtime::set_current(kind);
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") })
}

/// Answers by request target.
#[derive(Default)]
struct Answers {
    entered: Arc<Notify>,
    proceed: Arc<Notify>,
}

impl Handler for Answers {
    async fn handle(&self, head: RequestHead, exchange: &mut ServerExchange) -> Result<(), HttpError> {
        let reply = [("x-hash-algorithm", "SHA-512"), ("X-Mixed-Case", "kept")];
        match &*head.target {
            b"/early" => {
                exchange.respond(400, "Bad Request", NO_HEADERS, BodyFraming::Length(5)).await?;
                exchange.write(Bytes::from_static(b"early")).await?;
            }
            b"/torn" => {
                exchange.respond(200, "OK", NO_HEADERS, BodyFraming::UntilClose).await?;
                exchange.write(Bytes::from_static(b"half")).await?;
                exchange.flush().await?;
                return Err(HttpError::Misuse("the handler fails"));
            }
            b"/short" => {
                exchange.respond(200, "OK", NO_HEADERS, BodyFraming::Length(10)).await?;
                exchange.write(Bytes::from_static(b"half")).await?;
            }
            b"/nothing" => return Ok(()),
            b"/none" => exchange.respond(204, "No Content", &reply, BodyFraming::None).await?,
            b"/peer" => {
                let peer = exchange.peer();
                let text = format!("{} {} {:?}", peer.certificates.len(), peer.resumed, peer.role);
                exchange.respond(200, "OK", NO_HEADERS, BodyFraming::Length(text.len() as u64)).await?;
                exchange.write(Bytes::from(text)).await?;
            }
            b"/wait" => {
                self.entered.notify_one();
                self.proceed.notified().await;
                exchange.respond(200, "OK", NO_HEADERS, BodyFraming::Length(4)).await?;
                exchange.write(Bytes::from_static(b"done")).await?;
            }
            b"/abandoned" => {
                self.entered.notify_one();
                exchange.peer_gone().await;
                self.proceed.notify_one();
                return Ok(());
            }
            b"/panic" => {
                exchange.respond(200, "OK", NO_HEADERS, BodyFraming::UntilClose).await?;
                exchange.write(Bytes::from_static(b"half")).await?;
                exchange.flush().await?;
                panic!("a handler panics on purpose");
            }
            b"/stream" | b"/close" => {
                let close = &*head.target == b"/close";
                let framing = if close { BodyFraming::UntilClose } else { BodyFraming::Chunked };
                exchange.respond(200, "OK", &reply, framing).await?;
                while let Some(chunk) = exchange.read_body_chunk().await? {
                    exchange.write(chunk).await?;
                }
            }
            _ => {
                let mut spool = Spool::new(&SpoolSpace::new(
                    std::env::temp_dir(),
                    Budget::new(1 << 20),
                    Budget::new(1 << 30),
                ));
                while let Some(chunk) = exchange.read_body_chunk().await? {
                    spool.write(chunk)?;
                }
                exchange.respond(200, "OK", &reply, BodyFraming::Length(spool.len())).await?;
                let mut chunks = spool.chunks();
                while let Some(chunk) = chunks.next_chunk()? {
                    exchange.write(chunk).await?;
                }
            }
        }
        exchange.finish().await
    }
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Starts two workers with [`Answers`].
fn start(kind: RuntimeKind, tls: Option<Arc<TlsServer>>, timeouts: ServerTimeouts) -> (Workers, SocketAddr) {
    let listener = ListenerConfig { tls, ..ListenerConfig::new(loopback(), Role::SecurityServer) };
    let config = WorkerConfig { workers: 2, listeners: vec![listener], timeouts, ..WorkerConfig::new(kind) };
    let workers = run_workers(config, |_| Rc::new(Answers::default())).unwrap();
    let address = workers.addresses()[0].1;
    (workers, address)
}

fn stop(workers: Workers) {
    workers.stop();
    workers.join();
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and returns all that comes back until the server closes.
fn talk(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until `end` has come.
fn read_until(stream: &mut impl Read, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "ended after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// A server that plays one script per connection.
fn scripted(scripts: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            script(stream);
        }
    });
    (address, thread)
}

/// A script: reads a request head and answers with these bytes.
fn answers(bytes: &'static [u8]) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(move |mut stream| {
        read_until(&mut stream, "\r\n\r\n");
        stream.write_all(bytes).unwrap();
    })
}

async fn get(connection: &mut ClientConnection, target: &str) -> Result<(ResponseHead, Vec<u8>), HttpError> {
    exchange(connection, "GET", target, BodyFraming::None, &[]).await
}

async fn exchange(
    connection: &mut ClientConnection,
    method: &str,
    target: &str,
    framing: BodyFraming,
    body: &[u8],
) -> Result<(ResponseHead, Vec<u8>), HttpError> {
    connection.send_request(method, target.as_bytes(), &[("Host", "h")], framing).await?;
    connection.write(Bytes::copy_from_slice(body)).await?;
    connection.finish_request().await?;
    let head = connection.read_head(PATIENCE).await?;
    let mut answer = Vec::new();
    while let Some(chunk) = connection.read_body_chunk().await? {
        answer.extend_from_slice(&chunk);
    }
    Ok((head, answer))
}
