//! All of the sandbox together: services as tasks of this process, security servers as its children.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::addresses::{self, Claim};
use super::authority::{self, Authority};
use super::error::SandboxError;
use super::files::ServerFiles;
use super::management::{self, Management, Registrations, registration_listener};
use super::ocsp::{self, Responder};
use super::options::{KeyType, Options};
use super::parameters;
use super::pki::Pki;
use super::plan::{Plan, ports};
use super::process::SecurityServer;
use super::source::{self, Parts, Source};
use super::station::Stations;
use super::{rest_service, soap_service, tsa};
use crate::time::{SharedClock, SystemClock};

/// What a kept directory remembers beside keys and logs.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    servers: usize,
    // Absent where there is but the owner of each.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    members: usize,
    key_type: KeyType,
    block: (u8, u8),
}

/// Format of [`Kept`].
const KEPT_FORMAT: u32 = 1;
const KEPT_FILE: &str = "sandbox.json";

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(members: &usize) -> bool {
    *members == 1
}

/// A running sandbox. Dropping it kills the security servers, stops the services and removes a temporary directory;
/// [`Ecosystem::stop`] ends the servers gracefully first.
pub struct Ecosystem {
    plan: Plan,
    pki: Arc<Pki>,
    stations: Arc<Stations>,
    responder: Arc<Responder>,
    authority: Arc<Authority>,
    source: Arc<Source>,
    management: Arc<Management>,
    binary: PathBuf,
    // In order of their end: servers, services, directory.
    servers: Vec<SecurityServer>,
    _services: JoinSet<()>,
    directory: Directory,
}

enum Directory {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl Ecosystem {
    /// Starts everything and waits until every security server is ready.
    ///
    /// # Errors
    /// The first thing that fails.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        Self::start_with(options, &|_| ()).await
    }

    /// As [`Self::start`], telling `progress` what is being done, in a few words.
    ///
    /// # Errors
    /// The first thing that fails.
    pub async fn start_with(
        options: Options,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, SandboxError> {
        let mut ecosystem = Self::prepare(options, progress).await?;
        for server in &mut ecosystem.servers {
            progress(&format!("starting security server {}", server.plan().code));
            server.start()?;
        }
        for server in &mut ecosystem.servers {
            progress(&format!("waiting for {} on {}", server.plan().code, server.consumer_url()));
            server.wait_ready().await?;
        }
        Ok(ecosystem)
    }

    /// Everything but the processes of the security servers: their directories are ready to be started from.
    ///
    /// # Errors
    /// The first thing that fails.
    pub async fn prepare(options: Options, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, SandboxError> {
        let directory = open_directory(options.directory.as_deref())?;
        let kept = read_kept(directory.path(), &options)?;
        progress("choosing loopback addresses");
        let claim = addresses::claim(directory.path(), kept, options.servers)?;
        let plan = Plan::of(&options.instance, options.servers, claim.block).with_members(options.members);
        write_kept(directory.path(), &options, claim.block)?;

        progress("making keys and certificates");
        let clock: SharedClock = Arc::new(SystemClock);
        let pki = open_pki(directory.path().join("pki"), &plan, &options, &clock).await?;
        let registrations = Registrations::of(&plan, &pki, options.management);
        let parts = Parts {
            shared: parameters::shared_of(&plan, &pki, &registrations),
            private: parameters::private(&plan, &pki, options.timestamping_interval_secs),
        };
        let stations = Arc::new(Stations::default());
        let responder = Arc::new(Responder::new(Arc::clone(&pki))?);
        let authority = Authority::new(Arc::clone(&pki), options.key_type, Arc::clone(&responder));
        let authority = Arc::new(authority);
        let source = Arc::new(Source::new(&options.instance, Arc::clone(&pki), parts));
        let management = Management::new(plan.clone(), Arc::clone(&pki), Arc::clone(&source), registrations);
        let management = Arc::new(management);

        progress(
            "starting OCSP responder, time-stamping authority, configuration source and example services",
        );
        let services = Services { plan: &plan, pki: &pki, stations: &stations, clock: &clock };
        let services = services.start(claim, &responder, &authority, &source, &management)?;

        progress("writing the directories of the security servers");
        let mut servers = Vec::with_capacity(plan.servers.len());
        for (server, identities) in plan.servers.iter().zip(&pki.servers) {
            let anchor = parameters::anchor(&plan, &pki, clock.now());
            let target = directory.path().join(&server.code);
            let files = ServerFiles::write(target, &plan, server, identities, &anchor, &options).await?;
            servers.push(SecurityServer::new(server.clone(), files, options.binary.clone()));
        }
        let binary = options.binary;
        Ok(Self {
            plan,
            pki,
            stations,
            responder,
            authority,
            source,
            management,
            binary,
            servers,
            _services: services,
            directory,
        })
    }

    /// Who there is and where each one listens.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keys and certificates.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// Counters and switches of the services.
    pub fn stations(&self) -> &Stations {
        &self.stations
    }

    /// The OCSP responder, for revoking.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    /// The certificate authority, for further certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The configuration source, for publishing other parameters.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is registered, and the services that change it.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// The binary that the security servers are.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The directory of everything.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Security servers; the first is the consumer's.
    pub fn servers(&self) -> &[SecurityServer] {
        &self.servers
    }

    /// The security server at `index`, 0 being the consumer's.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn server(&self, index: usize) -> &SecurityServer {
        &self.servers[index]
    }

    /// As [`Self::server`], for stopping, killing and starting it.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn server_mut(&mut self, index: usize) -> &mut SecurityServer {
        &mut self.servers[index]
    }

    /// Stops the security servers gracefully; the services stay.
    ///
    /// # Errors
    /// The first server that had to be killed or failed; the others are stopped all the same.
    pub async fn stop_servers(&mut self) -> Result<(), SandboxError> {
        let mut result = Ok(());
        for server in &mut self.servers {
            let stopped = server.stop().await;
            result = result.and(stopped);
        }
        result
    }

    /// Stops everything gracefully.
    ///
    /// # Errors
    /// As [`Self::stop_servers`].
    pub async fn stop(mut self) -> Result<(), SandboxError> {
        self.stop_servers().await
    }
}

async fn open_pki(
    directory: PathBuf,
    plan: &Plan,
    options: &Options,
    clock: &SharedClock,
) -> Result<Arc<Pki>, SandboxError> {
    let (plan, kind, now) = (plan.clone(), options.key_type, clock.now());
    // Seconds of prime hunting: not on a thread that serves.
    let pki = tokio::task::spawn_blocking(move || Pki::open(&directory, &plan, kind, now)).await;
    pki.map_err(|e| SandboxError::Pki { what: "keys".to_owned(), reason: e.to_string() })?.map(Arc::new)
}

struct Services<'a> {
    plan: &'a Plan,
    pki: &'a Arc<Pki>,
    stations: &'a Arc<Stations>,
    clock: &'a SharedClock,
}

impl Services<'_> {
    fn start(
        &self,
        claim: Claim,
        responder: &Arc<Responder>,
        authority: &Arc<Authority>,
        source: &Arc<Source>,
        management: &Arc<Management>,
    ) -> Result<JoinSet<()>, SandboxError> {
        let stations = || Arc::clone(self.stations);
        let clock = || Arc::clone(self.clock);
        let mut tasks = JoinSet::new();
        for (listener, port) in claim.listeners.into_iter().zip(ports::SERVICES) {
            let router = match port {
                ports::OCSP => ocsp::router(Arc::clone(responder), stations(), clock()),
                ports::TSA => tsa::router(Arc::clone(self.pki), stations(), clock()),
                ports::CA => authority::router(Arc::clone(authority), clock()),
                ports::SOURCE => source::router(Arc::clone(source), stations(), clock()),
                ports::REST => rest_service::router(stations()),
                ports::MANAGEMENT | ports::REGISTRATION => {
                    management::router(Arc::clone(management), clock(), port == ports::REGISTRATION)
                }
                _ => soap_service::router(stations(), format!("{}/soap", self.plan.service_url(port))),
            };
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|e| SandboxError::Addresses(format!("port {port}: {e}")))?;
            if port == ports::REGISTRATION {
                let listener = registration_listener(listener, &self.pki.source)?;
                tasks.spawn(async move {
                    let _ = axum::serve(listener, router).await;
                });
                continue;
            }
            tasks.spawn(async move {
                // It ends with its task only.
                let _ = axum::serve(listener, router).await;
            });
        }
        Ok(tasks)
    }
}

fn open_directory(kept: Option<&Path>) -> Result<Directory, SandboxError> {
    let Some(path) = kept else {
        let directory = tempfile::Builder::new().prefix("hermod-sandbox-").tempdir();
        return directory
            .map(Directory::Temporary)
            .map_err(|source| SandboxError::NoDirectory { path: std::env::temp_dir(), source });
    };
    std::fs::create_dir_all(path).map_err(SandboxError::file("create", path))?;
    // The servers get this path in their configuration, whatever their working directory.
    path.canonicalize().map(Directory::Kept).map_err(SandboxError::file("read", path))
}

fn read_kept(directory: &Path, options: &Options) -> Result<Option<(u8, u8)>, SandboxError> {
    let path = directory.join(KEPT_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(SandboxError::file("read", &path)(e)),
    };
    let unfit = |reason: String| SandboxError::Kept { path: path.clone(), reason };
    let kept: Kept = serde_json::from_str(&text).map_err(|e| unfit(e.to_string()))?;
    if kept.format != KEPT_FORMAT {
        return Err(unfit(format!("its format is {}, this version knows {KEPT_FORMAT}", kept.format)));
    }
    if (kept.servers, kept.key_type) != (options.servers, options.key_type) {
        return Err(unfit(format!(
            "it was made with `--servers {} --key-type {}`: start it so, or keep this sandbox in another directory",
            kept.servers,
            kept.key_type.as_str()
        )));
    }
    if kept.members != options.members {
        return Err(unfit(format!(
            "it was made with {} members on each server, not {}: start it so, or keep this one in another directory",
            kept.members, options.members
        )));
    }
    Ok(Some(kept.block))
}

fn write_kept(directory: &Path, options: &Options, block: (u8, u8)) -> Result<(), SandboxError> {
    let path = directory.join(KEPT_FILE);
    let (servers, members, key_type) = (options.servers, options.members, options.key_type);
    let kept = Kept { format: KEPT_FORMAT, servers, members, key_type, block };
    let text = serde_json::to_string_pretty(&kept)
        .map_err(|e| SandboxError::Kept { path: path.clone(), reason: e.to_string() })?;
    std::fs::write(&path, text + "\n").map_err(SandboxError::file("write", path))
}
