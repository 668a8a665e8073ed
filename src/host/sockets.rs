//! Listening sockets that somebody else holds: the service manager (`sd_listen_fds(3)`), or the process before this one.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use socket2::SockRef;

/// The first descriptor that the service manager passes.
const FIRST: RawFd = 3;
/// More sockets than any set of units has.
const SOCKETS_MAX: i32 = 1024;

/// Why passed sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// The environment contradicts itself.
    #[error("the service manager says LISTEN_FDS={0}, which is no number of sockets")]
    Count(String),
    /// Something else was passed.
    #[error("descriptor {0} (\"{1}\") that the service manager passed is not a listening TCP socket")]
    NoListener(RawFd, String),
    /// A port would never be answered.
    #[error(
        "the socket \"{0}\" on {1} was passed, and nothing in the configuration is for it: name it consumer-http, \
         consumer-https, server, ocsp, admin or health (FileDescriptorName=), or disable its unit"
    )]
    Unwanted(String, String),
}

/// Sockets by the names that they were passed with; several may have one name.
#[derive(Debug, Default)]
pub struct Held(Vec<(String, TcpListener)>);

impl Held {
    /// Those that the service manager has passed to this process; none where it has not. They are given out once.
    ///
    /// # Errors
    /// When something else than listening TCP sockets was passed.
    pub fn from_environment() -> Result<Self, HeldError> {
        static GIVEN: AtomicBool = AtomicBool::new(false);
        let own = std::env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
        if !own || GIVEN.swap(true, Ordering::SeqCst) {
            return Ok(Self::default());
        }
        let count = std::env::var("LISTEN_FDS").unwrap_or_default();
        let number: i32 =
            count.parse().ok().filter(|n| (0..=SOCKETS_MAX).contains(n)).ok_or(HeldError::Count(count))?;
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut held = Self::default();
        for descriptor in FIRST..FIRST + number {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = adopt(descriptor).ok_or_else(|| HeldError::NoListener(descriptor, name.clone()))?;
            held.push(&name, socket).map_err(|()| HeldError::NoListener(descriptor, name))?;
        }
        Ok(held)
    }

    /// Adds a socket under a name; the error says that it does not listen.
    #[allow(clippy::result_unit_err)]
    pub fn push(&mut self, name: &str, socket: OwnedFd) -> Result<(), ()> {
        let socket = TcpListener::from(socket);
        let listens = SockRef::from(&socket).is_listener().unwrap_or(false);
        if !listens || socket.local_addr().is_err() {
            return Err(());
        }
        // A unit's own name is `hermod-server.socket` where it does not say another one.
        let name = name.strip_prefix("hermod-").unwrap_or(name);
        let name = name.strip_suffix(".socket").unwrap_or(name);
        self.0.push((name.to_owned(), socket));
        Ok(())
    }

    /// Nothing was passed, or all is taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sockets of a name; where there are none, those without a name that anybody knows which listen on the port.
    pub fn take(&mut self, name: &str, address: SocketAddr) -> Vec<TcpListener> {
        let named: Vec<_> = self.0.extract_if(.., |(own, _)| own == name).map(|(_, socket)| socket).collect();
        if !named.is_empty() {
            return named;
        }
        let on_port = |(own, socket): &mut (String, TcpListener)| {
            ["", "unknown"].contains(&own.as_str())
                && socket.local_addr().is_ok_and(|bound| bound.port() == address.port())
        };
        self.0.extract_if(.., on_port).map(|(_, socket)| socket).collect()
    }

    /// The sockets that the process before has opened by itself for a name ([`own`]), if they are on this very address.
    pub fn take_own(&mut self, name: &str, address: SocketAddr) -> Vec<TcpListener> {
        let own = own(name);
        let is_it = |(name, socket): &mut (String, TcpListener)| {
            *name == own && socket.local_addr().is_ok_and(|bound| bound == address)
        };
        self.0.extract_if(.., is_it).map(|(_, socket)| socket).collect()
    }

    /// Ends the giving out. What the process before has opened by itself may be left: the configuration wants it no more.
    ///
    /// # Errors
    /// A socket was not taken: whoever connects to it would wait for ever.
    pub fn all_taken(&self) -> Result<(), HeldError> {
        match self.0.iter().find(|(name, _)| !name.starts_with(OWN)) {
            None => Ok(()),
            Some((name, socket)) => {
                let address = socket.local_addr().map(|address| address.to_string()).unwrap_or_default();
                Err(HeldError::Unwanted(name.clone(), address))
            }
        }
    }
}

const OWN: &str = "own-";

/// The name of a socket that a server has opened by itself, when it passes it to its successor: whether it is wanted is
/// for the successor's configuration to say, while what the service manager holds is served in any case.
pub fn own(name: &str) -> String {
    format!("{OWN}{name}")
}

/// Whether a socket of this name is one that a server has opened by itself.
pub fn is_own(name: &str) -> bool {
    name.starts_with(OWN)
}

// `None` when the descriptor is not open.
#[allow(unsafe_code)]
fn adopt(descriptor: RawFd) -> Option<OwnedFd> {
    if !Path::new(&format!("/proc/self/fd/{descriptor}")).exists() {
        return None;
    }
    // SAFETY: LISTEN_PID says that this descriptor was opened for this process by whoever started it, it is open, and
    // nothing else in the process owns it: descriptors of this range are given out once.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let flags = fcntl_getfd(&socket).ok()?;
    fcntl_setfd(&socket, flags | FdFlags::CLOEXEC).ok()?;
    Some(socket)
}

/// A command that starts `program` with sockets as the service manager passes them. The arguments are added by the caller.
///
/// The number of the process is not known before it is there: a shell writes it into the environment and becomes it.
#[allow(unsafe_code)]
pub fn command_with(program: &Path, sockets: &[(String, TcpListener)]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "LISTEN_PID=$$; export LISTEN_PID; exec \"$@\"", "sh"]).arg(program);
    let names: Vec<&str> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    let descriptors: Vec<RawFd> = sockets.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
    let beyond = FIRST + descriptors.len() as RawFd;
    let mut moved = descriptors.clone();
    let pass = move || {
        // First out of the way of each other, then to their places, where they survive the call of the program.
        for (moved, own) in moved.iter_mut().zip(&descriptors) {
            // SAFETY: plain system calls on numbers; nothing is owned or freed by them.
            *moved = unsafe { libc::fcntl(*own, libc::F_DUPFD_CLOEXEC, beyond) };
        }
        for (place, moved) in (FIRST..).zip(&moved) {
            // SAFETY: as above. Whatever the child had at `place` was to be closed at the call of the program anyway.
            if unsafe { libc::dup2(*moved, place) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and the call of the program only fcntl and dup2 are made, which are safe there; the vectors
    // were allocated before, and nothing is allocated. The sockets outlive the closure's only use, or the calls fail.
    unsafe { command.pre_exec(pass) };
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn sockets_are_taken_by_name_or_by_port() {
        let mut held = Held::default();
        let ((a, at), (b, bt), (c, ct)) = (listener(), listener(), listener());
        held.push("server", a.into()).unwrap();
        held.push("hermod-server.socket", b.into()).unwrap();
        held.push("unknown", c.into()).unwrap();
        let taken: Vec<_> = held.take("server", ct).iter().map(|s| s.local_addr().unwrap()).collect();
        assert_eq!(taken, [at, bt]);
        let told = held.all_taken().unwrap_err().to_string();
        assert!(told.contains("\"unknown\"") && told.contains(&ct.to_string()), "{told}");
        assert!(held.take("ocsp", at).is_empty());
        assert_eq!(held.take("ocsp", ct).len(), 1);
        assert!(held.is_empty() && held.all_taken().is_ok());
    }

    #[test]
    fn own_sockets_are_taken_where_they_are_still_wanted() {
        let mut held = Held::default();
        let ((a, at), (b, bt)) = (listener(), listener());
        held.push(&own("server"), a.into()).unwrap();
        held.push(&own("ocsp"), b.into()).unwrap();
        assert!(held.take("server", at).is_empty() && held.take_own("server", bt).is_empty());
        assert_eq!(held.take_own("server", at).len(), 1);
        assert!(held.all_taken().is_ok(), "the other one is wanted no more");
    }

    #[test]
    fn what_does_not_listen_is_no_socket_to_be_held() {
        let (socket, address) = listener();
        let stream = std::net::TcpStream::connect(address).unwrap();
        drop(socket);
        assert!(Held::default().push("server", stream.into()).is_err());
        assert!(Held::default().push("server", std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }
}
