//! HTTP/1.1 client connections.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use tokio::time::Instant;

use super::connection::{Connection, End};
use super::error::{HttpError, Wait};
use super::http::{
    BodyDecoder, BodyFraming, Decoded, Encoder, HeadScanner, ResponseHead, parse_response, request_head,
    response_body, wants_close,
};
use super::limited::within;
use super::pool::{Idle, Key};
use super::runtime;
use super::stream::Stream;
use super::tls::{TlsClient, TlsSession, handshakes};
use crate::limits::{
    HTTP_INTERIM_RESPONSES_MAX, HTTP_RESPONSE_HEAD_BYTES_MAX, RESOLVED_NAME_LIFE, RESOLVED_NAMES_MAX,
    WRITE_BUFFER_BYTES,
};

/// Addresses of a host. A name is looked up on a helper thread, and counts for 30 seconds, as long as the Java
/// platform's resolver of official servers keeps it.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, HttpError> {
    let unknown = || HttpError::UnknownHost(host.to_string());
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let known = RESOLVED.with_borrow(|known| {
        let (addresses, until) = known.get(host)?;
        (Instant::now() < *until).then(|| addresses.clone())
    });
    let addresses = match known {
        Some(addresses) => addresses,
        None => {
            let found = tokio::net::lookup_host((host, port)).await.map_err(|_| unknown())?;
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            if addresses.is_empty() {
                return Err(unknown());
            }
            RESOLVED.with_borrow_mut(|known| {
                if known.len() >= RESOLVED_NAMES_MAX {
                    known.clear();
                }
                known.insert(host.to_string(), (addresses.clone(), Instant::now() + RESOLVED_NAME_LIFE));
            });
            addresses
        }
    };
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

thread_local! {
    /// Names that this thread has looked up lately, and until when that counts.
    static RESOLVED: RefCell<HashMap<String, (Vec<IpAddr>, Instant)>> = RefCell::default();
}

/// Where to connect.
#[derive(Debug, Clone)]
pub struct Target {
    /// Addresses in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
    /// TLS with the name or address of the host (SNI for names; sessions are resumed by it), or plain HTTP.
    pub tls: Option<(Arc<TlsClient>, String)>,
}

impl Target {
    /// Plain HTTP.
    pub fn plain(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, tls: None }
    }

    /// HTTPS.
    pub fn tls(addresses: Vec<SocketAddr>, host: impl Into<String>, client: Arc<TlsClient>) -> Self {
        Self { addresses, tls: Some((client, host.into())) }
    }
}

/// Connects to the first address that accepts; `limit` is for each, with its TLS handshake.
pub(super) async fn dial(target: &Target, limit: Duration) -> Result<(Connection, Key), HttpError> {
    let mut failure = HttpError::Misuse("a target without addresses");
    for &address in &target.addresses {
        let attempt = within(limit, Wait::Connect, async {
            // The key is taken first: if the identity changes meanwhile, the connection is merely not reused.
            let key = Key::new(target, address)?;
            let stream = Stream::connect(address, runtime::current());
            let stream = stream.await.map_err(|source| HttpError::Connect { address, source })?;
            let session: Option<Box<dyn TlsSession>> = match &target.tls {
                Some((client, host)) => Some(Box::new(client.session(host)?)),
                None => None,
            };
            let mut connection = Connection::new(stream, session, address);
            connection.handshake().await?;
            connection.tls().into_iter().for_each(handshakes::made);
            Ok((connection, key))
        });
        match attempt.await {
            Ok(made) => return Ok(made),
            Err(error @ (HttpError::Connect { .. } | HttpError::Timeout(_))) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

enum State {
    Idle,
    Request(Encoder),
    RequestSent,
    Body { decoder: BodyDecoder, complete: bool, reusable: bool },
}

/// A connection to a server, for one exchange at a time. Dropped, it closes; [`release`](Self::release) keeps it.
pub struct ClientConnection {
    connection: Connection,
    key: Key,
    pool: Weak<Idle>,
    reused: bool,
    answered: bool,
    is_head: bool,
    state: State,
    stall: Duration,
    out: Vec<Bytes>,
    out_bytes: usize,
}

impl ClientConnection {
    pub(super) fn new(connection: Connection, key: Key, pool: Weak<Idle>, reused: bool) -> Self {
        Self {
            connection,
            key,
            pool,
            reused,
            answered: false,
            is_head: false,
            state: State::Idle,
            stall: Duration::from_secs(60),
            out: Vec::new(),
            out_bytes: 0,
        }
    }

    /// Address of the server.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    /// The connection has served an exchange before, or is a new channel of one that stood before.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// The exchange may be sent once more on a new connection: this one was reused and failed before the first
    /// byte of a response, as it does when the peer closed it meanwhile.
    pub fn may_resend(&self) -> bool {
        self.reused && !self.answered
    }

    /// Certificates of the server in DER, leaf first; empty without TLS. Also on resumed sessions, where no
    /// verifier has seen them.
    pub fn peer_certificates(&self) -> Rc<[Bytes]> {
        self.connection.peer_certificates()
    }

    /// The TLS session was resumed.
    pub fn resumed(&self) -> bool {
        self.connection.resumed()
    }

    /// How long a stalled write or body read may take; 60 s if not set.
    pub fn set_stall_timeout(&mut self, limit: Duration) {
        self.stall = limit;
    }

    /// Begins a request. The caller gives `Host`. Framing is added here, in the place that a field of its name has in
    /// `headers`; of `Connection` only `Keep-Alive` goes out. Nothing else is added. The head goes out with the first 64 KiB of body or at
    /// [`finish_request`](Self::finish_request).
    pub async fn send_request<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        method: &str,
        target: &[u8],
        headers: &[(N, V)],
        framing: BodyFraming,
    ) -> Result<(), HttpError> {
        if !matches!(self.state, State::Idle) {
            return Err(HttpError::Misuse("the connection is busy with an exchange"));
        }
        let head = request_head(method, target, headers, framing)?;
        self.is_head = method == "HEAD";
        self.out_bytes += head.len();
        self.out.push(Bytes::from(head));
        self.state = State::Request(Encoder::new(framing));
        Ok(())
    }

    /// Sends a piece of the request's body. After a failure a response may have arrived nevertheless:
    /// [`read_head`](Self::read_head) tells.
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), HttpError> {
        while !data.is_empty() {
            let part = data.split_to(data.len().min(WRITE_BUFFER_BYTES));
            self.write_joined(vec![part]).await?;
        }
        Ok(())
    }

    /// Sends slices, not many bytes together, as one piece of the body; otherwise as [`write`](Self::write).
    pub async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError> {
        let State::Request(encoder) = &mut self.state else {
            return Err(HttpError::Misuse("write outside of a request"));
        };
        self.out_bytes += piece.iter().map(Bytes::len).sum::<usize>();
        encoder.encode(piece, &mut self.out)?;
        if self.out_bytes >= WRITE_BUFFER_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what was gathered.
    pub async fn flush(&mut self) -> Result<(), HttpError> {
        self.out_bytes = 0;
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        within(self.stall, Wait::Write, self.connection.write_all(out)).await
    }

    /// Ends the request. Errors: fewer bytes than announced (drop the connection then).
    pub async fn finish_request(&mut self) -> Result<(), HttpError> {
        let State::Request(encoder) = &mut self.state else {
            return Err(HttpError::Misuse("no request to finish"));
        };
        encoder.finish(&mut self.out)?;
        self.flush().await?;
        self.state = State::RequestSent;
        Ok(())
    }

    /// The head of the response; interim ones are skipped. Permitted before the request is finished: a server may
    /// answer early. May be cancelled and called again.
    pub async fn read_head(&mut self, limit: Duration) -> Result<ResponseHead, HttpError> {
        let sent = match self.state {
            State::RequestSent => true,
            State::Request(_) => false,
            State::Idle | State::Body { .. } => return Err(HttpError::Misuse("no response to read")),
        };
        let head = within(limit, Wait::Head, self.final_head()).await?;
        let framing = response_body(&head, self.is_head)?;
        let complete = matches!(framing, BodyFraming::None | BodyFraming::Length(0));
        let reusable =
            sent && framing != BodyFraming::UntilClose && !wants_close(head.version, &head.headers);
        self.state = State::Body { decoder: BodyDecoder::new(framing), complete, reusable };
        Ok(head)
    }

    async fn final_head(&mut self) -> Result<ResponseHead, HttpError> {
        for _ in 0..=HTTP_INTERIM_RESPONSES_MAX {
            let head = self.next_head().await?;
            match head.status {
                101 => return Err(malformed("unasked switch of protocols")),
                100..=199 => {}
                _ => return Ok(head),
            }
        }
        Err(malformed("too many interim responses"))
    }

    async fn next_head(&mut self) -> Result<ResponseHead, HttpError> {
        let mut scanner = HeadScanner::default();
        loop {
            self.answered |= self.connection.waiting() > 0;
            if let Some(length) = scanner.scan(&self.connection.input, HTTP_RESPONSE_HEAD_BYTES_MAX)? {
                return parse_response(&self.connection.input.split_to(length).freeze());
            }
            match self.connection.end() {
                Some(_) if self.answered => return Err(HttpError::Truncated),
                Some(_) => return Err(HttpError::Closed),
                None => self.connection.fill().await?,
            }
        }
    }

    /// The next piece of the response's body as a slice of the receive buffer, `None` at its proper end: the
    /// length, the last chunk, or the end of the connection, with close_notify under TLS (`transport.md` trap 32).
    /// May be cancelled and called again.
    pub async fn read_body_chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let State::Body { decoder, complete, .. } = &mut self.state else {
            return Err(HttpError::Misuse("no response body to read"));
        };
        while !*complete {
            match self.connection.decode(decoder)? {
                Decoded::Data(data) => return Ok(Some(data)),
                Decoded::End => *complete = true,
                Decoded::NeedMore => match self.connection.end() {
                    None => self.connection.fill_within(self.stall, Wait::Body).await?,
                    Some(End::Clean) if decoder.ends_with_connection() => *complete = true,
                    Some(_) => return Err(HttpError::Truncated),
                },
            }
        }
        Ok(None)
    }

    /// No byte has come that nobody asked for, and the server has not closed it.
    pub(super) async fn is_idle_and_open(&mut self) -> bool {
        self.connection.is_idle_and_open().await
    }

    /// Its server was not accepted: where it is a channel of a multiplexed connection, that is not used again either.
    pub fn distrust(&self) {
        self.connection.session().into_iter().for_each(|session| session.retire());
    }

    /// It is a channel of a multiplexed connection.
    pub(super) fn is_channel(&self) -> bool {
        self.connection.session().is_some()
    }

    /// The multiplexed connection under it.
    #[cfg(test)]
    pub(super) fn session(&self) -> Option<std::rc::Rc<super::multiplex::Session>> {
        self.connection.session().cloned()
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Gives the connection back to its pool, if the exchange ended such that it can serve another one.
    pub fn release(self) {
        let fit = match &self.state {
            State::Idle => true,
            State::Body { complete, reusable, .. } => *complete && *reusable,
            State::Request(_) | State::RequestSent => false,
        };
        let Some(pool) = self.pool.upgrade() else { return };
        if fit && self.connection.waiting() == 0 && self.connection.end().is_none() {
            pool.put(self.key, self.connection, matches!(self.state, State::Body { .. }));
        } else if !self.reused {
            // One that has served before is closed by a peer that restarts, or has had it open for long enough.
            pool.closes(&self.key);
        }
    }
}

fn malformed(reason: &'static str) -> HttpError {
    HttpError::Malformed { status: 502, reason }
}
