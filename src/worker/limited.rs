//! A limit of time around a step.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Timeout, timeout};

use super::error::{HttpError, Wait};

/// Limits the time of a step.
///
/// This is no `async fn` on purpose: one would hold the step twice, as its argument and as what it waits for, and every
/// layer above it would carry both and copy them whenever it is moved.
pub(super) fn within<T, F: Future<Output = Result<T, HttpError>>>(
    limit: Duration,
    wait: Wait,
    step: F,
) -> Within<F> {
    Within { step: timeout(limit, step), wait }
}

pin_project! {
    /// The future of [`within`].
    pub(super) struct Within<F> {
        #[pin]
        step: Timeout<F>,
        wait: Wait,
    }
}

impl<T, F: Future<Output = Result<T, HttpError>>> Future for Within<F> {
    type Output = Result<T, HttpError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(ready!(this.step.poll(context)).unwrap_or(Err(HttpError::Timeout(*this.wait))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_step_is_held_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let step = async {
            let large = [0_u8; 4096];
            std::future::pending::<()>().await;
            std::hint::black_box(&large);
            Ok(())
        };
        let alone = size_of_val(&step);
        assert!(size_of_val(&within(Duration::MAX, Wait::Body, step)) < alone + 512);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_too_long_is_named() {
        let never = std::future::pending::<Result<(), HttpError>>();
        let ended = within(Duration::from_secs(1), Wait::Head, never).await;
        assert!(matches!(ended, Err(HttpError::Timeout(Wait::Head))), "{ended:?}");
    }
}
