//! What the server tells its operator: to the journal under systemd, else to standard error.

use std::os::unix::fs::MetadataExt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Environment variable whose value goes before the configured level.
pub const LEVEL_VARIABLE: &str = "HERMOD_LOG";

/// Starts logging for this process. `level` is that of the configuration file, in the syntax of `logging.level`; the
/// environment variable [`LEVEL_VARIABLE`] goes before it. A second call does nothing.
pub fn start(level: &str) {
    let level = std::env::var(LEVEL_VARIABLE).unwrap_or_else(|_| level.to_string());
    let (filter, mistake) = match EnvFilter::try_new(&level) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
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
    if started.is_ok()
        && let Some(error) = mistake
    {
        tracing::warn!("the level \"{level}\" is not understood ({error}): logging at \"info\"");
    }
}

// systemd names the socket behind standard error as device:inode; a redirected process keeps the variable.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}
