//! Environmental monitoring: how the host fares, as `getSecurityServerMetrics` tells it (X-Road 7.8 behaviour).
//!
//! What moves is sampled while the server runs; lists are made when they are asked for, and kept for a minute.

mod host;
mod metric;
mod packages;
mod processes;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use metric::{Histogram, Metric};

use self::host::{CpuTimes, Sample};
use crate::time::{SharedClock, UnixTime};

/// Time between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// Samples of the sliding window: an hour.
const SAMPLES_MAX: usize = 720;
/// How long lists of processes and packages are told again.
const LISTS_SECS: i64 = 60;
/// The sampled figures, in the order of [`Sample::values`].
const HISTOGRAMS: [&str; 5] = [
    "SystemCpuLoad",
    "FreePhysicalMemory",
    "FreeSwapSpace",
    "CommittedVirtualMemory",
    "OpenFileDescriptorCount",
];
/// Lists that only the owner is told where others are told less.
const LISTS: [&str; 3] = ["Processes", "Xroad Processes", "Packages"];

/// The host as it was sampled.
pub struct Environment {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cpu: Option<CpuTimes>,
    samples: VecDeque<Sample>,
    sampled_at: Option<UnixTime>,
    lists: Option<(UnixTime, Vec<Metric>)>,
}

impl Environment {
    /// The host whose files are under `root`: `/`, but for tests.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes samples until the future is dropped.
    pub async fn run(&self, clock: SharedClock) {
        loop {
            self.sample(clock.now());
            tokio::time::sleep(SAMPLE_INTERVAL).await;
        }
    }

    /// Takes a sample.
    pub fn sample(&self, now: UnixTime) {
        let mut state = self.state();
        let cpu = host::cpu_times(&self.root);
        let load = match (&state.cpu, &cpu) {
            (Some(before), Some(after)) => after.load_since(before),
            _ => 0.0,
        };
        state.cpu = cpu;
        state.sampled_at = Some(now);
        if state.samples.len() >= SAMPLES_MAX {
            state.samples.pop_front();
        }
        state.samples.push_back(host::sample(&self.root, load));
    }

    /// Metrics of the host whose names `wanted` accepts; may read many files. Without `everything` only the operating
    /// system is told, as those are who may see but a limited set.
    pub fn metrics(&self, wanted: &dyn Fn(&str) -> bool, everything: bool, now: UnixTime) -> Vec<Metric> {
        let mut metrics = Vec::new();
        if wanted("OperatingSystem")
            && let Some(text) = host::operating_system(&self.root)
        {
            metrics.push(Metric::of_text("OperatingSystem", &text));
        }
        if !everything {
            return metrics;
        }
        metrics.extend(host::totals(&self.root).into_iter().filter(|metric| wanted(metric.name())));
        if self.state().samples.is_empty() {
            self.sample(now);
        }
        metrics.extend(self.histograms().into_iter().filter(|metric| wanted(metric.name())));
        if LISTS.into_iter().any(wanted) {
            metrics.extend(self.lists(now).into_iter().filter(|metric| wanted(metric.name())));
        }
        metrics
    }

    fn histograms(&self) -> Vec<Metric> {
        let state = self.state();
        let updated = state.sampled_at.unwrap_or_default();
        let histogram = |(at, name): (usize, &&str)| {
            let values = state.samples.iter().filter_map(|sample| sample.values().get(at).copied());
            Metric::histogram(name, updated, values.collect())
        };
        HISTOGRAMS.iter().enumerate().filter_map(histogram).collect()
    }

    fn lists(&self, now: UnixTime) -> Vec<Metric> {
        if let Some((at, lists)) = &self.state().lists
            && now < at.plus_secs(LISTS_SECS)
        {
            return lists.clone();
        }
        let processes = processes::list(&self.root, now);
        let own: Vec<Metric> =
            processes.iter().filter(|process| process.is_own()).map(processes::Process::metric).collect();
        let all: Vec<Metric> = processes.iter().map(processes::Process::metric).collect();
        let lists = vec![
            Metric::Set("Processes".into(), all),
            Metric::Set("Xroad Processes".into(), own),
            Metric::Set("Packages".into(), packages::list(&self.root)),
        ];
        self.state().lists = Some((now, lists.clone()));
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(folder: &std::path::Path) -> Environment {
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\nbtime 1000\n");
        write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 400 kB\nSwapTotal: 8 kB\nSwapFree: 2 kB\n");
        write(
            "proc/self/limits",
            "Limit  Soft Limit  Hard Limit\nMax open files            1024     4096   files\n",
        );
        write("proc/self/statm", "10 2 0 0 0 0 0\n");
        write("proc/self/fd/0", "");
        write("proc/version", "Linux version 6\n");
        write("proc/uptime", "100.00 50.00\n");
        write(
            "proc/42/stat",
            "42 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 300 200 0 0 20 0 1 0 5000 4096 25 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        );
        write("proc/42/status", "Name:\ta\nUid:\t33\t33\t33\t33\n");
        write("etc/passwd", "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n");
        write(
            "var/lib/dpkg/status",
            "Package: adduser\nStatus: install ok installed\nVersion: 3.137\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
        );
        Environment::new(folder)
    }

    #[test]
    fn the_host_is_told_as_samples_totals_and_lists() {
        let folder = tempfile::tempdir().unwrap();
        let environment = host(folder.path());
        let now = UnixTime::from_secs(1100);
        environment.sample(now);
        std::fs::write(folder.path().join("proc/stat"), "cpu  130 0 120 740 110 0 0 0 0 0\nbtime 1000\n")
            .unwrap();
        environment.sample(now);
        let metrics = environment.metrics(&|_| true, true, now);
        let find = |name: &str| metrics.iter().find(|metric| metric.name() == name).cloned();
        assert_eq!(
            find("OperatingSystem"),
            Some(Metric::Text("OperatingSystem".into(), "Linux version 6".into()))
        );
        assert_eq!(
            find("TotalPhysicalMemory"),
            Some(Metric::Number("TotalPhysicalMemory".into(), "1024000".into()))
        );
        assert_eq!(
            find("MaxFileDescriptorCount"),
            Some(Metric::Number("MaxFileDescriptorCount".into(), "1024".into()))
        );
        let Some(Metric::Histogram(_, load)) = find("SystemCpuLoad") else { panic!("{metrics:?}") };
        assert_eq!((load.min, load.max, load.mean, load.median), (0.0, 50.0, 25.0, 25.0));
        let Some(Metric::Set(_, processes)) = find("Processes") else { panic!("{metrics:?}") };
        let text = |name: &str, value: &str| Metric::of_text(name, value);
        let process = vec![
            text("processId", "42"),
            text("command", "a (b) c"),
            text("cpuLoad", "10.0"),
            text("memUsed", "10.0"),
            text("startTime", "00:17"),
            text("userId", "www-data"),
        ];
        assert_eq!(processes, [Metric::Set("42".into(), process)]);
        let Some(Metric::Set(_, packages)) = find("Packages") else { panic!("{metrics:?}") };
        assert!(packages.contains(&text("adduser", "3.137")) && packages.len() == 2, "{packages:?}");
        assert_eq!(environment.metrics(&|_| true, false, now).len(), 1);
        assert_eq!(environment.metrics(&|name| name == "Packages", true, now).len(), 1);
    }
}
