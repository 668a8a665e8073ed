//! The process of `gpg`: bytes go in, and what it says is taken away meanwhile, so that it never waits for somebody to listen.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::limits::ARCHIVE_GPG_SECS_MAX;

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// `gpg` takes and gives no byte for at most this long.
const STILL_LONGEST: Duration = Duration::from_secs(ARCHIVE_GPG_SECS_MAX);
/// Of what `gpg` says the last bytes are kept.
const TOLD_BYTES_MAX: usize = 4096;
/// What it has said and nobody has heard yet is no more than this many times as much: a pipe has 64 KiB.
const LAST_WORDS_MAX: usize = 32;
/// `PIPE_BUF` of Linux.
const PIPE_BYTES_MIN: usize = 4096;

/// An encryption under way: takes the bytes of an archive.
#[derive(Debug)]
pub(super) struct Encrypting {
    child: Child,
    input: Option<ChildStdin>,
    stderr: Option<ChildStderr>,
    told: Vec<u8>,
}

impl Encrypting {
    /// Starts a command that encrypts its standard input into a file.
    pub fn start(mut command: Command, output: File) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("gpg cannot be started: {error}")))?;
        let (input, stderr) = (child.stdin.take(), child.stderr.take());
        Ok(Self { child, input, stderr, told: Vec::new() })
    }

    /// Ends the input and waits for the end of the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    /// Ends the input and waits for the end: was it a good one?
    pub fn succeeds(mut self) -> io::Result<bool> {
        self.wait_for_end()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.wait_for_end()? { Ok(()) } else { Err(self.failure()) }
    }

    fn wait_for_end(&mut self) -> io::Result<bool> {
        drop(self.input.take());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            if begun.elapsed() > STILL_LONGEST {
                return Err(io::Error::other("gpg does not come to an end"));
            }
            if self.stderr.is_none() {
                std::thread::sleep(LOOK_EVERY);
            } else {
                self.hear_within(LOOK_EVERY)?;
            }
        }
    }

    fn failure(&mut self) -> io::Error {
        for _ in 0..LAST_WORDS_MAX {
            if !self.hear_within(Duration::ZERO).is_ok_and(|heard| heard) {
                break;
            }
        }
        let told = String::from_utf8_lossy(&self.told);
        let told = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        io::Error::other(format!("gpg failed: {told}"))
    }

    /// Whether it has said something.
    fn hear_within(&mut self, limit: Duration) -> io::Result<bool> {
        let Some(stderr) = &self.stderr else { return Ok(false) };
        let ready = wait(&mut [PollFd::new(stderr, PollFlags::IN)], limit)?;
        if ready {
            self.hear();
        }
        Ok(ready)
    }

    /// Takes what it has said, without waiting when there is something.
    fn hear(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        let mut bytes = [0; TOLD_BYTES_MAX];
        match stderr.read(&mut bytes) {
            Ok(0) => self.stderr = None,
            Ok(read) => {
                self.told.extend_from_slice(&bytes[..read]);
                self.told.drain(..self.told.len().saturating_sub(TOLD_BYTES_MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.stderr = None,
        }
    }

    /// Whether the input takes bytes now. It hears what is said meanwhile.
    fn look(&mut self, limit: Duration) -> io::Result<bool> {
        let Some(input) = &self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut both = vec![PollFd::new(input, PollFlags::OUT)];
        both.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
        wait(&mut both, limit)?;
        let mut ready = both.iter().map(|one| !one.revents().is_empty());
        let (takes, says) = (ready.next() == Some(true), ready.next() == Some(true));
        if says {
            self.hear();
        }
        Ok(takes)
    }
}

/// Whether one of these is ready within this time.
fn wait(these: &mut [PollFd<'_>], limit: Duration) -> io::Result<bool> {
    let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
    match poll(these, Some(&limit)) {
        Err(rustix::io::Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

impl Write for Encrypting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A pipe that is ready takes so many bytes without waiting.
        let bytes = bytes.get(..PIPE_BYTES_MIN).unwrap_or(bytes);
        let begun = Instant::now();
        while !self.look(STILL_LONGEST.saturating_sub(begun.elapsed()))? {
            if begun.elapsed() >= STILL_LONGEST {
                return Err(io::Error::other("gpg does not go on"));
            }
        }
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        match input.write(bytes) {
            // Why it ended says more than that it ended.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(match self.end() {
                Err(reason) => reason,
                Ok(()) => io::Error::other("gpg has ended before its input"),
            }),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Encrypting {
    fn drop(&mut self) {
        // One that has ended is none to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(script: &str) -> (Encrypting, File) {
        let output = tempfile::tempfile().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Encrypting::start(command, output.try_clone().unwrap()).unwrap(), output)
    }

    #[test]
    fn one_that_says_more_than_a_pipe_holds_is_heard_and_goes_on() {
        // More than a pipe holds, before the input, while it is read, and behind it.
        let talk = "head -c 200000 /dev/zero >&2";
        let (mut encrypting, output) = started(&format!("{talk}; head -c 100000; {talk}; cat; {talk}"));
        encrypting.write_all(&[7; 300_000]).unwrap();
        encrypting.finish().unwrap();
        assert_eq!(output.metadata().unwrap().len(), 300_000);
    }

    #[test]
    fn the_last_line_that_it_said_is_why_it_failed() {
        let (mut encrypting, _output) =
            started("head -c 200000 /dev/zero >&2; echo >&2; echo no such key >&2; exit 2");
        let failed = encrypting.write_all(&[7; 300_000]).unwrap_err();
        assert_eq!(failed.to_string(), "gpg failed: no such key");
        let (encrypting, _output) = started("cat; echo out of luck >&2; exit 2");
        assert_eq!(encrypting.finish().unwrap_err().to_string(), "gpg failed: out of luck");
        assert!(Encrypting::start(Command::new("/nowhere/gpg"), tempfile::tempfile().unwrap()).is_err());
    }
}
