//! A backup under load, restored elsewhere.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use hermod::log::LogReader;
use hermod::sandbox::RuntimeChoice;

use super::setup::Running;
use super::world::{HERMOD, World, eventually};

/// A key ring of gpg with one key, in a directory of its own. Its agent ends with it.
pub struct KeyRing(pub tempfile::TempDir);

const WHO: &str = "backup@example.org";

impl KeyRing {
    /// `None` when gpg is not here.
    pub fn new() -> Option<Self> {
        // The agent's socket must have a short path.
        let ring = Self(tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap());
        let made = ring.gpg(&[
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            WHO,
            "default",
            "default",
            "never",
        ]);
        made.is_some_and(|output| output.status.success()).then_some(ring)
    }

    /// What gpg says with this ring.
    pub fn gpg(&self, words: &[&str]) -> Option<Output> {
        Command::new("gpg").args(words).env("GNUPGHOME", self.0.path()).stdin(Stdio::null()).output().ok()
    }
}

impl Drop for KeyRing {
    fn drop(&mut self) {
        let _ =
            Command::new("gpgconf").args(["--kill", "gpg-agent"]).env("GNUPGHOME", self.0.path()).status();
    }
}

fn hermod(ring: &KeyRing, words: &[&str], config: &Path) -> (bool, String) {
    let mut command = Command::new(HERMOD);
    command.args(words).arg("--config").arg(config).env("GNUPGHOME", ring.0.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_backup_taken_under_load_makes_a_server_elsewhere_that_exchanges() {
    let Some(ring) = KeyRing::new() else {
        eprintln!("skipped: gpg is not here");
        return;
    };
    let mut world = World::start(RuntimeChoice::Auto, |_| ());
    let config = world.ecosystem.server(0).files().config();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("ss1.backup");
    let (stop, exchanged) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(world.rest("GET", "random?size=10", "", b"").status(), 200);
                exchanged.store(true, Ordering::Relaxed);
            }
        });
        eventually("load", || exchanged.load(Ordering::Relaxed));
        let (done, said) = hermod(&ring, &["backup", file.to_str().unwrap(), "--gpg", WHO], &config);
        stop.store(true, Ordering::Relaxed);
        assert!(done, "{said}");
    });
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"[[client]"), "the backup is readable");
    let (again, said) = hermod(&ring, &["backup", file.to_str().unwrap(), "--gpg", WHO], &config);
    assert!(!again && said.contains("is there already"), "{said}");

    // Whole and back behind the log: refused, running or not. Single parts are not.
    assert_eq!(world.rest("GET", "random?size=10", "", b"").status(), 200);
    let restore = ["restore", file.to_str().unwrap(), "--replace"];
    let (done, said) = hermod(&ring, &restore, &config);
    assert!(!done && said.contains("the server runs"), "{said}");
    world.runtime.block_on(world.ecosystem.server_mut(0).stop()).unwrap();
    let (done, said) = hermod(&ring, &restore, &config);
    assert!(!done && said.contains("go back behind the log"), "{said}");
    let (done, said) = hermod(&ring, &[&restore[..], &["--only", "registry"]].concat(), &config);
    assert!(done, "{said}");

    let new = elsewhere.path().join("server/hermod.toml");
    std::fs::create_dir_all(new.parent().unwrap()).unwrap();
    let (done, said) = hermod(&ring, &["restore", file.to_str().unwrap()], &new);
    assert!(done, "{said}");
    let output = std::fs::File::create(elsewhere.path().join("output.log")).unwrap();
    let child = Command::new(HERMOD)
        .args(["run", "--exit-on-stdin-close", "--config"])
        .arg(&new)
        .stdin(Stdio::piped())
        .stderr(output)
        .spawn();
    let running = Running(child.unwrap());
    let port = world.client_port();
    eventually("the restored server listens", || std::net::TcpStream::connect(port).is_ok());
    eventually("the restored server exchanges", || {
        world.rest("GET", "random?size=10", "", b"").status() == 200
    });
    let (whole, said) = hermod(&ring, &["audit", "verify"], &new);
    assert!(whole, "{said}");
    drop(running);
    let state = new.parent().unwrap().join("state");
    let before = LogReader::open(&world.ecosystem.server(0).files().log()).unwrap().last_id();
    let first = LogReader::open(&state.join("log")).unwrap().iter().next().unwrap().unwrap().summary.id;
    assert!(first > before, "ids are not used twice: {first} follows {before}");
}
