//! The processes of the host, as `ps` shows them.

use std::collections::HashMap;
use std::path::Path;

use super::host::{PAGE_BYTES, read, total_memory};
use super::metric::Metric;
use crate::limits::MONITORED_PROCESSES_MAX;
use crate::time::UnixTime;

/// Ticks of a second in `/proc`, on every platform of Linux.
const TICKS_PER_SECOND: u64 = 100;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A process.
#[derive(Debug, Clone)]
pub struct Process {
    pid: u32,
    command: String,
    cpu_percent: f64,
    memory_percent: f64,
    start: String,
    user: String,
}

impl Process {
    /// Is it a security server's?
    pub fn is_own(&self) -> bool {
        self.command.starts_with("hermod")
    }

    /// As it is told.
    pub fn metric(&self) -> Metric {
        let fields = vec![
            Metric::number("processId", self.pid.into()),
            Metric::of_text("command", &self.command),
            Metric::of_text("cpuLoad", &format!("{:.1}", self.cpu_percent)),
            Metric::of_text("memUsed", &format!("{:.1}", self.memory_percent)),
            Metric::of_text("startTime", &self.start),
            Metric::of_text("userId", &self.user),
        ];
        Metric::Set(self.pid.to_string(), fields)
    }
}

/// All processes that can be seen, up to a bound, in the order of their numbers.
pub fn list(root: &Path, now: UnixTime) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir(root.join("proc")) else { return Vec::new() };
    let mut pids: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.truncate(MONITORED_PROCESSES_MAX);
    let boot = read(root, "proc/stat")
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
        .unwrap_or(now.secs());
    let users = users(root);
    let memory = total_memory(root).max(1);
    pids.into_iter().filter_map(|pid| process(root, pid, boot, memory, &users, now)).collect()
}

fn process(
    root: &Path,
    pid: u32,
    boot_secs: i64,
    memory: u64,
    users: &HashMap<u32, String>,
    now: UnixTime,
) -> Option<Process> {
    let stat = read(root, &format!("proc/{pid}/stat"));
    // The command may hold anything, parentheses too.
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let command = stat.get(open + 1..close)?.to_owned();
    let fields: Vec<&str> = stat.get(close + 1..)?.split_whitespace().collect();
    let field = |at: usize| -> Option<u64> { fields.get(at)?.parse().ok() };
    let (user_ticks, system_ticks) = (field(11)?, field(12)?);
    let start_secs = boot_secs.saturating_add(i64::try_from(field(19)? / TICKS_PER_SECOND).ok()?);
    let pages = field(21)?;
    let ran = u64::try_from(now.secs() - start_secs).unwrap_or(0).max(1);
    let status = read(root, &format!("proc/{pid}/status"));
    let uid =
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
    let user = uid.map(|uid: u32| users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()));
    Some(Process {
        pid,
        command,
        cpu_percent: (user_ticks + system_ticks) as f64 * 100.0 / TICKS_PER_SECOND as f64 / ran as f64,
        memory_percent: (pages * PAGE_BYTES) as f64 * 100.0 / memory as f64,
        start: start_time(UnixTime::from_secs(start_secs), now),
        user: user.unwrap_or_default(),
    })
}

// The time today, the day this year, the year before that; UTC.
fn start_time(start: UnixTime, now: UnixTime) -> String {
    let (year, month, day, hour, minute, ..) = start.civil();
    let (this_year, this_month, today, ..) = now.civil();
    if (year, month, day) == (this_year, this_month, today) {
        return format!("{hour:02}:{minute:02}");
    }
    let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    if year == this_year { format!("{name}{day:02}") } else { year.to_string() }
}

fn users(root: &Path) -> HashMap<u32, String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        Some((uid.parse().ok()?, name.to_owned()))
    };
    read(root, "etc/passwd").lines().filter_map(user).collect()
}
