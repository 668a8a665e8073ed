//! A scripted HTTP server on loopback, and a clock that follows tokio's, for the tests of this room.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::time::{Clock, UnixTime};

/// What a script sees of a request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub content_type: String,
    pub body: Bytes,
}

/// A server that answers each request by a script, and remembers them. Stops when dropped.
pub struct TestServer {
    pub url: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Status, content type, body.
pub type Scripted = (u16, &'static str, Vec<u8>);

impl TestServer {
    pub async fn start(script: impl Fn(&Seen) -> Scripted + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (script.clone(), log.clone());
                tokio::spawn(async move {
                    let service =
                        hyper::service::service_fn(|request| answer(request, script.clone(), log.clone()));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    let _ = connection.await;
                });
            }
        });
        Self { url, seen, task }
    }

    pub fn targets(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    script: Arc<impl Fn(&Seen) -> Scripted>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let content_type = request.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
    let content_type = content_type.to_string();
    let (method, target) = (request.method().to_string(), request.uri().to_string());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let seen = Seen { method, target, content_type, body };
    let (status, content_type, body) = script(&seen);
    log.lock().unwrap().push(seen);
    let response = Response::builder().status(status).header("content-type", content_type);
    Ok(response.body(Full::new(body.into())).unwrap())
}

/// A clock that moves with tokio's time, so that paused time moves both.
pub struct TokioClock {
    start: UnixTime,
    started: tokio::time::Instant,
}

impl TokioClock {
    pub fn starting_at(start: UnixTime) -> Self {
        Self { start, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.start.millis() + self.started.elapsed().as_millis() as i64)
    }
}
