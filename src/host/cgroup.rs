//! The bounds of the control group that this process is in (the kernel's `cgroup-v2`): its own and those above it.

use std::path::{Path, PathBuf};

/// Where the kernel shows the groups.
const ROOT: &str = "/sys/fs/cgroup";

/// What this process may use. Without a control group, or without bounds, everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cage {
    /// Processors that its quota is worth (`cpu.max`), such as 1.5. Sets of CPUs are the scheduler's affinity.
    pub cpus: Option<f64>,
    /// Memory beyond which it is killed, or slowed down before that (`memory.max`, `memory.high`), in bytes.
    pub memory_bytes: Option<u64>,
    /// Where the kernel shows the group.
    pub group: Option<PathBuf>,
}

impl Cage {
    /// Of this process.
    pub fn of_this_process() -> Self {
        let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(Path::new(ROOT), &membership)
    }

    /// Of the group that `membership`, the text of `/proc/PID/cgroup`, names below `root`.
    pub fn of(root: &Path, membership: &str) -> Self {
        let Some(path) = membership.lines().find_map(|line| line.strip_prefix("0::")) else {
            return Self::default();
        };
        // A group outside of this namespace is shown with `..` and cannot be seen.
        let own = root.join(path.trim_start_matches('/'));
        if path.split('/').any(|part| part == "..") || !own.is_dir() {
            return Self::default();
        }
        let mut cage = Self { group: Some(own.clone()), ..Self::default() };
        for folder in own.ancestors().take_while(|folder| folder.starts_with(root)) {
            let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
            cage.cpus = lower(cage.cpus, quota(&read("cpu.max")));
            for file in ["memory.max", "memory.high"] {
                cage.memory_bytes = lower(cage.memory_bytes, read(file).trim().parse().ok());
            }
        }
        cage
    }

    /// Memory that the group uses now and that the kernel cannot simply take back, in bytes.
    pub fn memory_used(&self) -> Option<u64> {
        let group = self.group.as_ref()?;
        let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
        let current: u64 = read("memory.current")?.trim().parse().ok()?;
        let stat = read("memory.stat").unwrap_or_default();
        let of = |name: &str| -> u64 {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        // Pages of files that nobody has written to lately, and what the kernel keeps only while there is room.
        Some(current.saturating_sub(of("inactive_file") + of("active_file") + of("slab_reclaimable")))
    }

    /// Worker threads for so many allowed processors: a quota is shared by all threads, and more of them than it is
    /// worth would only stop each other in the middle of their work.
    pub fn workers(&self, allowed: usize) -> usize {
        let worth = self.cpus.map_or(usize::MAX, |cpus| (cpus.ceil() as usize).max(1));
        allowed.min(worth).max(1)
    }
}

fn lower<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}

// `max 100000` or `150000 100000`: microseconds of each period.
fn quota(text: &str) -> Option<f64> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().ok());
    let (quota, period) = (numbers.next()??, numbers.next()??);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_narrowest_bound_of_a_group_and_those_above_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "hermod.slice/cpu.max", "150000 100000\n");
        write(root, "hermod.slice/memory.max", "536870912\n");
        write(root, "hermod.slice/hermod.service/cpu.max", "max 100000\n");
        write(root, "hermod.slice/hermod.service/memory.max", "max\n");
        write(root, "hermod.slice/hermod.service/memory.high", "402653184\n");
        write(root, "hermod.slice/hermod.service/memory.current", "300000\n");
        write(
            root,
            "hermod.slice/hermod.service/memory.stat",
            "anon 7\ninactive_file 100000\nactive_file 1\n",
        );
        let cage = Cage::of(root, "1:name=systemd:/x\n0::/hermod.slice/hermod.service\n");
        assert_eq!((cage.cpus, cage.memory_bytes), (Some(1.5), Some(402_653_184)));
        assert_eq!(cage.memory_used(), Some(199_999));
        assert_eq!((cage.workers(8), cage.workers(1)), (2, 1));
    }

    #[test]
    fn without_a_group_or_bounds_nothing_is_narrowed() {
        let folder = tempfile::tempdir().unwrap();
        for membership in ["", "4:memory:/x\n", "0::/../outside\n", "0::/missing\n", "0::/\n"] {
            let cage = Cage::of(folder.path(), membership);
            assert_eq!(
                (cage.cpus, cage.memory_bytes, cage.memory_used()),
                (None, None, None),
                "{membership}"
            );
            assert_eq!(cage.workers(4), 4);
        }
    }
}
