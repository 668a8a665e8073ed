//! Which of a provider's security servers a message goes to (`transport.md` 2.7).

use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use tokio::task::JoinSet;

use super::context::Worker;
use super::counters::Phase;
use super::peer;
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::time::UnixTime;
use crate::trust::TrustSnapshot;
use crate::worker::{ClientConnection, HttpError, Target, resolve};

/// Sets of addresses remembered at most (X-Road 7.8: 10,000).
const FASTEST_SETS_MAX: usize = 10_000;
/// How long a remembered address may take to connect before the others are tried.
const REMEMBERED_CONNECT: Duration = Duration::from_secs(5);

/// For each set of addresses, the one that connected fastest last, for a configured time.
#[derive(Debug, Default)]
pub struct FastestAddresses(HashMap<Vec<String>, (String, UnixTime)>);

impl FastestAddresses {
    fn get(&self, set: &[String], now: UnixTime) -> Option<String> {
        self.0.get(set).filter(|(_, until)| now < *until).map(|(address, _)| address.clone())
    }

    fn remember(&mut self, set: Vec<String>, address: String, until: UnixTime) {
        if self.0.len() >= FASTEST_SETS_MAX {
            self.0.clear();
        }
        self.0.insert(set, (address, until));
    }

    fn forget(&mut self, set: &[String]) {
        self.0.remove(set);
    }
}

/// A connection to one of the provider's servers, its certificate verified for this provider.
pub struct Chosen {
    /// The connection, idle.
    pub connection: ClientConnection,
    /// The address from the global configuration.
    pub address: String,
    /// Value of the Host header field: a dummy when there were several addresses (X-Road 7.8 behaviour).
    pub host: String,
    /// The provider's other addresses.
    pub others: Vec<String>,
}

/// Connects to a server of `provider` and verifies it. Each failing address is dropped and the others are tried; the
/// last failure is the answer when none is left: `ssl_authentication_failed…` or `network_error`.
pub async fn connect(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    addresses: Vec<String>,
) -> Result<Chosen, XRoadError> {
    let began = Instant::now();
    let chosen = choose(worker, trust, provider, addresses).await;
    worker.shared.counters.phase(Phase::Connect, began);
    chosen
}

async fn choose(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    addresses: Vec<String>,
) -> Result<Chosen, XRoadError> {
    let port = worker.shared.config.proxy.server_port;
    let timeout = Duration::from_millis(worker.shared.config.proxy.client_timeout_ms);
    if let [address] = addresses.as_slice() {
        let connection = attempt(worker, address, timeout).await.map_err(|error| failure(&error, address))?;
        peer::verify_server(worker, trust, provider, address, &connection).await?;
        let host = format!("{address}:{port}");
        return Ok(Chosen { connection, address: address.clone(), host, others: Vec::new() });
    }
    Box::pin(connect_fastest(worker, trust, provider, addresses, timeout)).await
}

async fn connect_fastest(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    addresses: Vec<String>,
    timeout: Duration,
) -> Result<Chosen, XRoadError> {
    let host = format!("localhost:{}", worker.shared.config.proxy.server_port);
    let mut set = addresses;
    set.sort();
    let remembered = worker.fastest.borrow().get(&set, worker.now());
    if let Some(address) = remembered {
        if let Ok(connection) = attempt(worker, &address, REMEMBERED_CONNECT.min(timeout)).await
            && peer::verify_server(worker, trust, provider, &address, &connection).await.is_ok()
        {
            let others = others(&set, &address);
            return Ok(Chosen { connection, address, host, others });
        }
        worker.fastest.borrow_mut().forget(&set);
    }
    let mut left = set.clone();
    let mut limit = timeout;
    let mut last = XRoadError::new(ErrorCode::NetworkError, "no security server of the provider answers");
    while !left.is_empty() {
        match race(worker, &left, limit).await {
            Err(error) => {
                last = failure(&error, "of the provider");
                break;
            }
            Ok((connection, address)) => {
                match peer::verify_server(worker, trust, provider, &address, &connection).await {
                    Ok(()) => {
                        let life = worker.shared.config.proxy.fastest_selection_secs as i64;
                        let others = others(&set, &address);
                        if life > 0 {
                            let until = worker.now().plus_secs(life);
                            worker.fastest.borrow_mut().remember(set, address.clone(), until);
                        }
                        return Ok(Chosen { connection, address, host, others });
                    }
                    Err(error) => {
                        tracing::warn!(%address, %error, "a security server of the provider was not accepted");
                        left.retain(|other| *other != address);
                        limit = (limit / 2).max(REMEMBERED_CONNECT);
                        last = error;
                    }
                }
            }
        }
    }
    Err(last)
}

/// Connects to all addresses at once; the first that is ready wins and the others are dropped.
async fn race(
    worker: &Rc<Worker>,
    addresses: &[String],
    limit: Duration,
) -> Result<(ClientConnection, String), HttpError> {
    let mut attempts = JoinSet::new();
    for address in addresses {
        let (worker, address) = (Rc::clone(worker), address.clone());
        attempts.spawn_local(async move {
            let result = attempt(&worker, &address, limit).await;
            (result, address)
        });
    }
    let mut last = HttpError::Misuse("no address to connect to");
    while let Some(joined) = attempts.join_next().await {
        match joined {
            Ok((Ok(connection), address)) => return Ok((connection, address)),
            Ok((Err(error), _)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

async fn attempt(worker: &Worker, address: &str, limit: Duration) -> Result<ClientConnection, HttpError> {
    let target = target(worker, address).await?;
    if worker.shared.config.proxy.connection_reuse {
        worker.peers.acquire(&target, limit).await
    } else {
        worker.peers.connect(&target, limit).await
    }
}

fn others(set: &[String], address: &str) -> Vec<String> {
    set.iter().filter(|other| *other != address).cloned().collect()
}

/// A verified connection for the one repetition that a failed reused connection permits: a new one to the same server
/// or, when that cannot be reached any more, one to another server of the provider.
pub async fn reconnect(
    worker: &Rc<Worker>,
    trust: &TrustSnapshot,
    provider: &ClientId,
    address: String,
    others: Vec<String>,
) -> Result<(ClientConnection, String), XRoadError> {
    let limit = Duration::from_millis(worker.shared.config.proxy.client_timeout_ms);
    let limit = if others.is_empty() { limit } else { REMEMBERED_CONNECT.min(limit) };
    let connected = async { worker.peers.connect(&target(worker, &address).await?, limit).await };
    match connected.await {
        Ok(connection) => {
            peer::verify_server(worker, trust, provider, &address, &connection).await?;
            Ok((connection, address))
        }
        Err(error) if others.is_empty() => Err(failure(&error, &address)),
        Err(error) => {
            tracing::warn!(%address, %error, "another security server of the provider takes over");
            let mut set = others.clone();
            set.push(address);
            set.sort();
            worker.fastest.borrow_mut().forget(&set);
            let chosen = connect(worker, trust, provider, others).await?;
            Ok((chosen.connection, chosen.address))
        }
    }
}

async fn target(worker: &Worker, address: &str) -> Result<Target, HttpError> {
    let addresses = resolve(address, worker.shared.config.proxy.server_port).await?;
    Ok(Target::tls(addresses, address, worker.shared.peer_tls.clone()))
}

fn failure(error: &HttpError, address: &str) -> XRoadError {
    let whom = format!("security server {address}");
    match error {
        HttpError::Tls(_) => {
            let text = format!("{whom}: TLS handshake failed: {error}");
            XRoadError::new(ErrorCode::SslAuthenticationFailed, text)
        }
        // Whatever else keeps a connection from coming about is the network's (X-Road 7.8 behaviour).
        _ => XRoadError::new(ErrorCode::NetworkError, format!("{whom}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_address_is_forgotten_after_its_time() {
        let mut fastest = FastestAddresses::default();
        let set = vec!["a".to_string(), "b".to_string()];
        let at = UnixTime::from_secs;
        fastest.remember(set.clone(), "b".into(), at(100));
        assert_eq!(fastest.get(&set, at(99)).as_deref(), Some("b"));
        assert_eq!(fastest.get(&set, at(100)), None);
        fastest.forget(&set);
        assert_eq!(fastest.get(&set, at(1)), None);
    }
}
