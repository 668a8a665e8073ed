//! The life of an accepted connection: handshake, requests one after the other, proper end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::Connection;
use super::error::{HttpError, Wait};
use super::exchange::{After, Handler, PeerInfo, ServerExchange};
use super::http::{HeadScanner, RequestHead, parse_request};
use super::limited::within;
use super::listener::Role;
use super::multiplex::Hello;
use super::open::OpenConnections;
use super::server_channels::serve_channels;
use super::stream::Stream;
use super::tls::{TlsServer, TlsSession, handshakes};
use super::workers::{Admission, Kept, Leaving, Phase};
use crate::limits::{HTTP_BODY_BYTES_PER_SEC_MIN, HTTP_DRAIN_BYTES_MAX, HTTP_HEAD_BYTES_MAX};

// How long a client that was refused in the middle of its request may take to read the answer.
const LINGER: Duration = Duration::from_secs(2);
// A request may have come while nobody looked, and a read that is in flight may hold it: before an idle connection is
// closed the runtime gets so much time to bring it.
const LAST_LOOK: Duration = Duration::from_millis(5);
// How long a client that has just connected may take to send its first request when a stop has begun.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How long a server waits for its clients.
#[derive(Debug, Clone, Copy)]
pub struct ServerTimeouts {
    /// TLS handshake.
    pub handshake: Duration,
    /// First byte of a request on an idle connection; official servers close after 30 s.
    pub idle: Duration,
    /// Whole head, from its first byte.
    pub head: Duration,
    /// Next bytes of a body.
    pub body: Duration,
    /// Least rate of a body in bytes a second, over a minute of waiting for it; 0 is none.
    pub body_bytes_per_sec_min: u64,
    /// Room for the next 64 KiB of a response.
    pub write: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        let half_minute = Duration::from_secs(30);
        Self {
            handshake: half_minute,
            idle: half_minute,
            head: half_minute,
            body: half_minute,
            body_bytes_per_sec_min: HTTP_BODY_BYTES_PER_SEC_MIN,
            // A link of 2 kB/s needs more than half a minute for that much.
            write: 2 * half_minute,
        }
    }
}

/// What all connections of a listener share.
pub(super) struct Site<H> {
    pub(super) handler: Rc<H>,
    pub(super) role: Role,
    pub(super) tls: Option<Arc<TlsServer>>,
    pub(super) timeouts: ServerTimeouts,
    pub(super) stop: watch::Receiver<Phase>,
    pub(super) leaving: Arc<Leaving>,
    pub(super) open: Rc<OpenConnections>,
    pub(super) admission: Admission,
    /// Which worker this is, for clients that multiplex.
    pub(super) place: Hello,
}

/// Serves a connection until it ends.
pub(super) async fn serve<H: Handler>(site: &Rc<Site<H>>, stream: Stream, address: SocketAddr) {
    match open(site, stream, address).await {
        Ok((connection, peer)) if connection.is_multiplexed() => {
            Box::pin(serve_channels(site, connection, peer)).await;
        }
        Ok((connection, peer)) => {
            let exchange = ServerExchange::new(connection, Rc::new(peer), site.timeouts, site.stop.clone());
            requests(site, exchange).await;
        }
        Err(error) => tracing::debug!(peer = %address, %error, "connection refused"),
    }
}

async fn open<H>(
    site: &Site<H>,
    stream: Stream,
    address: SocketAddr,
) -> Result<(Connection, PeerInfo), HttpError> {
    let session: Option<Box<dyn TlsSession>> = match &site.tls {
        Some(tls) => Some(Box::new(tls.session()?)),
        None => None,
    };
    let mut connection = Connection::new(stream, session, address);
    within(site.timeouts.handshake, Wait::Connect, connection.handshake()).await?;
    let tls = connection.tls();
    tls.into_iter().for_each(handshakes::accepted);
    let peer = PeerInfo {
        address,
        role: site.role,
        tls: tls.is_some(),
        certificates: tls.map(TlsSession::peer_certificates).unwrap_or_default(),
        resumed: tls.is_some_and(TlsSession::resumed),
    };
    if let Some(tls) = tls {
        tracing::trace!(peer = %address, resumed = peer.resumed, session = tls.description(), "tls");
    }
    Ok((connection, peer))
}

/// Serves the requests of a connection one after the other until it ends.
pub(super) async fn requests<H: Handler>(site: &Site<H>, mut exchange: ServerExchange) {
    let mut served = false;
    loop {
        let next = next_request(site, &mut exchange.connection, served).await;
        served = true;
        let after = match next {
            Ok(Some(head)) => match exchange.begin(&head) {
                Ok(()) => {
                    let result = site.handler.handle(head, &mut exchange).await;
                    exchange.settle(result).await
                }
                Err(error) => Box::pin(refuse(&mut exchange, &error)).await,
            },
            Ok(None) => After::Close,
            Err(error) => Box::pin(refuse(&mut exchange, &error)).await,
        };
        match after {
            After::KeepAlive => {}
            After::Close => {
                let close = exchange.connection.close();
                let _ = within(site.timeouts.write, Wait::Write, close).await;
                return;
            }
            After::CloseLingering => {
                let _ = within(LINGER, Wait::Write, Box::pin(linger(&mut exchange.connection))).await;
                return;
            }
            After::Abort => {
                exchange.connection.abort();
                return;
            }
        }
    }
}

async fn refuse(exchange: &mut ServerExchange, error: &HttpError) -> After {
    tracing::debug!(peer = %exchange.peer().address, %error, "request refused");
    match error {
        HttpError::Malformed { status, .. } => exchange.refuse(*status).await,
        HttpError::Timeout(_) => exchange.refuse(408).await,
        _ => After::Abort,
    }
}

// The head of the next request; `None` when there will be none: closed or idle for too long, or a stop.
async fn next_request<H>(
    site: &Site<H>,
    connection: &mut Connection,
    served: bool,
) -> Result<Option<RequestHead>, HttpError> {
    let mut stop = site.stop.clone();
    let mut last_look = false;
    while connection.input.is_empty() {
        let phase = *stop.borrow_and_update();
        let patience = match phase {
            _ if last_look => LAST_LOOK,
            // While others move away nobody is sent away: a request that is on its way now must not meet a close.
            Phase::Running => site.timeouts.idle,
            _ if !served => FIRST_REQUEST,
            Phase::Leaving | Phase::Moving => site.timeouts.idle,
            Phase::Draining => LAST_LOOK,
        };
        let kept = (served && matches!(phase, Phase::Leaving | Phase::Moving)).then(|| site.leaving.keep());
        tokio::select! {
            filled = connection.fill_within(patience, Wait::Head) => match filled {
                Err(HttpError::Timeout(_)) if last_look => return Ok(None),
                Err(HttpError::Timeout(_)) => {
                    last_look = true;
                    continue;
                }
                // A client that lets an idle connection go without ceremony loses nothing.
                Err(HttpError::Io(_)) => return Ok(None),
                filled => filled?,
            },
            Ok(()) = stop.changed() => continue,
        }
        if connection.input.is_empty() && connection.end().is_some() {
            return Ok(None);
        }
        kept.iter().for_each(Kept::used);
    }
    within(site.timeouts.head, Wait::Head, read_head(connection)).await.map(Some)
}

async fn read_head(connection: &mut Connection) -> Result<RequestHead, HttpError> {
    // An empty line before a request is skipped (RFC 9112 2.2); one, since old clients sent one after a body.
    while connection.input.len() < 2 && connection.input.first() == Some(&b'\r') && connection.end().is_none()
    {
        connection.fill().await?;
    }
    if connection.input.starts_with(b"\r\n") {
        let _ = connection.input.split_to(2);
    }
    let mut scanner = HeadScanner::default();
    loop {
        if let Some(length) = scanner.scan(&connection.input, HTTP_HEAD_BYTES_MAX)? {
            return parse_request(&connection.input.split_to(length).freeze());
        }
        if connection.end().is_some() {
            return Err(HttpError::Truncated);
        }
        connection.fill().await?;
    }
}

// A close with unread bytes is a reset, and a reset takes the answer away from a client that is still sending.
async fn linger(connection: &mut Connection) -> Result<(), HttpError> {
    connection.close().await?;
    let mut dropped = 0;
    while connection.end().is_none() && dropped <= HTTP_DRAIN_BYTES_MAX {
        dropped += connection.input.len();
        connection.input.clear();
        connection.fill().await?;
    }
    Ok(())
}
