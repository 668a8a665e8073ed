//! Session resumption with a life of [`TLS_SESSION_SECS_MAX`], as official servers have it.
//!
//! rustls's own stores and tickets have no or longer lives, so each entry carries the second at which it was made.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::{NamedGroup, crypto::aws_lc_rs::Ticketer};

use crate::limits::{TLS_SESSION_SECS_MAX, TLS_SESSIONS_MAX};

// Unused TLS 1.3 tickets kept per server; each is good for one connection (RFC 8446 C.4).
const TICKETS_PER_SERVER_MAX: usize = 16;

// Seconds of a monotonic clock; a life must not depend on the wall clock being set.
fn now_secs() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs()
}

fn stamped(value: &[u8], now: u64) -> Vec<u8> {
    [&now.to_be_bytes(), value].concat()
}

fn fresh(value: &[u8], now: u64) -> Option<Vec<u8>> {
    let (made, value) = value.split_first_chunk::<8>()?;
    let age = now.saturating_sub(u64::from_be_bytes(*made));
    (age <= TLS_SESSION_SECS_MAX).then(|| value.to_vec())
}

/// Server side tickets (the state is with the client).
#[derive(Debug)]
pub(super) struct LimitedTicketer(Arc<dyn ProducesTickets>);

impl LimitedTicketer {
    pub(super) fn new() -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self(Ticketer::new()?)))
    }
}

impl ProducesTickets for LimitedTicketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TLS_SESSION_SECS_MAX as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&stamped(plain, now_secs()))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.0.decrypt(cipher)?, now_secs())
    }
}

/// Server side session cache, for TLS 1.2 clients without tickets.
#[derive(Debug)]
pub(super) struct LimitedSessions(Arc<ServerSessionMemoryCache>);

impl LimitedSessions {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(ServerSessionMemoryCache::new(TLS_SESSIONS_MAX)))
    }
}

impl StoresServerSessions for LimitedSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.put(key, stamped(&value, now_secs()))
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.0.get(key)?, now_secs())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        fresh(&self.0.take(key)?, now_secs())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct ServerSessions {
    group: Option<NamedGroup>,
    tls12: Option<(u64, Tls12ClientSessionValue)>,
    tls13: VecDeque<(u64, Tls13ClientSessionValue)>,
}

/// Client side sessions and tickets, by server name.
#[derive(Default)]
pub(super) struct ClientSessions(Mutex<HashMap<ServerName<'static>, ServerSessions>>);

impl ClientSessions {
    fn servers(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, ServerSessions>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, server: ServerName<'static>, change: impl FnOnce(&mut ServerSessions)) {
        let mut servers = self.servers();
        if servers.len() >= TLS_SESSIONS_MAX && !servers.contains_key(&server) {
            // Any victim will do: what is lost is one full handshake.
            let victim = servers.keys().next().cloned();
            victim.and_then(|victim| servers.remove(&victim));
        }
        change(servers.entry(server).or_default());
    }
}

fn is_fresh(made: u64) -> bool {
    now_secs().saturating_sub(made) <= TLS_SESSION_SECS_MAX
}

impl fmt::Debug for ClientSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSessions")
    }
}

impl ClientSessionStore for ClientSessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.edit(server_name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.servers().get(server_name).and_then(|server| server.group)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.edit(server_name, |server| server.tls12 = Some((now_secs(), value)));
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let servers = self.servers();
        let (made, value) = servers.get(server_name)?.tls12.as_ref()?;
        is_fresh(*made).then(|| value.clone())
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        if let Some(server) = self.servers().get_mut(server_name) {
            server.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.edit(server_name, |server| {
            if server.tls13.len() >= TICKETS_PER_SERVER_MAX {
                server.tls13.pop_front();
            }
            server.tls13.push_back((now_secs(), value));
        });
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut servers = self.servers();
        let tickets = &mut servers.get_mut(server_name)?.tls13;
        let (made, value) = tickets.pop_back()?;
        is_fresh(made).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_older_than_its_life_is_forgotten() {
        let entry = stamped(b"state", 1000);
        assert_eq!(fresh(&entry, 1000 + TLS_SESSION_SECS_MAX).as_deref(), Some(b"state".as_slice()));
        assert_eq!(fresh(&entry, 1001 + TLS_SESSION_SECS_MAX), None);
        assert_eq!(fresh(b"short", 0), None);
    }
}
