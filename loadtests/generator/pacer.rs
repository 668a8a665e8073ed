//! Waits until the next message is due.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

// Messages due within this time go out together.
const PACE_MIN: Duration = Duration::from_micros(300);

/// Waits to the microsecond, which the runtime's own timer does not: a timer of the kernel among the sockets, which is
/// read like a pipe.
pub struct Pacer(Option<Receiver>);

impl Pacer {
    /// To be made within a runtime.
    pub fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        Self(timer.and_then(|timer| Receiver::from_file_unchecked(File::from(timer)).ok()))
    }

    /// Until this time, or a little later.
    pub async fn until(&mut self, time: Instant) {
        let pause = time.saturating_duration_since(Instant::now()).max(PACE_MIN);
        if self.wait(pause).await.is_none() {
            // Late by up to a millisecond.
            tokio::time::sleep(pause).await;
        }
    }

    async fn wait(&mut self, pause: Duration) -> Option<()> {
        // One byte more than there is to read: the runtime then knows without another call that nothing is left.
        const BYTES: usize = 8 + 1;
        let timer = self.0.as_mut()?;
        let once = Itimerspec { it_interval: Timespec::default(), it_value: pause.try_into().ok()? };
        timerfd_settime(&*timer, TimerfdTimerFlags::empty(), &once).ok()?;
        timer.read(&mut [0; BYTES]).await.ok().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pacer_never_wakes_early() {
        let mut pacer = Pacer::new();
        for pause in [0, 400, 1500, 0, 700] {
            let time = Instant::now() + Duration::from_micros(pause);
            pacer.until(time).await;
            assert!(Instant::now() >= time);
        }
    }
}
