//! Figures of the host, from `/proc` and the root file system.

use std::path::Path;

use super::metric::Metric;

/// Bytes of a memory page on the platforms that Hermod runs on.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Processor time since boot, in ticks.
#[derive(Debug, Clone, Copy)]
pub struct CpuTimes {
    busy: u64,
    all: u64,
}

impl CpuTimes {
    /// The load between two moments, in percent.
    pub fn load_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let busy = self.busy.saturating_sub(before.busy);
        (busy * 100).checked_div(all).unwrap_or(0) as f64
    }
}

/// What moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    values: [f64; 5],
}

impl Sample {
    /// In the order of [`super::HISTOGRAMS`].
    pub fn values(&self) -> &[f64; 5] {
        &self.values
    }
}

pub(super) fn read(root: &Path, path: &str) -> String {
    let bytes = std::fs::read(root.join(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn cpu_times(root: &Path) -> Option<CpuTimes> {
    let stat = read(root, "proc/stat");
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // Guest time is in user time already; idle and waiting are no load.
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    Some(CpuTimes { busy: all.saturating_sub(idle), all })
}

fn memory_bytes(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0) * 1024
}

pub(super) fn total_memory(root: &Path) -> u64 {
    memory_bytes(&read(root, "proc/meminfo"), "MemTotal")
}

pub fn sample(root: &Path, load: f64) -> Sample {
    let meminfo = read(root, "proc/meminfo");
    let free = |name| memory_bytes(&meminfo, name) as f64;
    let pages: Option<u64> =
        read(root, "proc/self/statm").split_whitespace().next().and_then(|word| word.parse().ok());
    let open_files = std::fs::read_dir(root.join("proc/self/fd")).map_or(0, Iterator::count);
    let virtual_bytes = (pages.unwrap_or(0) * PAGE_BYTES) as f64;
    Sample { values: [load, free("MemFree"), free("SwapFree"), virtual_bytes, open_files as f64] }
}

pub fn operating_system(root: &Path) -> Option<String> {
    let text = read(root, "proc/version");
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub fn totals(root: &Path) -> Vec<Metric> {
    let meminfo = read(root, "proc/meminfo");
    let limits = read(root, "proc/self/limits");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files: Option<u64> = files.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    let mut totals = vec![
        Metric::number("MaxFileDescriptorCount", files.unwrap_or(0)),
        Metric::number("TotalSwapSpace", memory_bytes(&meminfo, "SwapTotal")),
        Metric::number("TotalPhysicalMemory", memory_bytes(&meminfo, "MemTotal")),
    ];
    if let Ok(disk) = rustix::fs::statvfs(root) {
        totals.push(Metric::number("DiskSpaceTotal_/", disk.f_blocks.saturating_mul(disk.f_frsize)));
        totals.push(Metric::number("DiskSpaceFree_/", disk.f_bfree.saturating_mul(disk.f_frsize)));
    }
    totals
}
