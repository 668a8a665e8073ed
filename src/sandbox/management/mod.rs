//! The central server's part: what is registered, and the services that take management requests, verify them and
//! change it (`trust.md` 8.4). Everything that is in order is approved at once.

mod registrations;
mod service;
mod verify;

use std::sync::{Arc, Mutex, PoisonError};

pub use registrations::{RegisteredServer, Registrations};
pub(super) use service::{registration_listener, router};

use super::parameters;
use super::pki::Pki;
use super::plan::Plan;
use super::source::{Parts, Source};
use crate::control::management::{Addressed, Parts as RequestParts, read_envelope, response};
use crate::message::XRoadError;
use crate::time::UnixTime;
use bytes::Bytes;

/// Code of the subsystem that provides the management services; the consumer's member has it.
pub const SUBSYSTEM: &str = "management";
/// Codes of its services.
pub const SERVICES: [&str; 10] = [
    "authCertDeletion",
    "clientReg",
    "clientDeletion",
    "clientDisable",
    "clientEnable",
    "clientRename",
    "ownerChange",
    "addressChange",
    "maintenanceModeEnable",
    "maintenanceModeDisable",
];

/// The central server.
pub struct Management {
    plan: Plan,
    pki: Arc<Pki>,
    source: Arc<Source>,
    state: Mutex<State>,
}

struct State {
    registrations: Registrations,
    requests: u64,
}

impl Management {
    /// Begins with `registrations`, which `source` has published.
    pub fn new(plan: Plan, pki: Arc<Pki>, source: Arc<Source>, registrations: Registrations) -> Self {
        Self { plan, pki, source, state: Mutex::new(State { registrations, requests: 0 }) }
    }

    /// What is registered now.
    pub fn registrations(&self) -> Registrations {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).registrations.clone()
    }

    /// Takes a request: verifies it, applies it, publishes what has changed, and gives the response.
    ///
    /// # Errors
    /// The code and text of the fault.
    pub fn take(&self, parts: &RequestParts, straight: bool, now: UnixTime) -> Result<Bytes, XRoadError> {
        let (message, addressed) = read_envelope(&parts.soap).map_err(verify::invalid_request)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let verifier = verify::Verifier { pki: &self.pki, plan: &self.plan, parts, now, straight };
        verifier.verify(&message, &addressed, &state.registrations)?;
        let Addressed { server, request, .. } = &addressed;
        let mut after = state.registrations.clone();
        after.apply(server, request).map_err(verify::invalid_request)?;
        if is_dry_run(&addressed) {
            return Ok(response(&message, &addressed, 0));
        }
        state.requests += 1;
        state.registrations = after;
        let shared = parameters::shared_of(&self.plan, &self.pki, &state.registrations);
        self.source.publish(Parts { shared, ..self.source.parts() });
        Ok(response(&message, &addressed, state.requests))
    }
}

fn is_dry_run(addressed: &Addressed) -> bool {
    use crate::control::management::ManagementRequest;
    matches!(addressed.request, ManagementRequest::AuthCertReg { dry_run: true, .. })
}
