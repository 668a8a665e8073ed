//! Pinning of worker threads to the CPUs that the process may use.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Number of CPUs that the process may use.
pub fn processors() -> usize {
    allowed_cpus().len().max(1)
}

/// CPUs in the allowed set (taskset, cpuset of a container), ascending; empty if the host does not say.
pub(super) fn allowed_cpus() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Pins the calling thread. Speed only, so a refusal is a warning.
pub(super) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(cpu, %error, "cannot pin a worker to its cpu");
    }
}
