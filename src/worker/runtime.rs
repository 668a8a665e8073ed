//! The choice between io_uring and epoll, and one runtime per worker thread.

use std::future::Future;
use std::io;

use tokio::task::LocalSet;

use super::error::WorkerError;

// Operations in flight per worker before the ring is flushed early; completions have twice the room.
const RING_ENTRIES: u32 = 1024;

/// What moves bytes between sockets and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeKind {
    /// tokio-uring on one ring per worker. Buffers are not registered yet, so no locked memory is needed.
    IoUring,
    /// Plain tokio.
    Epoll,
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// `runtime` of the configuration: `"auto"`, `"io_uring"` or `"epoll"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// io_uring where the host permits it, else epoll.
    #[default]
    Auto,
    /// io_uring or no start.
    IoUring,
    /// Epoll.
    Epoll,
}

impl std::str::FromStr for RuntimeChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "io_uring" => Ok(Self::IoUring),
            "epoll" => Ok(Self::Epoll),
            other => Err(format!("unknown runtime {other:?}: expected \"auto\", \"io_uring\" or \"epoll\"")),
        }
    }
}

/// Decides which runtime the workers get; the text says why, for the one log line at start.
pub fn choose(choice: RuntimeChoice) -> Result<(RuntimeKind, String), WorkerError> {
    match choice {
        RuntimeChoice::Epoll => Ok((RuntimeKind::Epoll, "epoll is demanded by the configuration".into())),
        RuntimeChoice::IoUring => match probe() {
            Ok(()) => Ok((RuntimeKind::IoUring, "io_uring is demanded by the configuration".into())),
            Err(reason) => Err(WorkerError::IoUringRefused(reason)),
        },
        RuntimeChoice::Auto => Ok(match probe() {
            Ok(()) => (RuntimeKind::IoUring, "the host permits io_uring".into()),
            Err(reason) => (RuntimeKind::Epoll, format!("io_uring is not available: {reason}")),
        }),
    }
}

// Does what the workers will do (read, write, vectored write on a socket) instead of asking for features:
// a seccomp filter or an old kernel may permit the ring and refuse an operation.
fn probe() -> Result<(), String> {
    let probe = std::thread::Builder::new().name("ring-probe".into()).spawn(|| -> Result<(), String> {
        let runtime = WorkerRuntime::new(RuntimeKind::IoUring).map_err(|e| explain(&e))?;
        let (near, far) = std::os::unix::net::UnixStream::pair().map_err(|e| e.to_string())?;
        runtime.block_on(async move {
            let near = tokio_uring::net::UnixStream::from_std(near);
            let far = tokio_uring::net::UnixStream::from_std(far);
            let failed = |what: &str, e: io::Error| format!("{what} is refused: {e}");
            near.write(b"a".as_slice()).submit().await.0.map_err(|e| failed("write", e))?;
            near.writev(vec![b"b".as_slice()]).await.0.map_err(|e| failed("vectored write", e))?;
            let (read, _) = far.read(Vec::with_capacity(2)).await;
            read.map(|_| ()).map_err(|e| failed("read", e))
        })
    });
    let probe = probe.map_err(|e| e.to_string())?;
    probe.join().map_err(|_| "the probe of the ring failed".to_string())?
}

fn explain(error: &io::Error) -> String {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match (error.raw_os_error(), disabled.trim()) {
        (_, "1" | "2") => format!("{error} (kernel.io_uring_disabled = {})", disabled.trim()),
        (Some(libc::EPERM), _) => format!("{error} (refused by a container or seccomp filter)"),
        (Some(libc::ENOSYS), _) => format!("{error} (the kernel has no io_uring)"),
        (Some(libc::ENOMEM), _) => format!("{error} (the limit of locked memory, LimitMEMLOCK, is too low)"),
        _ => error.to_string(),
    }
}

/// A single-threaded runtime; `tokio::task::spawn_local`, tokio timers and channels work in both kinds.
pub enum WorkerRuntime {
    /// tokio-uring.
    IoUring(tokio_uring::Runtime),
    /// tokio, current thread.
    Epoll(tokio::runtime::Runtime),
}

impl WorkerRuntime {
    /// Makes the runtime; must not be called inside of another one's `block_on`.
    pub fn new(kind: RuntimeKind) -> io::Result<Self> {
        Ok(match kind {
            RuntimeKind::IoUring => Self::IoUring(new_ring()?),
            RuntimeKind::Epoll => {
                Self::Epoll(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
            }
        })
    }

    /// Runs a future to its end with a `LocalSet` around it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::IoUring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => LocalSet::new().block_on(runtime, future),
        }
    }
}

/// A ring whose completions wait until this thread enters the kernel by itself, as it does in every round, instead of
/// interrupting it (Linux 5.19, 6.0); an older kernel refuses the flags and gets a ring without them.
fn new_ring() -> io::Result<tokio_uring::Runtime> {
    let mut flags = tokio_uring::uring_builder();
    flags.setup_coop_taskrun().setup_single_issuer().setup_taskrun_flag();
    let mut builder = tokio_uring::builder();
    builder.entries(RING_ENTRIES).uring_builder(&flags);
    match tokio_uring::Runtime::new(&builder) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES))
        }
        made => made,
    }
}

thread_local! {
    static KIND: std::cell::Cell<RuntimeKind> = const { std::cell::Cell::new(RuntimeKind::Epoll) };
}

/// Tells this thread's sockets which runtime drives them; without it they are epoll's.
pub(super) fn set_current(kind: RuntimeKind) {
    KIND.set(kind);
}

/// The runtime of this thread.
pub(super) fn current() -> RuntimeKind {
    KIND.get()
}
