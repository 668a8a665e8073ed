//! The health-check port, for load balancers (`operations.md` 3.1): any method and path is answered alike.
//!
//! All checks read what is at hand, so nothing is cached: a failure is told as long as it lasts.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::answer;
use super::context::{Shared, Worker};
use crate::worker::{HttpError, ServerExchange};

/// What the port says while maintenance is switched on.
const MAINTENANCE: &str = "Health check interface is in maintenance mode.";

/// What the health checks are told by others.
#[derive(Debug, Default)]
pub struct HealthSwitches {
    /// The operator wants load balancers to look elsewhere.
    maintenance: AtomicBool,
    /// The registry database could not be read when it was last looked at.
    registry_failed: AtomicBool,
}

impl HealthSwitches {
    /// Switches maintenance, and says in words what it was and is.
    pub fn set_maintenance(&self, on: bool) -> String {
        let before = self.maintenance.swap(on, Ordering::Relaxed);
        format!("Maintenance mode set: {before} => {on}")
    }

    /// Whether maintenance is switched on.
    pub fn is_in_maintenance(&self) -> bool {
        self.maintenance.load(Ordering::Relaxed)
    }

    /// Whether the registry database could be read.
    pub fn set_registry_reachable(&self, reachable: bool) {
        self.registry_failed.store(!reachable, Ordering::Relaxed);
    }
}

/// 200 and nothing when the server can do its work; 500 and the first reason, in one line, when it cannot; 503 while
/// maintenance is switched on.
pub async fn answer(worker: &Worker, exchange: &mut ServerExchange) -> Result<(), HttpError> {
    let (status, text) = state(worker);
    answer::write(worker, exchange, status, &[], Bytes::from(text)).await
}

fn state(worker: &Worker) -> (u16, String) {
    if worker.shared.health.maintenance.load(Ordering::Relaxed) {
        return (503, MAINTENANCE.into());
    }
    match check(&worker.shared) {
        Ok(()) => (200, String::new()),
        Err(reason) => (500, format!("{reason}\n")),
    }
}

/// Whether messages can pass, or the first reason why not. The checks in the order of official servers; the last one is
/// Hermod's own.
///
/// # Errors
/// The reason in a line of text.
pub fn check(shared: &Shared) -> Result<(), String> {
    let (trust, now) = (shared.trust.load_full(), shared.clock.now());
    if trust.global_conf.check_valid(now).is_err() {
        return Err("Global configuration is expired".into());
    }
    let authentication = shared.authentication.load();
    let Some(own) = authentication.as_ref() else {
        return Err("No authentication key available. Signer might be down.".into());
    };
    let leaf = own.chain.first().ok_or("No end entity certificate available for authentication key.")?;
    let usable = trust.ocsp.get(leaf).filter(|found| !found.is_expired(now, &trust.global_conf));
    if usable.is_none() {
        return Err("Getting OCSP response for authentication key failed.".into());
    }
    if shared.health.registry_failed.load(Ordering::Relaxed) {
        return Err("Server Conf database did not respond as expected".into());
    }
    shared.log.timestamp_status().check(now).map_err(|error| error.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_says_what_it_did() {
        let switches = HealthSwitches::default();
        assert_eq!(switches.set_maintenance(true), "Maintenance mode set: false => true");
        assert_eq!(switches.set_maintenance(true), "Maintenance mode set: true => true");
        assert_eq!(switches.set_maintenance(false), "Maintenance mode set: true => false");
    }
}
