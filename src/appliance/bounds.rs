//! Fits the server into what its control group grants.

use std::time::Duration;

use crate::config::Config;
use crate::host::Cage;
use crate::limits::CONNECTIONS_PER_WORKER_MAX;
use crate::worker::{Admission, Budget, processors};

/// Of the memory that is granted: for messages under way, and for connections. The rest is code, caches, the log's index,
/// and the page cache, which counts too.
const MESSAGES_SHARE: u64 = 4;
const CONNECTIONS_SHARE: u64 = 4;
/// What an open connection takes: its receive buffer, its TLS session, its task.
const CONNECTION_BYTES: u64 = 48 * 1024;
/// Connections of a worker even where memory is scarce.
const CONNECTIONS_MIN: usize = 64;
/// In percent of the granted memory: from here on large messages are refused …
const REFUSE_PERCENT: u64 = 85;
/// … and from here on no connection is accepted.
const CLOSE_PERCENT: u64 = 93;
/// How often memory is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What the server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Worker threads.
    pub workers: usize,
    /// Memory for all messages together, in bytes.
    pub message_bytes: u64,
    /// Connections of one worker.
    pub connections: usize,
}

impl Bounds {
    /// Of this process.
    pub fn of(config: &Config, cage: &Cage) -> Self {
        Self::within(config, cage, processors())
    }

    fn within(config: &Config, cage: &Cage, allowed: usize) -> Self {
        let workers = match config.worker.threads {
            0 => cage.workers(allowed),
            threads => threads,
        };
        let granted = cage.memory_bytes.unwrap_or(u64::MAX);
        let connections = granted / CONNECTIONS_SHARE / CONNECTION_BYTES / workers as u64;
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        Self {
            workers,
            message_bytes: config.limits.memory_bytes_max.min(granted / MESSAGES_SHARE),
            connections: connections.clamp(CONNECTIONS_MIN, CONNECTIONS_PER_WORKER_MAX),
        }
    }
}

/// Refuses before the kernel kills, until the future is dropped; at once over where nothing is bounded.
pub async fn guard(cage: Cage, messages: Budget, admission: Admission) {
    let Some(granted) = cage.memory_bytes else { return };
    let mut scarce = false;
    while let Some(used) = cage.memory_used() {
        let (refuse, close) = verdict(used, granted);
        messages.pause(refuse);
        admission.close(close);
        if refuse != scarce {
            match refuse {
                true => tracing::warn!(used, granted, "memory is scarce: large messages are refused"),
                false => tracing::info!(used, granted, "memory is no longer scarce"),
            }
            scarce = refuse;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn verdict(used: u64, granted: u64) -> (bool, bool) {
    let percent = used.saturating_mul(100) / granted.max(1);
    (percent >= REFUSE_PERCENT, percent >= CLOSE_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn config() -> Config {
        Config::parse("hermod.toml", std::path::Path::new("/"), Config::example()).unwrap()
    }

    #[test]
    fn half_a_gibibyte_and_half_a_processor_are_enough() {
        let cage = Cage { cpus: Some(0.5), memory_bytes: Some(512 * MIB), ..Cage::default() };
        let bounds = Bounds::within(&config(), &cage, 64);
        assert_eq!((bounds.workers, bounds.message_bytes), (1, 128 * MIB));
        assert!((1000..4000).contains(&bounds.connections), "{bounds:?}");
    }

    #[test]
    fn without_bounds_it_is_what_is_configured() {
        let mut config = config();
        let bounds = Bounds::within(&config, &Cage::default(), 6);
        assert_eq!((bounds.workers, bounds.connections), (6, CONNECTIONS_PER_WORKER_MAX));
        assert_eq!(bounds.message_bytes, config.limits.memory_bytes_max);
        config.worker.threads = 3;
        let tight = Cage { cpus: Some(1.0), memory_bytes: Some(16 * MIB), ..Cage::default() };
        let bounds = Bounds::within(&config, &tight, 6);
        assert_eq!((bounds.workers, bounds.connections), (3, CONNECTIONS_MIN.max(29)));
    }

    #[tokio::test]
    async fn scarce_memory_refuses_first_and_closes_then() {
        assert_eq!(verdict(84, 100), (false, false));
        assert_eq!(verdict(86, 100), (true, false));
        assert_eq!(verdict(94, 100), (true, true));
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(root.path().join(file), text).unwrap();
        write("memory.max", "1000000\n");
        write("memory.current", "960000\n");
        let cage = Cage::of(root.path(), "0::/\n");
        let (messages, admission) = (Budget::new(1000), Admission::default());
        let mut held = messages.share();
        held.set(10).unwrap();
        let guard = tokio::spawn(guard(cage, messages.clone(), admission.clone()));
        while admission.is_open() {
            tokio::task::yield_now().await;
        }
        assert!(held.set(20).is_err() && held.set(5).is_ok(), "what is held may shrink");
        // What the kernel can take back does not count.
        write("memory.stat", "inactive_file 500000\n");
        while !admission.is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(held.set(20).is_ok());
        guard.abort();
    }
}
