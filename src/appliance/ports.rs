//! The ports by their names: opened here, or held by the service manager.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{InternalTls, tls};
use crate::config::Config;
use crate::control::SharedTrust;
use crate::exchange::Authentication;
use crate::host::{Held, own};
use crate::worker::{ListenerConfig, ListenerSource, Role, WorkerError, probe};

/// Names of sockets, as `FileDescriptorName=` of a unit says them.
const ADMIN: &str = "admin";
const SERVER: &str = "server";
const OCSP: &str = "ocsp";
const CONSUMER_HTTP: &str = "consumer-http";
const CONSUMER_HTTPS: &str = "consumer-https";
const HEALTH: &str = "health";

/// The configured ports, each with the sockets on which somebody listens for it already.
pub(super) struct Port {
    name: &'static str,
    address: SocketAddr,
    held: Vec<TcpListener>,
    /// Opened by this server, or by the one before it, not by the service manager.
    is_own: bool,
}

impl Port {
    /// It can be opened, or is held.
    ///
    /// # Errors
    /// Somebody else has it, or this process may not open it.
    pub(super) fn probe(&self) -> Result<(), WorkerError> {
        if self.is_held() { Ok(()) } else { probe(self.address) }
    }

    /// Clients may be waiting in it.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }
}

/// Takes what is held for the workers' ports.
pub(super) fn of(config: &Config, held: &mut Held) -> Vec<Port> {
    let listen = &config.listen;
    let configured = [
        (SERVER, Some(listen.server)),
        (OCSP, Some(listen.ocsp)),
        (CONSUMER_HTTP, listen.consumer_http),
        (HEALTH, config.health.listen),
        (CONSUMER_HTTPS, listen.consumer_https),
    ];
    let taken = configured.into_iter().filter_map(|(name, address)| Some((name, address?)));
    taken.map(|(name, address)| take(name, address, held)).collect()
}

fn take(name: &'static str, address: SocketAddr, held: &mut Held) -> Port {
    let given = held.take(name, address);
    let is_own = given.is_empty();
    Port { name, address, held: if is_own { held.take_own(name, address) } else { given }, is_own }
}

/// Takes what is held for the admin port; and the name under which a successor gets it.
pub(super) fn admin(config: &Config, held: &mut Held) -> (Option<TcpListener>, String) {
    let port = config.admin.listen.map(|address| take(ADMIN, address, held));
    let name = if port.as_ref().is_none_or(|port| port.is_own) { own(ADMIN) } else { ADMIN.to_owned() };
    (port.and_then(|port| port.held.into_iter().next()), name)
}

/// What the workers serve, by the names under which a successor gets the sockets.
pub(super) fn listeners(
    config: &Config,
    ports: Vec<Port>,
    authentication: &Arc<ArcSwapOption<Authentication>>,
    trust: &SharedTrust,
    internal: Option<&InternalTls>,
) -> Vec<(String, ListenerConfig)> {
    let mut listeners = Vec::new();
    for port in ports {
        let (role, tls) = match port.name {
            SERVER => (Role::SecurityServer, Some(tls::server_port(authentication, trust, config))),
            OCSP => (Role::OcspResponder, None),
            HEALTH => (Role::Health, None),
            CONSUMER_HTTPS => match internal {
                Some(internal) => (Role::InformationSystem, Some(tls::client_port(&internal.identity))),
                None => continue,
            },
            _ => (Role::InformationSystem, None),
        };
        for (address, source) in sources(port.address, port.held) {
            if matches!(source, ListenerSource::Inherited(_)) && address.port() != port.address.port() {
                let (name, configured) = (port.name, port.address);
                tracing::warn!(name, %address, %configured, "the socket that is held is on another port; it is served");
            }
            let listener = ListenerConfig { address, role, tls: tls.clone(), source };
            let name = if port.is_own { own(port.name) } else { port.name.to_owned() };
            listeners.push((name, listener));
        }
    }
    listeners
}

// Held sockets by the address that each listens on: several on one are a set for the workers.
fn sources(configured: SocketAddr, held: Vec<TcpListener>) -> Vec<(SocketAddr, ListenerSource)> {
    if held.is_empty() {
        return vec![(configured, ListenerSource::Bind)];
    }
    let mut sets: Vec<(SocketAddr, Vec<Arc<TcpListener>>)> = Vec::new();
    for socket in held {
        let address = socket.local_addr().unwrap_or(configured);
        match sets.iter_mut().find(|(known, _)| *known == address) {
            Some((_, set)) => set.push(Arc::new(socket)),
            None => sets.push((address, vec![Arc::new(socket)])),
        }
    }
    sets.into_iter().map(|(address, set)| (address, ListenerSource::Inherited(set))).collect()
}
