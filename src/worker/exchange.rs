//! One request and its response on the server side, as a handler sees them.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::Connection;
use super::error::{HttpError, Wait};
use super::http::{
    BodyDecoder, BodyFraming, Decoded, Encoder, NO_HEADERS, RequestHead, Version, bodiless, header_values,
    request_body, response_head, wants_close,
};
use super::limited::within;
use super::listener::Role;
use super::progress::Progress;
use super::server::ServerTimeouts;
use super::workers::Phase;
use crate::limits::{HTTP_DRAIN_BYTES_MAX, WRITE_BUFFER_BYTES};

/// Answers requests; one per worker thread, built there, never sent to another.
pub trait Handler: 'static {
    /// Answers one request. It must end with [`ServerExchange::finish`]. If it fails or returns without an answer,
    /// the client gets a bare error status; once the answer has begun, the connection is reset instead, so that no
    /// client takes a part for the whole.
    fn handle(
        &self,
        head: RequestHead,
        exchange: &mut ServerExchange,
    ) -> impl Future<Output = Result<(), HttpError>>;
}

/// Who is at the other end; the same for all exchanges of a connection.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Address of the peer.
    pub address: SocketAddr,
    /// What the listener is for.
    pub role: Role,
    /// The connection is TLS.
    pub tls: bool,
    /// Certificates of the peer in DER, leaf first; empty without TLS or without a client certificate. On resumed
    /// sessions the chain of the first one, judged by nobody since.
    pub certificates: Vec<Bytes>,
    /// The TLS session was resumed.
    pub resumed: bool,
}

enum Response {
    NotBegun,
    Body(Encoder),
    // To HEAD, 204, 304: what is written is dropped.
    NoBody,
    Finished,
}

/// The exchange: reads the request's body, writes the response. Both stream with bounded buffers.
pub struct ServerExchange {
    pub(super) connection: Connection,
    peer: Rc<PeerInfo>,
    timeouts: ServerTimeouts,
    stop: watch::Receiver<Phase>,
    body: BodyDecoder,
    progress: Progress,
    body_ended: bool,
    body_failed: bool,
    expects_continue: bool,
    is_head: bool,
    version: Version,
    close: bool,
    response: Response,
    out: Vec<Bytes>,
    out_bytes: usize,
}

/// What the connection does after an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Waits for the next request.
    KeepAlive,
    /// Ends properly.
    Close,
    /// Ends properly, but the client is still sending: it must get the answer before the reset.
    CloseLingering,
    /// The answer is torn: resets.
    Abort,
}

impl ServerExchange {
    pub(super) fn new(
        connection: Connection,
        peer: Rc<PeerInfo>,
        timeouts: ServerTimeouts,
        stop: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            connection,
            peer,
            timeouts,
            stop,
            body: BodyDecoder::new(BodyFraming::None),
            progress: Progress::default(),
            body_ended: true,
            body_failed: false,
            expects_continue: false,
            is_head: false,
            version: Version::Http11,
            close: false,
            response: Response::NotBegun,
            out: Vec::new(),
            out_bytes: 0,
        }
    }

    /// Prepares for the next request of the connection.
    pub(super) fn begin(&mut self, head: &RequestHead) -> Result<(), HttpError> {
        self.response = Response::NotBegun;
        self.version = head.version;
        self.is_head = head.method == b"HEAD".as_slice();
        self.close = wants_close(head.version, &head.headers);
        let framing = request_body(head)?;
        self.body = BodyDecoder::new(framing);
        self.progress = Progress::default();
        self.body_ended = matches!(framing, BodyFraming::None | BodyFraming::Length(0));
        self.body_failed = false;
        self.expects_continue = false;
        for expectation in header_values(&head.headers, "expect") {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(HttpError::Malformed { status: 417, reason: "unknown expectation" });
            }
            self.expects_continue = head.version == Version::Http11 && !self.body_ended;
        }
        Ok(())
    }

    /// Who asks.
    pub fn peer(&self) -> &Rc<PeerInfo> {
        &self.peer
    }

    /// The next piece of the request's body as a slice of the receive buffer, `None` at its proper end.
    ///
    /// May be cancelled and called again. Errors: [`HttpError::Truncated`], bad chunks, [`HttpError::Timeout`],
    /// [`HttpError::TooSlow`]; an answer can still be given, the connection closes after it.
    pub async fn read_body_chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        if self.body_failed {
            return Err(HttpError::Truncated);
        }
        let result = self.next_body_chunk().await;
        self.body_failed |= result.is_err();
        result
    }

    async fn next_body_chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            if self.body_ended {
                return Ok(None);
            }
            match self.connection.decode(&mut self.body)? {
                Decoded::Data(data) => return Ok(Some(data)),
                Decoded::End => self.body_ended = true,
                Decoded::NeedMore => {
                    if self.connection.end().is_some() {
                        return Err(HttpError::Truncated);
                    }
                    if self.expects_continue && matches!(self.response, Response::NotBegun) {
                        self.expects_continue = false;
                        let interim = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");
                        let write = self.connection.write_all(vec![interim]);
                        within(self.timeouts.write, Wait::Write, write).await?;
                    }
                    let (began, before) = (Instant::now(), self.connection.waiting());
                    self.connection.fill_within(self.timeouts.body, Wait::Body).await?;
                    let received = self.connection.waiting() - before;
                    let least = self.timeouts.body_bytes_per_sec_min;
                    self.progress.waited(began.elapsed(), received, least)?;
                }
            }
        }
    }

    /// Closes the connection after this exchange, announced by `Connection: close`.
    pub fn close_after(&mut self) {
        self.close = true;
    }

    /// Begins the response. Names and values are written as given; framing and `Connection` are those of
    /// this message, in the places that fields of their names have in `headers`; nothing else is added, no `Date`, no `Server`. To HEAD, and with 204 and 304, body
    /// bytes are dropped. Interim statuses are not for handlers.
    pub async fn respond<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        status: u16,
        reason: &str,
        headers: &[(N, V)],
        framing: BodyFraming,
    ) -> Result<(), HttpError> {
        if !matches!(self.response, Response::NotBegun) {
            return Err(HttpError::Misuse("the response has begun before"));
        }
        if status < 200 {
            return Err(HttpError::Misuse("interim status"));
        }
        let no_body = self.is_head || bodiless(status);
        let framing = match framing {
            _ if bodiless(status) => BodyFraming::None,
            BodyFraming::Chunked if self.version == Version::Http10 => BodyFraming::UntilClose,
            framing => framing,
        };
        self.close |= (framing == BodyFraming::UntilClose && !no_body)
            || self.body_failed
            || *self.stop.borrow() != Phase::Running;
        let connection = match (self.close, self.version) {
            (true, _) => Some("close"),
            (false, Version::Http10) => Some("keep-alive"),
            (false, Version::Http11) => None,
        };
        let announced =
            if self.is_head && framing == BodyFraming::None { BodyFraming::UntilClose } else { framing };
        let head = response_head(status, reason, headers, announced, connection)?;
        self.queue(Bytes::from(head));
        self.response = if no_body { Response::NoBody } else { Response::Body(Encoder::new(framing)) };
        Ok(())
    }

    /// Writes a piece of the response's body. Small pieces are gathered; [`flush`](Self::flush) sends them before
    /// a long wait.
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), HttpError> {
        while !data.is_empty() {
            let part = data.split_to(data.len().min(WRITE_BUFFER_BYTES));
            self.write_joined(vec![part]).await?;
        }
        Ok(())
    }

    /// Writes slices, not many bytes together, as one piece of the body.
    pub async fn write_joined(&mut self, piece: Vec<Bytes>) -> Result<(), HttpError> {
        match &mut self.response {
            Response::Body(encoder) => {
                self.out_bytes += piece.iter().map(Bytes::len).sum::<usize>();
                encoder.encode(piece, &mut self.out)?;
            }
            Response::NoBody => return Ok(()),
            Response::NotBegun | Response::Finished => {
                return Err(HttpError::Misuse("write outside of a response"));
            }
        }
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
        within(self.timeouts.write, Wait::Write, self.connection.write_all(out)).await
    }

    /// Ends the response. Errors: fewer bytes than announced (the connection is reset).
    pub async fn finish(&mut self) -> Result<(), HttpError> {
        match &mut self.response {
            Response::Body(encoder) => encoder.finish(&mut self.out)?,
            Response::NoBody => {}
            Response::NotBegun | Response::Finished => {
                return Err(HttpError::Misuse("no response to finish"));
            }
        }
        self.flush().await?;
        self.response = Response::Finished;
        Ok(())
    }

    /// Ends when the client has closed or broken the connection, else never: for a handler that waits long for
    /// others and would stop if nobody wants the answer. Reads ahead a bounded amount of what follows.
    pub async fn peer_gone(&mut self) {
        while self.connection.input.len() < WRITE_BUFFER_BYTES {
            if self.connection.end().is_some() || self.connection.fill().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    fn queue(&mut self, bytes: Bytes) {
        self.out_bytes += bytes.len();
        self.out.push(bytes);
    }

    /// Settles the exchange after the handler has returned.
    pub(super) async fn settle(&mut self, result: Result<(), HttpError>) -> After {
        if let Err(error) = &result {
            tracing::debug!(peer = %self.peer.address, %error, "exchange failed");
        }
        match (&self.response, result) {
            (Response::Finished, _) => {}
            (Response::NotBegun, result) => {
                let status = match result {
                    Err(HttpError::Malformed { status, .. }) => status,
                    _ if self.body_failed => 400,
                    _ => 500,
                };
                return Box::pin(self.refuse(status)).await;
            }
            (Response::Body(_) | Response::NoBody, _) => return After::Abort,
        }
        if !self.body_ended && !self.body_failed {
            // An expectation that was not met leaves open whether the body comes at all.
            let pause = self.timeouts.body;
            // Boxed, as it is rare: every connection would hold room for it.
            self.close |=
                self.expects_continue || within(pause, Wait::Body, Box::pin(self.drain())).await.is_err();
        }
        match (self.close, self.body_ended) {
            (false, _) if self.connection.end().is_none() => After::KeepAlive,
            (_, true) => After::Close,
            (_, false) => After::CloseLingering,
        }
    }

    /// Answers with a bare status; the connection closes after it.
    pub(super) async fn refuse(&mut self, status: u16) -> After {
        self.response = Response::NotBegun;
        self.close = true;
        self.out.clear();
        let answered = async {
            self.respond(status, reason(status), NO_HEADERS, BodyFraming::None).await?;
            self.finish().await
        };
        match answered.await {
            Ok(()) => After::CloseLingering,
            Err(_) => After::Abort,
        }
    }

    async fn drain(&mut self) -> Result<(), HttpError> {
        let mut drained = 0;
        while let Some(chunk) = self.read_body_chunk().await? {
            drained += chunk.len();
            if drained > HTTP_DRAIN_BYTES_MAX {
                return Err(HttpError::Malformed { status: 413, reason: "body not read" });
            }
        }
        Ok(())
    }
}

impl Drop for ServerExchange {
    // A handler that panics or is cut at the end of a stop must not leave a body that looks whole.
    fn drop(&mut self) {
        if matches!(self.response, Response::Body(_) | Response::NoBody) {
            self.connection.abort();
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
