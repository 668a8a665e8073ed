//! Encryption of archives as official servers do it: through the operator's `gpg`, signed by the default key of its home,
//! for the keys of the member whose records these are (`signature.md` 7.4).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::{Grouping, Log};
use crate::limits::ARCHIVE_GPG_SECS_MAX;
use crate::message::MemberId;

const GPG: &str = "gpg";
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What `gpg` says is told up to this many bytes.
const TOLD_BYTES_MAX: u64 = 4096;

/// For whom archives are encrypted.
#[derive(Debug, Clone)]
pub(super) struct Encryption {
    home: PathBuf,
    default_key: Option<String>,
    /// By member identifier.
    member_keys: HashMap<String, Vec<String>>,
}

impl Encryption {
    /// What the configuration says; `None` without encryption.
    ///
    /// # Errors
    /// When the file that maps members to keys cannot be read.
    pub fn of(settings: &Log) -> io::Result<Option<Self>> {
        if !settings.archive_encryption {
            return Ok(None);
        }
        let member_keys = match &settings.archive_encryption_keys {
            Some(file) => read_mapping(file)?,
            None => HashMap::new(),
        };
        let (home, default_key) =
            (settings.archive_gpg_home.clone(), settings.archive_encryption_key.clone());
        Ok(Some(Self { home, default_key, member_keys }))
    }

    /// The keys that archives of this member are encrypted for; none: the home's own. Archives that all share are for the
    /// default key.
    pub fn recipients(&self, member: Option<&MemberId>) -> Vec<String> {
        let own = member.and_then(|member| self.member_keys.get(&member.to_string()));
        own.cloned().unwrap_or_else(|| self.default_key.iter().cloned().collect())
    }

    /// Every key that is named.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.member_keys.values().flatten().cloned().collect();
        keys.extend(self.default_key.clone());
        keys.sort();
        keys.dedup();
        keys
    }

    /// Begins to encrypt into a file.
    pub fn start(&self, recipients: &[String], output: File) -> io::Result<Encrypting> {
        let mut command = self.gpg();
        // The output is this file and no name: a process that outlives its archiver must not write into the next one's.
        command.args(["--encrypt", "--sign", "--no-auto-key-locate", "--trust-model", "always"]).args([
            "--compress-algo",
            "none",
            "--cipher-algo",
            "AES-256",
            "--digest-algo",
            "SHA256",
        ]);
        if recipients.is_empty() {
            command.arg("--default-recipient-self");
        }
        for key in recipients {
            command.args(["--recipient", key]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("gpg cannot be started: {error}")))?;
        let input = child.stdin.take();
        Ok(Encrypting { child, input })
    }

    /// What of the keys is not as it should be, each a line.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut look = |arguments: &[&str], problem: String| {
            let mut command = self.gpg();
            match command.args(arguments).stdin(Stdio::null()).output() {
                Ok(output) if output.status.success() && !output.stdout.is_empty() => {}
                Ok(_) => problems.push(problem),
                Err(error) => problems.push(format!("gpg cannot be started: {error}")),
            }
        };
        let home = self.home.display();
        look(&["--list-secret-keys"], format!("{home} has no key of its own, which signs archives"));
        for key in self.keys() {
            look(
                &["--list-keys", &key],
                format!("{home} has no key {key}, which archives are encrypted for"),
            );
        }
        problems
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new(GPG);
        command.arg("--homedir").arg(&self.home).args(["--batch", "--no-tty", "--yes"]);
        command
    }
}

/// Encrypts what a member downloads as its archives are.
///
/// # Errors
/// When `gpg` does not do it, or the configuration wants no encryption.
pub fn encrypt(settings: &Log, member: &MemberId, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let encryption = Encryption::of(settings)?.ok_or(io::ErrorKind::Unsupported)?;
    let member = Some(member).filter(|_| settings.archive_grouping != Grouping::None);
    let mut output = tempfile::tempfile()?;
    let mut encrypting = encryption.start(&encryption.recipients(member), output.try_clone()?)?;
    encrypting.write_all(bytes)?;
    encrypting.finish()?;
    output.seek(SeekFrom::Start(0))?;
    let mut encrypted = Vec::new();
    output.read_to_end(&mut encrypted)?;
    Ok(encrypted)
}

/// `PIPE_BUF` of Linux.
const PIPE_BYTES_MIN: usize = 4096;

/// An encryption under way: takes the bytes of an archive.
#[derive(Debug)]
pub(super) struct Encrypting {
    child: Child,
    input: Option<ChildStdin>,
}

impl Encrypting {
    /// Ends the input and waits for the end of the output.
    pub fn finish(mut self) -> io::Result<()> {
        drop(self.input.take());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { Err(self.failure()) };
            }
            if begun.elapsed() > Duration::from_secs(ARCHIVE_GPG_SECS_MAX) {
                return Err(io::Error::other("gpg does not come to an end"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn failure(&mut self) -> io::Error {
        let mut told = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.take(TOLD_BYTES_MAX).read_to_string(&mut told);
        }
        let told = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        io::Error::other(format!("gpg failed: {told}"))
    }
}

impl Write for Encrypting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        // A pipe that is ready takes so many bytes without waiting.
        let bytes = bytes.get(..PIPE_BYTES_MIN).unwrap_or(bytes);
        let limit = Timespec { tv_sec: ARCHIVE_GPG_SECS_MAX.cast_signed(), tv_nsec: 0 };
        if poll(&mut [PollFd::new(input, PollFlags::OUT)], Some(&limit))? == 0 {
            return Err(io::Error::other("gpg does not go on"));
        }
        match input.write(bytes) {
            // Why it ended says more than that it ended.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let _ = self.child.wait();
                Err(self.failure())
            }
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

/// `INSTANCE/CLASS/CODE = key`, one a line, several lines a member; `#` begins a comment, `\=` and `\#` are characters.
fn read_mapping(file: &Path) -> io::Result<HashMap<String, Vec<String>>> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    let mut keys = HashMap::<String, Vec<String>>::new();
    for (number, line) in (1..).zip(text.lines()) {
        match mapping(line) {
            Ok(Some((member, key))) => keys.entry(member).or_default().push(key),
            Ok(None) => {}
            Err(()) => {
                tracing::warn!(file = %file.display(), line = number, "neither member nor key; passed over")
            }
        }
    }
    Ok(keys)
}

fn mapping(line: &str) -> Result<Option<(String, String)>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (mut member, mut rest) = (String::new(), line.chars());
    loop {
        match rest.next().ok_or(())? {
            '=' => break,
            '\\' => member.push(rest.next().filter(|c| ['=', '#', '\\'].contains(c)).ok_or(())?),
            c => member.push(c),
        }
    }
    let (member, key) = (member.trim(), rest.as_str().trim());
    if member.is_empty() || key.is_empty() { Err(()) } else { Ok(Some((member.to_owned(), key.to_owned()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_members_are_read_as_official_servers_read_them() {
        let text = "# keys\n\nLAB/GOV/100 = AAAA\nLAB/GOV/100=BBBB\n LAB/GOV/a\\=b\\# = CCCC \nnonsense\nLAB/GOV/300 =\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let keys = read_mapping(file.path()).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys["LAB/GOV/100"], ["AAAA", "BBBB"]);
        assert_eq!(keys["LAB/GOV/a=b#"], ["CCCC"]);
    }

    #[test]
    fn archives_of_a_member_are_for_its_keys_and_others_for_the_default_key() {
        let member = |code: &str| MemberId::new("LAB", "GOV", code).unwrap();
        let encryption = Encryption {
            home: PathBuf::new(),
            default_key: Some("default".into()),
            member_keys: HashMap::from([("LAB/GOV/100".into(), vec!["a".into(), "b".into()])]),
        };
        assert_eq!(encryption.recipients(Some(&member("100"))), ["a", "b"]);
        assert_eq!(encryption.recipients(Some(&member("200"))), ["default"]);
        assert_eq!(encryption.recipients(None), ["default"]);
        assert_eq!(encryption.keys(), ["a", "b", "default"]);
    }
}
