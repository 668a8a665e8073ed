//! What the server tells its operator: to the journal under systemd, else to standard error.

use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Environment variable whose value goes before the configured level.
pub const LEVEL_VARIABLE: &str = "HERMOD_LOG";

/// Of this process's filter.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging for this process. `level` is that of the configuration file, in the syntax of `logging.level`; the
/// environment variable [`LEVEL_VARIABLE`] goes before it. A second call does nothing.
pub fn start(level: &str) {
    let level = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| level.to_string());
    let (filter, mistake) = match EnvFilter::try_new(&level) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let journal = if stderr_is_the_journal() { tracing_journald::layer().ok() } else { None };
    let started = match journal {
        Some(journal) => registry.with(journal).try_init(),
        None => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
            registry.with(stderr.with_target(false)).try_init()
        }
    };
    if started.is_ok() {
        let _ = LEVEL.set(handle);
        if let Some(error) = mistake {
            tracing::warn!("the level \"{level}\" is not understood ({error}): logging at \"info\"");
        }
    }
}

/// Changes the level of a process that logs already, as [`start`] would have set it. A level that is not understood
/// changes nothing.
pub fn set_level(level: &str) {
    let level = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| level.to_string());
    match (EnvFilter::try_new(&level), LEVEL.get()) {
        (Ok(filter), Some(handle)) => {
            let _ = handle.reload(filter);
        }
        (Err(error), _) => {
            tracing::warn!("the level \"{level}\" is not understood ({error}): it stays as it was")
        }
        _ => {}
    }
}

// systemd names the socket behind standard error as device:inode; a redirected process keeps the variable.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}
