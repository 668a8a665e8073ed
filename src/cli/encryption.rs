//! Encryption of backups by the programs that people keep their keys with: age and gpg. What is secret goes through pipes,
//! never through a file.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// For whom a backup is encrypted.
#[derive(Debug, Clone)]
pub enum Recipient {
    /// `age1…`, or a file of recipients.
    Age(String),
    /// A key of gpg's key ring, or a file with a public key.
    Gpg(String),
}

/// The command that encrypts standard input.
fn encrypting(recipient: &Recipient) -> (&'static str, Vec<OsString>) {
    match recipient {
        Recipient::Age(to) if Path::new(to).is_file() => {
            ("age", vec!["--encrypt".into(), "--recipients-file".into(), to.into()])
        }
        Recipient::Age(to) => ("age", vec!["--encrypt".into(), "--recipient".into(), to.into()]),
        Recipient::Gpg(to) => {
            let option = if Path::new(to).is_file() { "--recipient-file" } else { "--recipient" };
            // Who is meant was said by the operator: that the key ring trusts it is not asked.
            let before = ["--batch", "--quiet", "--trust-model", "always", "--encrypt", option];
            ("gpg", before.into_iter().map(OsString::from).chain([OsString::from(to)]).collect())
        }
    }
}

/// Encrypts. The error names the program, what it said, and how to get it.
pub fn encrypt(recipient: &Recipient, plain: &[u8]) -> Result<Vec<u8>, String> {
    let (program, arguments) = encrypting(recipient);
    through(program, &arguments, plain)
}

/// Decrypts what [`encrypt`] has made, by its first bytes; what is not encrypted is given back. `identity` is a file of age.
pub fn decrypt(bytes: Vec<u8>, identity: Option<&Path>) -> Result<Vec<u8>, String> {
    if bytes.starts_with(b"PK") {
        return Ok(bytes);
    }
    if bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE") {
        let identity = identity.ok_or("the backup is encrypted with age: --identity FILE names the key")?;
        return through("age", &["--decrypt".into(), "--identity".into(), identity.into()], &bytes);
    }
    through("gpg", &["--quiet".into(), "--decrypt".into()], &bytes)
}

fn through(program: &str, arguments: &[OsString], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let package = if program == "gpg" { "gnupg" } else { program };
            format!("the program {program} is not here: install it (package {package})")
        }
        _ => format!("{program}: {error}"),
    })?;
    let pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A program that ends early closes the pipe; why it did is in what it says.
        scope.spawn(|| pipe.map(|mut pipe| pipe.write_all(input)));
        child.wait_with_output()
    });
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
