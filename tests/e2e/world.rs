//! One ecosystem with the services that the captures were made with, and the cases that are run in it.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hermod::sandbox::plan::ports;
use hermod::sandbox::{Ecosystem, KeyType, Options, RuntimeChoice};

use super::backend::Backend;
use super::http::{self, Message};

/// The binary under test.
pub const HERMOD: &str = env!("CARGO_BIN_EXE_hermod");
/// How long a case waits for something that must come.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A running ecosystem and a scripted service behind its provider.
pub struct World {
    /// Runs the ecosystem's own services.
    pub runtime: tokio::runtime::Runtime,
    /// Servers, trust services, example services.
    pub ecosystem: Ecosystem,
    /// The service of the captured cases.
    pub backend: Backend,
}

impl World {
    /// Starts an ecosystem with elliptic-curve keys and gives the provider the services of the captures.
    pub fn start(choice: RuntimeChoice, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(HERMOD.into());
        options.key_type = KeyType::Ec;
        options.runtime = choice;
        options.extra_config =
            "update_interval_secs = 1\n\n[ocsp]\nfetch_interval_secs = 1\nretry_secs = 1\n".into();
        change(&mut options);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let ecosystem = runtime.block_on(Ecosystem::start(options)).expect("an ecosystem");
        for server in ecosystem.servers() {
            let runs_on = server.files().runtime();
            assert!(choice == RuntimeChoice::Auto || runs_on == choice.as_str(), "runs on {runs_on}");
        }
        let backend = Backend::start(ecosystem.plan().services_address);
        let world = Self { runtime, ecosystem, backend };
        let declaration = world.provider_declaration();
        world.apply(1, &declaration);
        world
    }

    /// Where clients send their requests.
    pub fn client_port(&self) -> SocketAddr {
        SocketAddr::from((self.ecosystem.plan().consumer().address, 8080))
    }

    /// Sends a request to the consumer's server.
    pub fn send(&self, request: impl AsRef<[u8]>) -> Message {
        http::send(self.client_port(), request.as_ref())
    }

    /// A REST call as the consumer; `extra` are header lines.
    pub fn rest(&self, method: &str, path: &str, extra: &str, body: &[u8]) -> Message {
        self.send(rest_request(method, path, extra, body))
    }

    /// Kills a server as a power cut would.
    pub fn kill(&mut self, server: usize) {
        let Self { runtime, ecosystem, .. } = self;
        runtime.block_on(ecosystem.server_mut(server).kill());
    }

    /// Starts a server that was killed or stopped.
    pub fn start_again(&mut self, server: usize) {
        let Self { runtime, ecosystem, .. } = self;
        runtime.block_on(async {
            ecosystem.server_mut(server).start().expect("a start");
            ecosystem.server_mut(server).wait_ready().await.expect("a server");
        });
    }

    /// Stops a server gracefully and starts it again.
    pub fn restart(&mut self, server: usize) {
        let Self { runtime, ecosystem, .. } = self;
        runtime.block_on(ecosystem.server_mut(server).restart()).expect("a restart");
    }

    /// Makes the registry of a server hold what `declaration` says, as an operator does, and waits until the server
    /// has taken it over.
    pub fn apply(&self, server: usize, declaration: &str) {
        let server = self.ecosystem.server(server);
        let file = server.files().directory().join("applied.toml");
        std::fs::write(&file, declaration).expect("a file");
        let taken_over = || {
            let output = std::fs::read_to_string(server.files().output()).unwrap_or_default();
            output.matches("the registry has changed").count()
        };
        let before = taken_over();
        let output = hermod(&["registry", "apply"], &[file.as_os_str(), "--config".as_ref()], server);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if !String::from_utf8_lossy(&output.stdout).contains("nothing to change") {
            eventually("the registry is taken over", || taken_over() > before);
        }
    }

    /// The registry of the provider's server: services and rights of the captures.
    pub fn provider_declaration(&self) -> String {
        let (backend, sandbox) = (self.backend.url(), self.ecosystem.plan().service_url(ports::REST));
        let soap = self.ecosystem.plan().service_url(ports::SOAP);
        let dead = format!("http://{}:9", self.ecosystem.plan().services_address);
        let access = "access = [\"SANDBOX/GOV/100/consumer\"]";
        let mut text =
            "[[client]]\nid = \"SANDBOX/GOV/200\"\n\n[[client]]\nid = \"SANDBOX/GOV/200/provider\"\n\
                        connection = \"NOSSL\"\n"
                .to_owned();
        for (code, url, more) in [
            ("echo", format!("{sandbox}/echo"), access.to_owned()),
            ("random", format!("{sandbox}/random"), access.to_owned()),
            ("cap", format!("{backend}/cap"), access.to_owned()),
            ("quick", format!("{backend}/cap"), format!("timeout_secs = 1\n{access}")),
            ("small", format!("{sandbox}/echo"), access.to_owned()),
            ("denied", format!("{backend}/cap"), String::new()),
            ("slash", format!("{backend}/cap/"), access.to_owned()),
            ("disabled", format!("{backend}/cap"), format!("disabled = \"Out of order\"\n{access}")),
            ("down", dead.clone(), access.to_owned()),
            (
                "limited",
                format!("{backend}/limited"),
                format!(
                    "[[client.service.endpoint]]\nmethod = \"GET\"\npath = \"/pets/*\"\n{access}\n\
                     [[client.service.endpoint]]\nmethod = \"DELETE\"\npath = \"/pets/*\""
                ),
            ),
        ] {
            text += &format!(
                "\n[[client.service]]\ncode = \"{code}\"\ntype = \"REST\"\nurl = \"{url}\"\n{more}\n"
            );
        }
        for (code, file) in [("petstore", "openapi.yaml"), ("petjson", "openapi.json")] {
            text += &format!(
                "\n[[client.service]]\ncode = \"{code}\"\ntype = \"OPENAPI3\"\nurl = \"{backend}/{code}\"\n\
                 description = \"{backend}/{file}\"\n{access}\n\
                 [[client.service.endpoint]]\nmethod = \"GET\"\npath = \"/pets/*\"\n"
            );
        }
        for (code, url, more) in [
            ("soapcap", format!("{backend}/soap"), access.to_owned()),
            ("getRandom", format!("{soap}/soap"), access.to_owned()),
            ("soapdenied", format!("{backend}/soap"), String::new()),
            ("soapdisabled", format!("{backend}/soap"), format!("disabled = \"Out of order\"\n{access}")),
            ("soapdown", dead, access.to_owned()),
        ] {
            text += &format!(
                "\n[[client.service]]\ncode = \"{code}\"\nversion = \"v1\"\ntype = \"WSDL\"\nurl = \"{url}\"\n\
                 description = \"{backend}/wsdl\"\n{more}\n"
            );
        }
        text
    }
}

/// The bytes of a REST call as the consumer.
pub fn rest_request(method: &str, path: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut request = format!(
        "{method} /r1/SANDBOX/GOV/200/provider/{path} HTTP/1.1\r\nHost: ss\r\n\
         X-Road-Client: SANDBOX/GOV/100/consumer\r\n{extra}{length}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Runs the binary with a server's configuration as its last argument.
pub fn hermod(
    words: &[&str],
    more: &[&std::ffi::OsStr],
    server: &hermod::sandbox::process::SecurityServer,
) -> Output {
    Command::new(HERMOD).args(words).args(more).arg(server.files().config()).output().expect("the binary")
}

/// Runs `body` on every runtime that the host allows, and says which it does not.
pub fn on_each_runtime(body: impl Fn(RuntimeChoice)) {
    for (choice, wanted) in [
        (RuntimeChoice::Epoll, hermod::worker::RuntimeChoice::Epoll),
        (RuntimeChoice::IoUring, hermod::worker::RuntimeChoice::IoUring),
    ] {
        match hermod::worker::choose(wanted) {
            Ok(_) => body(choice),
            Err(reason) => eprintln!("skipped on {}: {reason}", choice.as_str()),
        }
    }
}

/// A list of cases; the failures of all of them are told together.
#[derive(Default)]
pub struct Cases {
    failures: Vec<String>,
    run: usize,
}

impl Cases {
    /// Runs one case, whatever became of those before it.
    pub fn case(&mut self, name: &str, body: impl FnOnce()) {
        self.run += 1;
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(body)) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked");
            self.failures.push(format!("{name}: {text}"));
        }
    }

    /// Fails if a case failed.
    pub fn finish(self) {
        let Self { failures, run } = self;
        assert!(failures.is_empty(), "{} of {run} cases:\n{}", failures.len(), failures.join("\n"));
    }
}

/// Tries until `done` says so; panics at the deadline.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "{what}: not within {} s", DEADLINE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
