//! Encryptions of downloads: each is a process of `gpg` with a container in memory, so a bounded number runs at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::asic::Refused;
use crate::limits::{DOWNLOAD_ENCRYPTION_WAIT_SECS_MAX, DOWNLOAD_ENCRYPTIONS_MAX};

/// The places of those that run.
#[derive(Debug)]
pub struct Encryptions(Arc<Semaphore>);

impl Default for Encryptions {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(DOWNLOAD_ENCRYPTIONS_MAX)))
    }
}

impl Encryptions {
    /// Waits for a place, which whoever encrypts keeps until the process has ended.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let limit = Duration::from_secs(DOWNLOAD_ENCRYPTION_WAIT_SECS_MAX);
        let place = tokio::time::timeout(limit, Arc::clone(&self.0).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            (503, "too many downloads are being encrypted at once: try again in a while".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_than_can_run_waits_for_a_place_but_not_for_ever() {
        let encryptions = Encryptions::default();
        let mut places = Vec::new();
        for _ in 0..DOWNLOAD_ENCRYPTIONS_MAX {
            places.push(encryptions.place().await.unwrap());
        }
        assert_eq!(encryptions.place().await.unwrap_err().0, 503);
        let (place, ()) = tokio::join!(encryptions.place(), async { drop(places.pop()) });
        assert!(place.is_ok());
    }
}
