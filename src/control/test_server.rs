//! A scripted HTTP server on loopback for the tests of this room.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// What a script sees of a request.
#[derive(Debug, Clone)]
pub struct Seen {
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
}

async fn answer(
    request: Request<hyper::body::Incoming>,
    script: Arc<impl Fn(&Seen) -> Scripted>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let content_type = request.headers().get("content-type").map_or("", |value| value.to_str().unwrap());
    let content_type = content_type.to_string();
    let target = request.uri().to_string();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let seen = Seen { target, content_type, body };
    let (status, content_type, body) = script(&seen);
    log.lock().unwrap().push(seen);
    let response = Response::builder().status(status).header("content-type", content_type);
    Ok(response.body(Full::new(body.into())).unwrap())
}
