//! What a running server is told from outside, in the order in which it comes.

use std::os::fd::OwnedFd;
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
    watches_stdin: bool,
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
        Ok(Self { runtime, terminate, interrupt, hangup, closed, watches_stdin: false, commands: None })
    }

    /// The end of this input is a stop, too.
    pub fn watch(&mut self, input: impl std::io::Read + Send + 'static) {
        let (closed, told) = oneshot::channel();
        // A thread of its own: a blocking read would hold up the end of a runtime.
        std::thread::spawn(move || {
            let mut input = input;
            let _ = std::io::copy(&mut input, &mut std::io::sink());
            let _ = closed.send(());
        });
        (self.closed, self.watches_stdin) = (told, true);
    }

    /// As [`Self::watch`], of the input of the process before this one.
    pub fn watch_descriptor(&mut self, input: OwnedFd) {
        self.watch(std::fs::File::from(input));
    }

    /// Waits for whatever comes next, at most for `limit`.
    pub fn wait(&mut self, limit: Duration) -> Told {
        let Self { runtime, terminate, interrupt, hangup, closed, watches_stdin, commands } = self;
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
                _ = &mut *closed, if *watches_stdin => Told::Stop,
                _ = hangup.recv() => Told::Reload,
                Some(asked) = asked => Told::Asked(asked),
                () = tokio::time::sleep(limit) => Told::Nothing,
            }
        })
    }
}
