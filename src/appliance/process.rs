//! Figures of the process: memory, processor, files; and of the log's lag.

use crate::control::MetricsText;
use crate::exchange::Shared;

/// What the kernel says of this process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Resident memory.
    pub memory_bytes: u64,
    /// Time on processors.
    pub cpu_secs: f64,
    /// Open files and connections.
    pub open_files: u64,
    /// Threads.
    pub threads: u64,
}

impl Process {
    /// Now. What cannot be read is 0.
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
        };
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Self {
            memory_bytes: field("VmRSS:") * 1024,
            cpu_secs: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
            threads: field("Threads:"),
        }
    }
}

pub(super) fn render(text: &mut MetricsText, shared: &Shared) {
    let process = Process::now();
    text.gauge("process_resident_memory_bytes", "Memory of the process.", process.memory_bytes);
    text.counter("process_cpu_seconds_total", "Time on processors.", process.cpu_secs);
    text.gauge("process_open_fds", "Open files and connections.", process.open_files);
    text.gauge("process_threads", "Threads.", process.threads);
    text.gauge("hermod_log_waiting_records", "Records that wait to be made durable.", shared.log.waiting());
    let lag = shared.log.oldest_unstamped().map_or(0, |at| (shared.clock.now().secs() - at.secs()).max(0));
    text.gauge(
        "hermod_log_oldest_unstamped_seconds",
        "Age of the oldest message record without a time-stamp; 0 when there is none.",
        lag,
    );
}
