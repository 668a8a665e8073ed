//! The operator's command that takes archives away (`archive-transfer-command`).

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Stop;
use crate::limits::ARCHIVE_TRANSFER_SECS_MAX;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the command to its end. A failure is logged and changes nothing; false tells that there was one.
pub(super) fn run(command: &str, stop: &Stop) -> bool {
    match wait(command, stop) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(command, error, "the transfer command of archives failed; the archives stay");
            false
        }
    }
}

fn wait(command: &str, stop: &Stop) -> Result<(), String> {
    let mut child = Command::new("/bin/bash")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("bash cannot be started: {error}"))?;
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
        let late = begun.elapsed() > Duration::from_secs(ARCHIVE_TRANSFER_SECS_MAX);
        if late || stop.wait(LOOK_EVERY) {
            let group = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
            return Err(if late { "it took too long" } else { "the server stops" }.into());
        }
    }
}
