//! Calls into the kernel, counted by `perf` where it is installed and allowed. Counting costs a little, so it is done in
//! a repetition of a phase and not in the phase itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const EVENT: &str = "raw_syscalls:sys_enter";

/// Why there are no counts.
pub const UNAVAILABLE: &str = "not counted: perf is not installed, or not allowed to trace";

/// A count that is going on.
pub struct Counting {
    children: Vec<Child>,
    files: Vec<PathBuf>,
    _directory: tempfile::TempDir,
}

impl Counting {
    /// Counts the calls of each process for so long; `None` where that is not possible.
    pub fn start(processes: &[u32], length: Duration) -> Option<Self> {
        let allowed = perf().args(["-a", "--", "true"]).status().is_ok_and(|status| status.success());
        let directory = tempfile::Builder::new().prefix("hermod-calls-").tempdir().ok()?;
        if !allowed {
            return None;
        }
        let seconds = format!("{:.2}", length.as_secs_f64());
        let (mut children, mut files) = (Vec::new(), Vec::new());
        for process in processes {
            let file = directory.path().join(process.to_string());
            let mut command = perf();
            command.arg("-o").arg(&file).args(["-p", &process.to_string(), "--", "sleep", &seconds]);
            children.push(command.spawn().ok()?);
            files.push(file);
        }
        Some(Self { children, files, _directory: directory })
    }

    /// Waits for the end; the counts in the order of the processes.
    pub fn finish(mut self) -> Vec<Option<f64>> {
        for child in &mut self.children {
            let _ = child.wait();
        }
        self.files.iter().map(|file| count(file)).collect()
    }
}

fn perf() -> Command {
    let mut command = Command::new("perf");
    command.args(["stat", "-x", ",", "-e", EVENT]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn count(file: &Path) -> Option<f64> {
    parse(&std::fs::read_to_string(file).ok()?)
}

// `perf stat -x ,` writes the value first and the event third.
fn parse(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains(EVENT))?;
    line.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_and_one_that_was_not_possible_is_none() {
        let text = "# started on Mon\n\n12034,,raw_syscalls:sys_enter,2000000,100.00,,\n";
        assert_eq!(parse(text), Some(12034.0));
        assert_eq!(parse("<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n"), None);
    }
}
