//! With the real `gpg`.

use std::process::{Command, Stdio};

use super::super::encryption::Encryption;
use super::*;
use crate::config::Config;

fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command
        .arg("--homedir")
        .arg(home)
        .args(["--batch", "--no-tty", "--yes", "--quiet"])
        .stderr(Stdio::null());
    command
}

/// A home with a key for each name, the first of which signs; `None` without `gpg`.
fn home(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    if Command::new("gpg").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no gpg");
        return None;
    }
    let home = folder.join("gpghome");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    for name in names {
        let made = gpg(&home)
            .args(["--passphrase", "", "--quick-generate-key", name, "future-default", "default", "never"])
            .status();
        assert!(made.unwrap().success());
    }
    Some(home)
}

/// The agent that `gpg` started goes with the test.
struct Agent(PathBuf);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(&self.0).args(["--kill", "all"]).status();
    }
}

fn encryption(folder: &Path, lines: &str) -> Encryption {
    Encryption::of(&settings(folder, lines)).unwrap().unwrap()
}

fn settings(folder: &Path, lines: &str) -> crate::config::Log {
    let text = format!(
        "root = {folder:?}\n[server]\ninstance = \"LAB\"\nmember_class = \"GOV\"\nmember_code = \"100\"\n\
         server_code = \"ss0\"\n[log]\narchive_encryption = true\n{lines}"
    );
    let file = folder.join("hermod.toml");
    fs::write(&file, text).unwrap();
    Config::load(&file).unwrap().log
}

fn decrypted(home: &Path, bytes: &[u8]) -> Vec<u8> {
    let file = home.join("encrypted");
    fs::write(&file, bytes).unwrap();
    gpg(home).arg("--decrypt").arg(&file).output().unwrap().stdout
}

#[test]
fn encrypted_archives_are_for_the_keys_of_their_member_and_signed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(home) = home(folder.path(), &["server", "first", "second"]) else { return };
    let _agent = Agent(home.clone());
    fs::write(folder.path().join("keys"), "LAB/GOV/100 = first\nLAB/GOV/100 = second\n").unwrap();
    stamped(&folder.path().join("log"), 9);
    let mut archiver = archiver(folder.path(), Grouping::Member, 1 << 20);
    archiver.encryption = Some(encryption(folder.path(), "archive_encryption_keys = \"keys\"\n"));
    assert_eq!(archiver.encryption.as_ref().unwrap().problems(), [""; 0]);
    let outcome = run(&archiver);
    assert_eq!((outcome.records, outcome.files.len()), (9, 2));
    let mut previous = Vec::new();
    for (file, keys) in outcome.files.iter().zip([2, 1]) {
        assert!(file.to_string_lossy().ends_with(".zip.gpg"));
        let mut decrypt = gpg(&home);
        decrypt.args(["--status-fd", "2", "--decrypt"]).arg(file).stderr(Stdio::piped());
        let output = decrypt.output().unwrap();
        let status = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{status}");
        assert!(status.contains("GOODSIG"), "{status}");
        assert_eq!(status.matches("ENC_TO").count(), keys, "{status}");
        let EvidenceFile::Archive(archive) = EvidenceFile::read(&Bytes::from(output.stdout)).unwrap() else {
            panic!("no archive")
        };
        assert!(archive.verify_links().unwrap().is_some());
        previous.push(file.file_name().unwrap().to_string_lossy().into_owned());
    }
    // The next archive of a chain names the encrypted one before it.
    let log = open(&folder.path().join("log"));
    (9..12).for_each(|number| append(&log, number));
    stamp(&log);
    log.close();
    archiver.log = LogReader::open(&folder.path().join("log")).unwrap();
    let outcome = run(&archiver);
    let decrypted = gpg(&home).arg("--decrypt").arg(&outcome.files[0]).output().unwrap();
    let EvidenceFile::Archive(archive) = EvidenceFile::read(&Bytes::from(decrypted.stdout)).unwrap() else {
        panic!("no archive")
    };
    assert_eq!(archive.verify_links().unwrap().unwrap().previous_file, previous[0]);
}

#[test]
fn a_key_that_is_not_there_ends_the_run_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let Some(home) = home(folder.path(), &["server"]) else { return };
    let _agent = Agent(home);
    stamped(&folder.path().join("log"), 3);
    let mut archiver = archiver(folder.path(), Grouping::None, 1 << 20);
    archiver.encryption = Some(encryption(folder.path(), "archive_encryption_key = \"nobody\"\n"));
    assert_eq!(archiver.encryption.as_ref().unwrap().problems().len(), 1);
    let error = archiver.run(NOW, &Stop::default()).unwrap_err().to_string();
    assert!(error.contains("gpg failed: "), "{error}");
    assert_eq!(fs::read_dir(folder.path().join("archive")).unwrap().count(), 0);
    let member = ClientId::new("LAB", "GOV", "100", None).unwrap().member();
    assert!(
        encrypt(&settings(folder.path(), "archive_encryption_key = \"nobody\"\n"), &member, b"x").is_err()
    );
    let encrypted = encrypt(&settings(folder.path(), ""), &member, b"a download").unwrap();
    assert_eq!(decrypted(&folder.path().join("gpghome"), &encrypted), b"a download");
    // Without a key of anybody else it is the server's own.
    archiver.encryption = Some(encryption(folder.path(), ""));
    assert_eq!(run(&archiver).records, 3);
}
