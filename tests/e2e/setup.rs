//! A server made with `hermod setup` alone, in an instance that does not know it yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hermod::sandbox::RuntimeChoice;
use hermod::time::{Clock as _, SystemClock};

use super::http;
use super::world::{HERMOD, World, eventually};

const CLIENT: &str = "SANDBOX/GOV/100/consumer";

struct Newcomer {
    folder: tempfile::TempDir,
    address: Ipv4Addr,
}

impl Newcomer {
    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let config = self.folder.path().join("etc/hermod.toml");
        let output = Command::new(HERMOD)
            .args(words)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    fn setup(&self, more: &[&str]) -> (Option<i32>, String) {
        let mut words = vec!["setup"];
        words.extend_from_slice(more);
        self.run(&words)
    }

    fn requests(&self) -> PathBuf {
        self.folder.path().join("etc/requests")
    }

    fn keys(&self) -> Vec<(String, Vec<u8>)> {
        let mut keys: Vec<_> = std::fs::read_dir(self.folder.path().join("state/tokens"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "p12"))
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        keys.sort();
        keys
    }
}

/// A server that stops when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn start(newcomer: &Newcomer) -> Running {
    let output = std::fs::File::create(newcomer.folder.path().join("output.log")).unwrap();
    let child = Command::new(HERMOD)
        .args(["run", "--exit-on-stdin-close", "--config"])
        .arg(newcomer.folder.path().join("etc/hermod.toml"))
        .stdin(Stdio::piped())
        .stderr(output)
        .spawn();
    Running(child.unwrap())
}

fn anchor(world: &World) -> PathBuf {
    world.ecosystem.server(0).files().anchor()
}

fn issue(world: &World, requests: &Path) {
    let files: Vec<PathBuf> =
        std::fs::read_dir(requests).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let request = std::fs::read(&file).unwrap();
        let certificate = world.ecosystem.authority().sign(&request, SystemClock.now()).unwrap();
        std::fs::write(file.with_extension("der"), certificate.der()).unwrap();
    }
}

#[test]
fn a_server_that_was_set_up_from_nothing_is_registered_and_exchanges_its_first_message() {
    let world = World::start(RuntimeChoice::Auto, |options| options.management = true);
    let [a, b, c, _] = world.ecosystem.plan().services_address.octets();
    let newcomer = Newcomer { folder: tempfile::tempdir().unwrap(), address: Ipv4Addr::new(a, b, c, 77) };
    let (root, anchor) = (newcomer.folder.path().join("state"), anchor(&world));
    let (root, anchor, address) =
        (root.to_str().unwrap(), anchor.to_str().unwrap(), newcomer.address.to_string());
    let admin = format!("{address}:9600");
    let first = [
        "--anchor",
        anchor,
        "--server",
        "GOV/100/ss77",
        "--root",
        root,
        "--bind",
        &address,
        "--admin",
        &admin,
        "--address",
        &address,
        "--client",
        CLIENT,
        "--key",
        "ec",
    ];

    let (code, said) = newcomer.setup(&first[..2]);
    assert_eq!((code, said.contains("--server is missing")), (Some(1), true), "{said}");
    let (code, said) = newcomer.setup(&[&first[..], &["--anchor-hash", "AB:CD"]].concat());
    assert_eq!((code, said.contains("not the anchor")), (Some(1), true), "{said}");

    let (code, said) = newcomer.setup(&first);
    assert_eq!(code, Some(2), "{said}");
    for part in ["SHA-224", "profile fivrk", "serialNumber=SANDBOX/ss77/GOV", "signed by the certification"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let keys = newcomer.keys();
    assert_eq!(keys.len(), 2);

    issue(&world, &newcomer.requests());
    let (_, said) = newcomer.setup(&["--address", &address]);
    assert!(said.contains("taken in") && said.contains("register-certificate"), "{said}");
    // Again: nothing is made or taken twice.
    let (_, again) = newcomer.setup(&["--address", &address]);
    assert!(again.contains("is there") && !again.contains("taken in") && !again.contains("made,"), "{again}");
    assert_eq!(newcomer.keys(), keys);

    // The last table of what setup writes is that of the global configuration.
    let config = newcomer.folder.path().join("etc/hermod.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "update_interval_secs = 1\n[ocsp]\nretry_secs = 1\n").unwrap();
    let _server = start(&newcomer);
    eventually("the certificate is registered", || {
        newcomer.run(&["manage", "register-certificate", &address]).0 == Some(0)
    });
    eventually("the client is registered", || {
        newcomer.run(&["manage", "register-client", CLIENT]).0 == Some(0)
    });
    let port = SocketAddr::from((newcomer.address, 8080));
    eventually("the first message passes", || {
        let config = newcomer.folder.path().join("etc");
        let text = std::fs::read_to_string(config.join("registry.toml")).unwrap();
        std::fs::write(config.join("registry.toml"), text.replace("SSLNOAUTH", "NOSSL")).unwrap();
        let file = config.join("registry.toml");
        assert_eq!(newcomer.run(&["registry", "apply", file.to_str().unwrap()]).0, Some(0));
        let request = super::world::rest_request("GET", "random?size=10", "", b"");
        http::send(port, &request).status() == 200
    });
    let (code, said) = newcomer.run(&["audit", "verify"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, acts) = newcomer.run(&["audit", "show"]);
    for act in ["\"setup\"", "\"server.start\"", "\"manage\"", "\"registry.apply\""] {
        assert!(acts.contains(act), "{act}: {acts}");
    }
}
