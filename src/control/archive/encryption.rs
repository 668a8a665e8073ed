//! Encryption of archives as official servers do it: through the operator's `gpg`, signed by the default key of its home,
//! for the keys of the member whose records these are (`signature.md` 7.4).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::gpg::Encrypting;
use crate::config::{Grouping, Log};
use crate::message::MemberId;

const GPG: &str = "gpg";

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
        Encrypting::start(command, output)
    }

    /// What of the keys is not as it should be, each a line.
    pub fn problems(&self) -> Vec<String> {
        let home = self.home.display();
        let own = (
            vec!["--list-secret-keys".to_owned()],
            format!("{home} has no key of its own, which signs archives"),
        );
        let others = self.keys().into_iter().map(|key| {
            let problem = format!("{home} has no key {key}, which archives are encrypted for");
            (vec!["--list-keys".to_owned(), key], problem)
        });
        let mut problems = Vec::new();
        for (arguments, problem) in std::iter::once(own).chain(others) {
            match self.lists(&arguments) {
                Ok(true) => {}
                Ok(false) => problems.push(problem),
                // What hinders it hinders it for the others, too.
                Err(error) => {
                    problems.push(format!("keys in {home} cannot be looked at: {error}"));
                    break;
                }
            }
        }
        problems
    }

    // Within the time that an archive's end may take: a keyring may be locked, or on a disk that does not answer.
    fn lists(&self, arguments: &[String]) -> io::Result<bool> {
        let (mut command, output) = (self.gpg(), tempfile::tempfile()?);
        command.args(arguments);
        let known = Encrypting::start(command, output.try_clone()?)?.succeeds()?;
        Ok(known && output.metadata()?.len() > 0)
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
