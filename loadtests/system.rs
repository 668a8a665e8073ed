//! What is measured: a sandbox with a lean echo service behind it, or somebody else's consumer port.

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hermod::control::{RegistryDb, parse_declaration};
use hermod::sandbox::plan::{Plan, ServerPlan, ports};
use hermod::sandbox::{Ecosystem, Fault, Options, SandboxError};

use crate::Args;
use crate::backend::{self, Backend};
use crate::client::{Target, tls_connector};
use crate::content::Content;
use crate::message::{Route, content_of};
use crate::scenario;
use crate::scenario::{Action, Kind, Scenario};
use crate::server::LIMIT_FILE;
use crate::streaming::Meters;
use crate::tamper::{Tamper, Tampering};

/// Port of the echo service.
const ECHO: u16 = 9301;
/// Time between two runs of time-stamping.
const TIMESTAMPING_SECS: u32 = 5;

/// Servers with all that they need.
pub struct System {
    ecosystem: Ecosystem,
    tamper: Option<Tamper>,
    killed: Vec<usize>,
    backend: Backend,
    content: Arc<Content>,
    /// From the first server's start to its being ready.
    start_ms: u64,
    /// Restarts and upgrades so far.
    changes: Changes,
}

impl Changes {
    /// Was there one?
    pub fn any(&self) -> bool {
        self.restarts + self.upgrades > 0
    }
}

/// Servers that were restarted and upgraded under load.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Changes {
    /// Stopped in order and started again.
    pub restarts: usize,
    /// Handed over to a new process.
    pub upgrades: usize,
    /// Of both together, those that the scenario has.
    pub wanted: usize,
    /// From the order until the new process answers: longest, in milliseconds.
    pub longest_ms: u64,
    /// Those that did not go as they should.
    pub failures: Vec<String>,
}

impl System {
    /// Starts everything.
    ///
    /// # Errors
    /// The first thing that fails.
    pub async fn start(
        scenario: &Scenario,
        args: &Args,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, String> {
        let settings = &scenario.system;
        let binary = match &args.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().map_err(|e| e.to_string())?,
        };
        let options = Options {
            servers: settings.servers,
            members: settings.members,
            key_type: settings.key_type.into(),
            runtime: settings.runtime.into(),
            directory: args.keep.clone(),
            timestamping_interval_secs: TIMESTAMPING_SECS,
            extra_config: extra_config(settings),
            ..Options::new(binary)
        };
        let mut ecosystem = Ecosystem::prepare(options, say).await.map_err(|e| e.to_string())?;
        let address = ecosystem.plan().service(ECHO);
        let content = content_of(&scenario.load, scenario.seed);
        let delay = Duration::from_millis(settings.service_delay_ms);
        let backend = backend::start(address, delay, Arc::clone(&content))?;
        for index in 0..settings.servers {
            let server = ecosystem.server(index);
            declare(ecosystem.plan(), server.plan(), settings.services, &server.files().root()).await?;
            let limit = server.files().directory().join(LIMIT_FILE);
            std::fs::write(limit, settings.signatures_per_second.to_string()).map_err(|e| e.to_string())?;
        }
        for index in 0..settings.servers {
            if settings.hold_sockets {
                ecosystem.server_mut(index).hold_sockets().map_err(|e| e.to_string())?;
            }
            say(&format!("starting {}", ecosystem.server(index).plan().code));
            ecosystem.server_mut(index).start().map_err(|e| e.to_string())?;
        }
        for index in 0..settings.servers {
            ecosystem.server_mut(index).wait_ready().await.map_err(|e| e.to_string())?;
        }
        let start_ms = start_again(&mut ecosystem).await.map_err(|e| e.to_string())?;
        let tampers =
            |event: &scenario::Event| matches!(event.action, Action::TamperBodies | Action::TamperHashes);
        let tamper = match scenario.events.iter().any(tampers) {
            true => {
                let consumer = SocketAddr::from((ecosystem.plan().consumer().address, 8080));
                Some(Tamper::start(consumer).await.map_err(|e| e.to_string())?)
            }
            false => None,
        };
        let wanted = scenario.events.iter().filter(|event| event.action.is_change()).count();
        let (killed, changes) = (Vec::new(), Changes { wanted, ..Changes::default() });
        Ok(Self { ecosystem, tamper, killed, backend, content, changes, start_ms })
    }

    /// The sandbox.
    pub fn ecosystem(&self) -> &Ecosystem {
        &self.ecosystem
    }

    /// The sandbox, for stopping servers.
    pub fn ecosystem_mut(&mut self) -> &mut Ecosystem {
        &mut self.ecosystem
    }

    /// Where everything lies.
    pub fn directory(&self) -> &Path {
        self.ecosystem.directory()
    }

    /// Where the echo service listens.
    pub fn service(&self) -> SocketAddr {
        self.backend.address()
    }

    /// How fast large bodies came to the echo service and went.
    pub fn service_meters(&self) -> &Meters {
        self.backend.meters()
    }

    /// What bodies are made of.
    pub fn content(&self) -> Arc<Content> {
        Arc::clone(&self.content)
    }

    /// Where messages are sent.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn target(&self, tls: bool) -> Result<Target, String> {
        let consumer = self.ecosystem.plan().consumer().address;
        Ok(match (&self.tamper, tls) {
            (Some(tamper), _) => Target { address: tamper.address(), tls: None },
            (None, true) => {
                Target { address: SocketAddr::from((consumer, 8443)), tls: Some(tls_connector()?) }
            }
            (None, false) => Target { address: SocketAddr::from((consumer, 8080)), tls: None },
        })
    }

    /// Who asks whom: each member of the consumer's server each service of each member of the others.
    pub fn routes(&self, kind: Kind, services: usize) -> Vec<Route> {
        let plan = self.ecosystem.plan();
        let mut routes = Vec::new();
        for client in plan.consumer().members() {
            for provider in plan.providers().iter().flat_map(ServerPlan::members) {
                routes.extend((0..services).map(|service| Route {
                    client: client.subsystem(),
                    service: match kind {
                        Kind::Rest => format!("{}/echo{service}", provider.subsystem()),
                        Kind::Soap => format!("{}/getRandom/v{service}", provider.subsystem()),
                    },
                }));
            }
        }
        routes
    }

    /// Lets something happen.
    pub async fn act(&mut self, action: Action) {
        let stations = self.ecosystem.stations();
        match action {
            Action::OcspFails => stations.ocsp.set_fault(Fault::Unavailable),
            Action::OcspWorks => stations.ocsp.set_fault(Fault::None),
            Action::TsaFails => stations.tsa.set_fault(Fault::Unavailable),
            Action::TsaWorks => stations.tsa.set_fault(Fault::None),
            Action::KillProvider => self.kill(1).await,
            Action::KillConsumer => self.kill(0).await,
            Action::RestartConsumer => self.change(0, false).await,
            Action::RestartProvider => self.change(1, false).await,
            Action::UpgradeConsumer => self.change(0, true).await,
            Action::UpgradeProvider => self.change(1, true).await,
            Action::TamperBodies => self.tamper_with(Tampering::Bodies),
            Action::TamperHashes => self.tamper_with(Tampering::Hashes),
        }
    }

    /// All trust services work again.
    pub fn mend(&self) {
        let stations = self.ecosystem.stations();
        stations.ocsp.set_fault(Fault::None);
        stations.tsa.set_fault(Fault::None);
        self.tamper_with(Tampering::Off);
    }

    /// Was this server killed by the scenario?
    pub fn is_killed(&self, index: usize) -> bool {
        self.killed.contains(&index)
    }

    /// How long the first server took from its start to being ready, in milliseconds, with a global configuration that it had
    /// fetched before.
    pub fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// Restarts and upgrades so far.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn change(&mut self, index: usize, upgrade: bool) {
        let began = std::time::Instant::now();
        let server = self.ecosystem.server_mut(index);
        let result = match upgrade {
            true => match server.upgrade().await {
                Ok(()) => server.wait_ready().await,
                failed => failed,
            },
            false => server.restart().await,
        };
        let changes = &mut self.changes;
        *(if upgrade { &mut changes.upgrades } else { &mut changes.restarts }) += 1;
        changes.longest_ms = changes.longest_ms.max(began.elapsed().as_millis() as u64);
        changes.failures.extend(result.err().map(|error| error.to_string()));
    }

    async fn kill(&mut self, index: usize) {
        self.ecosystem.server_mut(index).kill().await;
        self.killed.push(index);
    }

    fn tamper_with(&self, tampering: Tampering) {
        self.tamper.iter().for_each(|tamper| tamper.set(tampering));
    }
}

/// Stops the first server, which has its configuration by now, and measures how long it takes to be ready again.
async fn start_again(ecosystem: &mut Ecosystem) -> Result<u64, SandboxError> {
    let server = ecosystem.server_mut(0);
    server.stop().await?;
    let began = std::time::Instant::now();
    server.start()?;
    server.wait_ready().await?;
    Ok(began.elapsed().as_millis() as u64)
}

fn extra_config(settings: &scenario::System) -> String {
    let mut out = settings.config.clone();
    if !settings.log_bodies {
        let _ = write!(out, "\n[log]\nbodies = false\n");
    }
    out
}

async fn declare(plan: &Plan, server: &ServerPlan, services: usize, root: &Path) -> Result<(), String> {
    let mut text = format!("[[client]]\nid = \"{}\"\n", server.owner().id());
    let url = plan.service_url(ECHO);
    let consumers = plan.consumer().members();
    let consumers: Vec<String> =
        consumers.iter().map(|member| format!("\"{}\"", member.subsystem())).collect();
    let access = consumers.join(", ");
    for member in server.members() {
        let _ = write!(text, "\n[[client]]\nid = \"{}\"\nconnection = \"NOSSL\"\n", member.subsystem());
        let services = if server == plan.consumer() { 0 } else { services };
        for service in 0..services {
            let _ = write!(
                text,
                "\n[[client.service]]\ncode = \"echo{service}\"\ntype = \"REST\"\nurl = \"{url}/echo\"\n\
                 access = [{access}]\n\
                 \n[[client.service]]\ncode = \"getRandom\"\nversion = \"v{service}\"\ntype = \"WSDL\"\n\
                 url = \"{url}/soap\"\naccess = [{access}]\n"
            );
        }
    }
    let clients = parse_declaration("the declaration", root, &text).map_err(|e| e.to_string())?;
    let mut db = RegistryDb::open(&root.join("registry.sqlite")).await.map_err(|e| e.to_string())?;
    db.apply(clients, false).await.map(|_| ()).map_err(|e| e.to_string())
}

/// The consumer port of `http://HOST:PORT`.
///
/// # Errors
/// When it is no such URL or the host is unknown.
pub fn foreign_target(url: &str) -> Result<(Target, String), String> {
    let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (None, rest),
        (_, Some(rest)) => (Some(tls_connector()?), rest),
        _ => return Err(format!("{url} is no http or https URL")),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let with_port = match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:{}", if tls.is_some() { 443 } else { 80 }),
    };
    let mut addresses = with_port.to_socket_addrs().map_err(|e| format!("{with_port}: {e}"))?;
    let address = addresses.next().ok_or_else(|| format!("{with_port} has no address"))?;
    Ok((Target { address, tls }, host.to_owned()))
}

/// Address of a server's metrics.
pub fn metrics_url(server: &ServerPlan) -> String {
    format!("http://{}:{}/metrics", server.address, ports::ADMIN)
}
