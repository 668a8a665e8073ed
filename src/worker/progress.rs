//! A sender who keeps a connection busy must get somewhere.

use std::time::Duration;

use super::error::HttpError;

/// Time over which the rate is taken: whoever pauses for less is not hurt.
const WINDOW: Duration = Duration::from_secs(60);

/// How a body comes in. Only the time that is spent waiting for the sender counts, not the time in which nobody read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    waited: Duration,
    received: u64,
}

impl Progress {
    /// Notes how long a wait took and how many bytes came. Error: in the last [`WINDOW`] of waiting fewer than
    /// `bytes_per_sec_min` came on average; 0 is no limit.
    pub(super) fn waited(
        &mut self,
        time: Duration,
        received: usize,
        bytes_per_sec_min: u64,
    ) -> Result<(), HttpError> {
        self.waited += time;
        self.received += received as u64;
        if self.waited < WINDOW {
            return Ok(());
        }
        let Self { waited, received } = std::mem::take(self);
        match received < bytes_per_sec_min.saturating_mul(waited.as_secs()) {
            true => Err(HttpError::TooSlow(bytes_per_sec_min)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    // Seconds until a sender of `bytes` every `pause` seconds is cut off, `None` if he is not within an hour.
    async fn cut_after(bytes: usize, pause: u64) -> Option<u64> {
        let (began, mut progress) = (Instant::now(), Progress::default());
        while began.elapsed() < Duration::from_secs(3600) {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if let Err(error) = progress.waited(Duration::from_secs(pause), bytes, 256) {
                assert_eq!(error.to_string(), "the sender sends less than 256 bytes a second");
                return Some(began.elapsed().as_secs());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_and_a_slow_link_is_not() {
        assert_eq!(cut_after(1, 1).await, Some(60));
        assert_eq!(cut_after(1, 29).await, Some(87));
        assert_eq!(cut_after(255, 1).await, Some(60));
        assert_eq!(cut_after(256, 1).await, None);
        // 2 kB/s, also when they come in lumps as slow links deliver them.
        assert_eq!(cut_after(2000, 1).await, None);
        assert_eq!(cut_after(50_000, 25).await, None);
    }

    #[test]
    fn without_a_least_rate_nobody_is_cut_off() {
        let mut progress = Progress::default();
        assert!(progress.waited(Duration::from_secs(90), 1, 0).is_ok());
        assert!(progress.waited(Duration::from_secs(90), 1, 1).is_err());
    }
}
