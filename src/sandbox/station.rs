//! What every service of the sandbox has in front: a counter of calls and a switch for trouble.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// Trouble that a test can switch on for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Works.
    #[default]
    None,
    /// Answers every call with HTTP 503.
    Unavailable,
    /// Works, but waits first.
    Slow(Duration),
}

/// Counter and switch of one service.
#[derive(Debug, Default)]
pub struct Station {
    calls: AtomicU64,
    fault: Mutex<Fault>,
}

impl Station {
    /// Calls that arrived so far, those that met trouble included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Switches trouble on, or off with [`Fault::None`].
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = fault;
    }

    /// Counts a call and lets it meet the trouble that is switched on.
    ///
    /// # Errors
    /// 503 while the service is unavailable.
    pub(super) async fn enter(&self) -> Result<(), StatusCode> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match fault {
            Fault::None => Ok(()),
            Fault::Unavailable => Err(StatusCode::SERVICE_UNAVAILABLE),
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
        }
    }
}

/// The stations of a sandbox.
#[derive(Debug, Default)]
pub struct Stations {
    /// OCSP responder.
    pub ocsp: Station,
    /// Time-stamping authority.
    pub tsa: Station,
    /// Configuration source.
    pub source: Station,
    /// Example REST service.
    pub rest: Station,
    /// Example SOAP service.
    pub soap: Station,
}
