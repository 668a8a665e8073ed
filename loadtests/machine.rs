//! Where the figures come from: build, CPU, kernel, disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

const SYNCS: usize = 64;

/// All that a reader needs to compare.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Commit of the working directory, with `+` when there are changes; `unknown` outside of a repository.
    pub commit: String,
    /// Version and profile.
    pub build: String,
    /// Model of the first CPU.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Kernel release.
    pub kernel: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Median of appending 4 KiB and `fdatasync`, where the logs are, in microseconds.
    pub fdatasync_us_p50: f64,
    /// Worst of 64.
    pub fdatasync_us_max: f64,
    /// The whole command.
    pub command: String,
    /// UTC, seconds since 1970.
    pub unix_time: u64,
}

impl Machine {
    /// Looks. `directory` is where the logs are.
    pub fn look(directory: &Path) -> Self {
        let (fdatasync_us_p50, fdatasync_us_max) = fdatasync(directory).unwrap_or((0.0, 0.0));
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            commit: commit(),
            build: format!("hermod {} ({profile})", env!("CARGO_PKG_VERSION")),
            cpu: line_of("/proc/cpuinfo", "model name"),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory_bytes: memory(),
            fdatasync_us_p50,
            fdatasync_us_max,
            command: std::env::args().collect::<Vec<_>>().join(" "),
            unix_time: now.map_or(0, |now| now.as_secs()),
        }
    }
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|out| out.status.success());
        output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => {
            let changed = git(&["status", "--porcelain", "-uno"]).is_some_and(|text| !text.is_empty());
            format!("{commit}{}", if changed { "+" } else { "" })
        }
        None => "unknown".to_owned(),
    }
}

fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn memory() -> u64 {
    let text = line_of("/proc/meminfo", "MemTotal");
    text.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn fdatasync(directory: &Path) -> std::io::Result<(f64, f64)> {
    let path = directory.join("fdatasync-probe");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0x5a; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    Ok((times[SYNCS / 2].round(), times[SYNCS - 1].round()))
}
