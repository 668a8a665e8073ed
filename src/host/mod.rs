//! What the host gives and hears: the service manager's notification socket, sockets that it holds, credentials, the
//! bounds that the control group sets, and when it gets memory back.
//!
//! The protocols are those of `sd_notify(3)`, `sd_listen_fds(3)` and the kernel's `cgroup-v2`; nothing of them needs
//! systemd's library, and all of it is silent where nobody has started this process as a service.

mod allocator;
mod cgroup;
mod handover;
mod notify;
mod priority;
mod sockets;

use std::path::PathBuf;

pub use allocator::set_up_allocator;
pub use cgroup::Cage;
pub use handover::{Handover, HandoverError};
pub use notify::{Notifier, watchdog_interval};
pub use priority::give_way;
pub use sockets::{Held, HeldError, command_with, is_own, own};

/// The file of a credential that the service manager has put at this process's disposal (`LoadCredential=` and the
/// like), if it is there.
pub fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(PathBuf::from(folder).join(name)).filter(|file| file.is_file())
}
