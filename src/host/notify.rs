//! What the service manager is told (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Tells the service manager how this process fares; says nothing where there is none. Cheap to share.
#[derive(Debug, Default)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// To the socket that `NOTIFY_SOCKET` names, if it names one.
    pub fn from_environment() -> Self {
        let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return Self(None) };
        match Self::to(&name) {
            Ok(notifier) => notifier,
            Err(error) => {
                tracing::warn!(%error, socket = name, "the service manager cannot be notified");
                Self(None)
            }
        }
    }

    /// To a socket in the file system, or one whose name begins with `@` outside of it.
    ///
    /// # Errors
    /// When there is nobody.
    pub fn to(name: &str) -> std::io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // Its queue is never worth a wait of ours.
        socket.set_nonblocking(true)?;
        Ok(Self(Some(socket)))
    }

    /// Somebody listens.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Messages can pass (also: a reload is finished).
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// One line for people.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", line(status)));
    }

    /// A reload begins; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"));
    }

    /// The end begins.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", line(status)));
    }

    /// What runs may take so much longer than the unit says.
    pub fn extend_timeout(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// From now on [`Self::watchdog`] is wanted within this time.
    pub fn watchdog_within(&self, interval: Duration) {
        self.send(&format!("WATCHDOG_USEC={}", interval.as_micros()));
    }

    /// All is well at this moment.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// From now on another process is the service.
    pub fn main_pid(&self, pid: u32) {
        self.send(&format!("MAINPID={pid}"));
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::debug!(%error, "the service manager was not told");
        }
    }
}

// A line feed would begin another field.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Within this time the service manager wants to hear [`Notifier::watchdog`], if it does (`WATCHDOG_USEC`).
pub fn watchdog_interval() -> Option<Duration> {
    let of = |name: &str| std::env::var(name).ok();
    interval(of("WATCHDOG_USEC").as_deref(), of("WATCHDOG_PID").as_deref(), std::process::id())
}

fn interval(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.trim().parse() != Ok(own)) {
        return None;
    }
    micros?.trim().parse().ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned()
    }

    #[test]
    fn says_what_the_protocol_wants_in_one_datagram_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.to_str().unwrap()).unwrap();
        notifier.status("waits for\nthe PIN");
        assert_eq!(heard(&socket), "STATUS=waits for the PIN");
        notifier.ready("messages pass");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=messages pass");
        let before = clock_gettime(ClockId::Monotonic).tv_sec;
        notifier.reloading();
        let text = heard(&socket);
        let micros: i64 =
            text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap().parse().unwrap();
        assert!(text.starts_with("RELOADING=1\n") && micros / 1_000_000 >= before, "{text}");
        notifier.extend_timeout(Duration::from_secs(3));
        assert_eq!(heard(&socket), "EXTEND_TIMEOUT_USEC=3000000");
        notifier.main_pid(42);
        assert_eq!(heard(&socket), "MAINPID=42");
        notifier.watchdog();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        drop(socket);
        notifier.stopping("nobody hears it, and nothing happens");
        assert!(!Notifier::default().is_heard());
    }

    #[test]
    fn sockets_outside_of_the_file_system_are_found() {
        let name = format!("hermod-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(&format!("@{name}")).unwrap().watchdog();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        assert!(Notifier::to("@hermod-nobody-is-here").is_err());
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        assert_eq!(interval(Some("2000000"), None, 7), Some(Duration::from_secs(2)));
        assert_eq!(interval(Some("2000000"), Some("7"), 7), Some(Duration::from_secs(2)));
        assert_eq!(interval(Some("2000000"), Some("8"), 7), None);
        assert_eq!(interval(Some("0"), None, 7), None);
        assert_eq!(interval(None, Some("7"), 7), None);
    }
}
