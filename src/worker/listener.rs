//! Listening sockets: the probe bind, `SO_REUSEPORT` sets, accepting.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::WorkerError;
use super::runtime::RuntimeKind;
use super::stream::Stream;
use super::tls::TlsServer;

const BACKLOG: i32 = 4096;

/// What a listener is for; the handler tells its work by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Information systems of the own organisation (8080, 8443).
    InformationSystem,
    /// Other security servers (5500).
    SecurityServer,
    /// The OCSP responder for other security servers (5577).
    OcspResponder,
    /// Health checks.
    Health,
}

/// Where a listener's socket comes from.
#[derive(Debug, Clone)]
pub enum ListenerSource {
    /// Bound by [`run_workers`](super::run_workers), one socket per worker.
    Bind,
    /// Passed in already listening, by the service manager or the process before this one: one socket that the workers
    /// share, or several on one address (`SO_REUSEPORT`) that are shared out among them.
    Inherited(Vec<Arc<TcpListener>>),
}

/// One address that every worker serves.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one, the same for all workers. `[::]` means IPv6 alone.
    pub address: SocketAddr,
    /// What it is for.
    pub role: Role,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<TlsServer>>,
    /// Where the socket comes from.
    pub source: ListenerSource,
}

impl ListenerConfig {
    /// A plain HTTP listener to be bound.
    pub fn new(address: SocketAddr, role: Role) -> Self {
        Self { address, role, tls: None, source: ListenerSource::Bind }
    }

    /// The same with TLS.
    pub fn with_tls(self, tls: Arc<TlsServer>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    // The sockets of all workers. The probe without SO_REUSEPORT fails if anybody listens on the address: with
    // it alone a second server would silently take half of the connections.
    pub(super) fn sockets(&self, workers: usize) -> Result<Vec<Vec<TcpListener>>, WorkerError> {
        let fail = |source| refused(self.address, source);
        if let ListenerSource::Inherited(listeners) = &self.source {
            return share_out(listeners, workers).map_err(fail);
        }
        probe(self.address)?;
        let mut address = self.address;
        let mut sockets = Vec::with_capacity(workers);
        for _ in 0..workers {
            let socket = bind(address, true).map_err(fail)?;
            address = socket.local_addr().map_err(fail)?;
            sockets.push(vec![socket]);
        }
        Ok(sockets)
    }
}

impl ListenerConfig {
    // Once more each socket of this listener, for whoever comes after the workers.
    pub(super) fn duplicates(&self, sockets: &[Vec<TcpListener>]) -> Result<Vec<TcpListener>, WorkerError> {
        let fail = |source| WorkerError::Bind { address: self.address, source };
        match &self.source {
            ListenerSource::Inherited(own) => own.iter().map(|own| own.try_clone().map_err(fail)).collect(),
            ListenerSource::Bind => {
                sockets.iter().flatten().map(|own| own.try_clone().map_err(fail)).collect()
            }
        }
    }
}

/// Opens a port and closes it again. Port 0 is always free.
///
/// # Errors
/// Somebody listens on the address, or this process may not.
pub fn probe(address: SocketAddr) -> Result<(), WorkerError> {
    match address.port() {
        0 => Ok(()),
        _ => bind(address, false).map(drop).map_err(|source| refused(address, source)),
    }
}

fn refused(address: SocketAddr, source: io::Error) -> WorkerError {
    match source.kind() {
        io::ErrorKind::AddrInUse => WorkerError::PortInUse(address),
        _ => WorkerError::Bind { address, source },
    }
}

// Every socket has a worker, or its connections would wait for ever, and every worker has a socket.
fn share_out(sockets: &[Arc<TcpListener>], workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let of = |worker: usize| {
        let own = sockets.iter().enumerate().filter(move |(place, _)| match sockets.len() < workers {
            true => worker % sockets.len() == *place,
            false => place % workers == worker,
        });
        own.map(|(_, socket)| socket.try_clone()).collect()
    };
    (0..workers).map(of).collect()
}

fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    // Connections of an earlier run in TIME_WAIT must not prevent a restart.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket on a worker. It is awaited through epoll on both runtimes: an accept operation that is
/// cancelled in a ring may still take a connection and lose it, and the wait costs no system call more.
pub(super) struct Listener {
    socket: AsyncFd<TcpListener>,
    kind: RuntimeKind,
}

impl Listener {
    #[allow(unsafe_code)]
    pub(super) fn new(socket: TcpListener, kind: RuntimeKind) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // SAFETY: a TcpListener owns one open descriptor for its whole life, and nothing takes it out of here.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?;
        Ok(Self { socket, kind })
    }

    /// The next connection; may be cancelled at any time.
    pub(super) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(accepted) = ready.try_io(|socket| socket.get_ref().accept()) {
                let (stream, peer) = accepted?;
                return Ok((Stream::from_std(stream, self.kind)?, peer));
            }
        }
    }
}
