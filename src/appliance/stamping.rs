//! Time-stamps on demand, and whether there is anybody to ask.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::control::TsaClient;
use crate::exchange::StampNow;
use crate::log::{LogHandle, Timestamper};
use crate::message::{ErrorCode, XRoadError};

/// Stamps single records on the control plane, for whoever asks from the data plane.
pub struct OnDemand {
    timestamper: Arc<Timestamper>,
    client: Arc<TsaClient>,
    control: tokio::runtime::Handle,
}

impl OnDemand {
    /// With the server's time-stamper.
    pub fn new(
        timestamper: Arc<Timestamper>,
        client: Arc<TsaClient>,
        control: tokio::runtime::Handle,
    ) -> Self {
        Self { timestamper, client, control }
    }
}

impl StampNow for OnDemand {
    fn stamp_now(&self, id: u64) -> Pin<Box<dyn Future<Output = Result<(), XRoadError>> + Send + '_>> {
        let (timestamper, client) = (Arc::clone(&self.timestamper), Arc::clone(&self.client));
        let task = self.control.spawn(async move { timestamper.stamp_now(&*client, id).await });
        Box::pin(async move {
            let interrupted =
                |_| Err(XRoadError::new(ErrorCode::TimestampingFailed, "time-stamping was interrupted"));
            task.await.unwrap_or_else(interrupted)
        })
    }
}

/// Tells the log whether a time-stamping authority is known: without one no message may be logged.
pub async fn keep_provider_known(log: LogHandle, client: Arc<TsaClient>) {
    loop {
        log.timestamp_status().set_provider_configured(!client.urls().is_empty());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
