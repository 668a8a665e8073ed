//! A server and its successor: the next version, or the same one with another configuration.
//!
//! ```text
//! server                                   successor (its child)
//!   sockets, "prepare"         ------>      reads configuration, registry, keys; looks at the log,
//!                                             at the ports that are new, at all that its start could fail at
//!                              <------      "prepared", or "failed" with the reason: nothing has changed then
//!   lets clients move away, finishes
//!   what runs, closes the log
//!   "go"                       ------>      takes the log, opens the sockets' other ends
//!                              <------      "started"
//!   tells the service manager  ------>      "yours": says that it is ready
//! ```
//!
//! Connections that come in between wait in the sockets, which are never closed.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::Appliance;
use crate::host::{Handover, HandoverError, Held, Notifier};

/// A successor has read everything within this time.
const PREPARED_MAX: Duration = Duration::from_secs(30);
/// It has taken the log and opened the ports within this time.
const STARTED_MAX: Duration = Duration::from_secs(30);

/// The last word of the predecessor comes within this time.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// A process that is prepared to go on where this one ends.
pub struct Successor {
    child: Child,
    handover: Handover,
    /// What it says of itself: its version.
    pub version: String,
}

impl Successor {
    /// Starts `program` as a successor of this server and waits until it is prepared. The end of `input` is a stop.
    ///
    /// # Errors
    /// Why it cannot go on; it is gone then.
    pub fn prepare(
        appliance: &Appliance,
        program: &Path,
        config: &Path,
        input: Option<BorrowedFd<'_>>,
    ) -> Result<Self, String> {
        // The end of the first process of a container is the end of all of them.
        if std::process::id() == 1 {
            return Err(
                "a server that is the first process of its container has no successor: restart it".into()
            );
        }
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", program.display());
        let (handover, theirs) = Handover::pair().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config).arg("--take-over").stdin(theirs);
        if input.is_some() {
            command.arg("--exit-on-stdin-close");
        }
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|error| told(&error))?;
        drop(command);
        let mut successor = Self { child, handover, version: String::new() };
        match successor.introduce(appliance, input) {
            Ok(version) => successor.version = version,
            Err(error) => {
                successor.dismiss();
                return Err(told(&error));
            }
        }
        Ok(successor)
    }

    fn introduce(
        &self,
        appliance: &Appliance,
        input: Option<BorrowedFd<'_>>,
    ) -> Result<String, HandoverError> {
        self.handover.set_patience(Some(PREPARED_MAX))?;
        if let Some(input) = input {
            self.handover.pass_input(input)?;
        }
        self.handover.pass(&appliance.sockets(), "prepare")?;
        self.handover.hear("prepared")
    }

    /// Lets it go on: the log is closed, nothing runs any more. When it returns, with its process id, it has taken over.
    ///
    /// # Errors
    /// It could not; it is gone then.
    pub fn go(mut self, notifier: &Notifier) -> Result<u32, String> {
        let went = self.handover.set_patience(Some(STARTED_MAX)).map_err(HandoverError::from);
        let went = went.and_then(|()| self.handover.say("go")).and_then(|()| self.handover.hear("started"));
        match went {
            Ok(_) => {
                notifier.main_pid(self.child.id());
                let _ = self.handover.say("yours");
                Ok(self.child.id())
            }
            Err(error) => {
                self.dismiss();
                Err(error.to_string())
            }
        }
    }

    fn dismiss(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The successor's side.
pub struct Predecessor(Handover);

impl Predecessor {
    /// Whose end this process has as its standard input, and what it passes on; with `watches_input` the input whose end
    /// is a stop, too.
    ///
    /// # Errors
    /// When nobody hands over.
    pub fn meet(watches_input: bool) -> Result<(Self, Held, Option<OwnedFd>), HandoverError> {
        let handover = Handover::from_stdin()?;
        handover.set_patience(Some(STARTED_MAX))?;
        let stdin = if watches_input { Some(handover.take_input()?) } else { None };
        let held = handover.take("prepare")?;
        handover.set_patience(None)?;
        Ok((Self(handover), held, stdin))
    }

    /// Says that all is read, and waits until the log is free.
    ///
    /// # Errors
    /// The predecessor goes on by itself, or has ended.
    pub fn prepared(&self) -> Result<(), HandoverError> {
        self.0.say(concat!("prepared ", env!("CARGO_PKG_VERSION")))?;
        self.0.hear("go").map(|_| ())
    }

    /// Says that the ports are open, and waits until the service manager knows this process.
    pub fn started(&self) {
        let _ = self.0.say("started");
        // A predecessor that ends without a word, or hangs, is not waited for.
        let _ = self.0.set_patience(Some(FAREWELL_MAX));
        let _ = self.0.hear("yours");
    }

    /// Says why not.
    pub fn failed(&self, reason: &str) {
        let _ = self.0.say(&format!("failed {reason}"));
    }
}

/// The program that runs now, also when its file was replaced meanwhile.
pub fn own_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}
