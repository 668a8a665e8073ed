//! What processes cost, as the kernel accounts it.

use std::fs;

/// CPU time, calls and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Time on a CPU of all living threads, in microseconds.
    pub cpu_us: f64,
    /// Calls of the read and write families as `/proc/PID/io` counts them, which leaves out all others and those made
    /// through io_uring.
    pub reads_and_writes: u64,
    /// Times that a thread slept or was put aside.
    pub switches: u64,
    /// Highest resident set so far, in bytes.
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// Of a process; zeros when it is gone.
    pub fn of(pid: u32) -> Self {
        let mut usage = Self::default();
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return usage };
        for task in tasks.flatten() {
            usage.cpu_us += cpu_us(&task.path().join("schedstat"));
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            usage.switches += field(&status, "voluntary_ctxt_switches:");
            usage.switches += field(&status, "nonvoluntary_ctxt_switches:");
        }
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        usage.reads_and_writes = field(&io, "syscr:") + field(&io, "syscw:");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        usage.peak_rss_bytes = field(&status, "VmHWM:") * 1024;
        usage
    }

    /// What was added since `before`; the peak is that of the whole time.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            reads_and_writes: self.reads_and_writes.saturating_sub(before.reads_and_writes),
            switches: self.switches.saturating_sub(before.switches),
            peak_rss_bytes: self.peak_rss_bytes,
        }
    }

    /// Of two processes together; their peaks need not have been at the same time.
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_us: self.cpu_us + other.cpu_us,
            reads_and_writes: self.reads_and_writes + other.reads_and_writes,
            switches: self.switches + other.switches,
            peak_rss_bytes: self.peak_rss_bytes + other.peak_rss_bytes,
        }
    }
}

/// Processes that this one has started and that are still there.
pub fn children_of(pid: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|child| {
            let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            field(&status, "PPid:") == u64::from(pid)
        })
        .collect()
}

/// CPU time of the threads of this process whose name begins with `name`, in microseconds.
pub fn own_threads_cpu_us(name: &str) -> f64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0.0 };
    let named = tasks.flatten().filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim().starts_with(name))
    });
    named.map(|task| cpu_us(&task.path().join("schedstat"))).sum()
}

fn cpu_us(schedstat: &std::path::Path) -> f64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    let ns: f64 = text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0);
    ns / 1000.0
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_has_used_time_and_memory() {
        let usage = Usage::of(std::process::id());
        assert!(usage.cpu_us > 0.0 && usage.peak_rss_bytes > 100_000, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX).peak_rss_bytes, 0);
    }
}
