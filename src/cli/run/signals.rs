//! What a running server is told from outside, in the order in which it comes.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::appliance::commands::Asked;

/// What has come.
pub enum Told {
    /// SIGTERM, SIGINT, or the end of standard input.
    Stop,
    /// SIGHUP.
    Reload,
    /// A command.
    Asked(Asked),
    /// Nothing within the time.
    Nothing,
}

/// Signals, standard input, commands.
pub struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    closed: oneshot::Receiver<()>,
    input: Option<OwnedFd>,
    /// Commands, once there is somebody to carry them out.
    pub commands: Option<UnboundedReceiver<Asked>>,
}

impl Signals {
    /// From now on no signal ends the process by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn receive() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = signal(SignalKind::hangup())?;
        drop(entered);
        let (_, closed) = oneshot::channel();
        Ok(Self { runtime, terminate, interrupt, hangup, closed, input: None, commands: None })
    }

    /// The end of this input is a stop, too.
    ///
    /// # Errors
    /// When the system has no further descriptor or thread.
    pub fn watch(&mut self, input: OwnedFd) -> std::io::Result<()> {
        let (closed, told) = oneshot::channel();
        let mut read = File::from(input.try_clone()?);
        // A thread of its own: a blocking read would hold up the end of a runtime.
        std::thread::Builder::new().name("input".into()).spawn(move || {
            let _ = std::io::copy(&mut read, &mut std::io::sink());
            let _ = closed.send(());
        })?;
        (self.closed, self.input) = (told, Some(input));
        Ok(())
    }

    /// The input whose end is a stop.
    pub fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(OwnedFd::as_fd)
    }

    /// Waits for whatever comes next, at most for `limit`.
    pub fn wait(&mut self, limit: Duration) -> Told {
        let Self { runtime, terminate, interrupt, hangup, closed, input, commands } = self;
        runtime.block_on(async {
            let asked = async {
                match commands {
                    Some(commands) => commands.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => Told::Stop,
                _ = interrupt.recv() => Told::Stop,
                _ = &mut *closed, if input.is_some() => Told::Stop,
                _ = hangup.recv() => Told::Reload,
                Some(asked) = asked => Told::Asked(asked),
                () = tokio::time::sleep(limit) => Told::Nothing,
            }
        })
    }
}
