//! Between a server and its successor: listening sockets, and words about who does what (`unix(7)`, `SCM_RIGHTS`).
//!
//! The successor is a child of the server and finds its end as its standard input, so that nothing but that end has to
//! be known to it, and a server that ends in any way is noticed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::sockets::Held;

/// Descriptors of one packet; the kernel takes 253.
const DESCRIPTORS_MAX: usize = 64;
/// Bytes of one packet.
const PACKET_BYTES_MAX: usize = 16 * 1024;

/// Why a hand-over ended early.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The other process has ended or does not answer.
    #[error("the other process is gone or silent: {0}")]
    Gone(#[from] io::Error),
    /// The other process has said why.
    #[error("{0}")]
    Refused(String),
    /// It said something else than what was its turn.
    #[error("the other process said \"{0}\"")]
    Unexpected(String),
}

/// One end.
#[derive(Debug)]
pub struct Handover(OwnedFd);

impl Handover {
    /// Both ends: the own one, and what becomes the successor's standard input.
    ///
    /// # Errors
    /// When the system has none.
    pub fn pair() -> io::Result<(Self, Stdio)> {
        let (own, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(own), Stdio::from(other)))
    }

    /// The successor's end.
    ///
    /// # Errors
    /// When standard input is something else.
    pub fn from_stdin() -> io::Result<Self> {
        let own = io::stdin().as_fd().try_clone_to_owned()?;
        match socket_type(&own) {
            Ok(SocketType::SEQPACKET) => Ok(Self(own)),
            _ => Err(io::Error::other("standard input is not the end of a hand-over")),
        }
    }

    /// How long [`Self::hear`] waits; `None` for ever.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_patience(&self, limit: Option<Duration>) -> io::Result<()> {
        Ok(set_socket_timeout(&self.0, Timeout::Recv, limit)?)
    }

    /// Passes sockets on, each with its name, and a word after them.
    ///
    /// # Errors
    /// When the other process is gone.
    pub fn pass(&self, sockets: &[(String, TcpListener)], word: &str) -> Result<(), HandoverError> {
        for group in sockets.chunks(DESCRIPTORS_MAX) {
            let names: Vec<&str> = group.iter().map(|(name, _)| name.as_str()).collect();
            let descriptors: Vec<BorrowedFd<'_>> = group.iter().map(|(_, socket)| socket.as_fd()).collect();
            self.send(&format!("sockets {}", names.join(" ")), &descriptors)?;
        }
        self.say(word)
    }

    /// Takes the sockets that come before a word.
    ///
    /// # Errors
    /// When the other process is gone or says another word.
    pub fn take(&self, word: &str) -> Result<Held, HandoverError> {
        let mut held = Held::default();
        loop {
            let (text, descriptors) = self.receive()?;
            let Some(names) = text.strip_prefix("sockets ") else {
                return expect(text, word).map(|_| held);
            };
            for (name, descriptor) in names.split(' ').zip(descriptors) {
                held.push(name, descriptor).map_err(|()| HandoverError::Unexpected(text.clone()))?;
            }
        }
    }

    /// Passes on the input whose end is a stop: whoever holds its other end goes on to hold the successor's life.
    ///
    /// # Errors
    /// When the other process is gone.
    pub fn pass_input(&self, input: BorrowedFd<'_>) -> Result<(), HandoverError> {
        self.send("input", &[input])
    }

    /// Takes that input.
    ///
    /// # Errors
    /// When that process is gone or has passed something else.
    pub fn take_input(&self) -> Result<OwnedFd, HandoverError> {
        let (text, descriptors) = self.receive()?;
        expect(text, "input")?;
        descriptors.into_iter().next().ok_or_else(|| HandoverError::Unexpected("nothing".into()))
    }

    /// Says a word.
    ///
    /// # Errors
    /// When the other process is gone.
    pub fn say(&self, word: &str) -> Result<(), HandoverError> {
        self.send(word, &[])
    }

    /// Waits for a word; what follows it is returned.
    ///
    /// # Errors
    /// When the other process is gone, says `failed` with a reason, or something else.
    pub fn hear(&self, word: &str) -> Result<String, HandoverError> {
        expect(self.receive()?.0, word)
    }

    fn send(&self, text: &str, descriptors: &[BorrowedFd<'_>]) -> Result<(), HandoverError> {
        // A reason may be long; names of sockets are not.
        let text: String = text.chars().take(PACKET_BYTES_MAX / char::MAX.len_utf8()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors").into());
        }
        sendmsg(&self.0, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)
            .map_err(io::Error::from)?;
        Ok(())
    }

    fn receive(&self) -> Result<(String, Vec<OwnedFd>), HandoverError> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
                // With a limit of time a signal ends the call even where handlers restart calls.
                Err(rustix::io::Errno::INTR) => {}
                received => break received.map_err(io::Error::from)?,
            }
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.truncate(received.bytes);
        Ok((String::from_utf8_lossy(&bytes).into_owned(), descriptors))
    }
}

fn expect(text: String, word: &str) -> Result<String, HandoverError> {
    let (said, rest) = text.split_once(' ').unwrap_or((&text, ""));
    match said {
        _ if said == word => Ok(rest.to_owned()),
        "failed" => Err(HandoverError::Refused(rest.to_owned())),
        _ => Err(HandoverError::Unexpected(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Handover, Handover) {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        (Handover(one), Handover(other))
    }

    #[test]
    fn many_sockets_arrive_with_their_names_and_are_the_same() {
        let (server, successor) = ends();
        let sockets: Vec<_> = (0..DESCRIPTORS_MAX + 2)
            .map(|n| (format!("port-{n}"), TcpListener::bind("127.0.0.1:0").unwrap()))
            .collect();
        let addresses: Vec<_> = sockets.iter().map(|(_, socket)| socket.local_addr().unwrap()).collect();
        server.pass(&sockets, "prepare").unwrap();
        let mut held = successor.take("prepare").unwrap();
        drop(sockets);
        for (n, address) in addresses.iter().enumerate() {
            let taken = held.take(&format!("port-{n}"), *address);
            assert_eq!(taken.first().unwrap().local_addr().unwrap(), *address);
            std::net::TcpStream::connect(address).unwrap();
        }
        assert!(held.is_empty());
    }

    #[test]
    fn words_refusals_and_ends_are_told_apart() {
        let (server, successor) = ends();
        successor.say("prepared 0.2.0").unwrap();
        assert_eq!(server.hear("prepared").unwrap(), "0.2.0");
        successor.say("failed no PIN").unwrap();
        assert_eq!(server.hear("prepared").unwrap_err().to_string(), "no PIN");
        successor.say("what").unwrap();
        assert!(matches!(server.hear("ready"), Err(HandoverError::Unexpected(_))));
        server.set_patience(Some(Duration::from_millis(10))).unwrap();
        assert!(matches!(server.hear("ready"), Err(HandoverError::Gone(_))));
        drop(successor);
        assert!(matches!(server.hear("ready"), Err(HandoverError::Gone(_))));
        assert!(server.say("go").is_err());
    }
}
