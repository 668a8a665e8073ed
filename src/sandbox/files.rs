//! The directory of one security server: configuration, token, registry, state.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::SandboxError;
use super::keys::{Identity, pki_error};
use super::management;
use super::options::Options;
use super::parameters::management_provider;
use super::pki::{ServerIdentities, write_private};
use super::plan::{MEMBER_CLASS, MemberPlan, Plan, ServerPlan, ports};
use crate::message::MemberId;
use crate::signer::{CertificateStatus, KeyPurpose, SoftwareToken, Token as _, TokenError};
use crate::{control, crypto};

/// PIN of every token: who reads the directory reads the keys beside it anyway.
const PIN: &str = "Sandbox1234";

/// Paths of one security server.
#[derive(Debug, Clone)]
pub struct ServerFiles {
    directory: PathBuf,
    certificate_hashes: Vec<String>,
}

impl ServerFiles {
    /// Writes what a server needs to start from into `directory`; what it already has of a token and state stays.
    ///
    /// # Errors
    /// Files that cannot be written; a registry that does not take its own declaration.
    pub(super) async fn write(
        directory: PathBuf,
        plan: &Plan,
        server: &ServerPlan,
        identities: &ServerIdentities,
        anchor: &str,
        options: &Options,
    ) -> Result<Self, SandboxError> {
        let hashes = [&identities.authentication, &identities.signing]
            .map(|identity| crypto::to_hex(identity.certificate().sha1()));
        let files = Self { directory, certificate_hashes: hashes.to_vec() };
        fs::create_dir_all(files.root()).map_err(SandboxError::file("create", files.root()))?;
        write(&files.anchor(), anchor)?;
        write(&files.config(), &files.config_text(server, options))?;
        write(&files.registry(), &registry_text(plan, server, options.management))?;
        apply_registry(&files).await?;
        write_private(&files.pin(), PIN.as_bytes())?;
        let member = |member: &MemberPlan| {
            MemberId::new(&member.instance, MEMBER_CLASS, &member.member_code)
                .map_err(|e| SandboxError::Kept { path: files.tokens(), reason: e.to_string() })
        };
        let members = server.members().iter().map(member).collect::<Result<Vec<_>, _>>()?;
        write_token(&files.tokens(), identities, &members)
            .map_err(|e| SandboxError::Kept { path: files.tokens(), reason: e.to_string() })?;
        write_internal_tls(&files.internal_tls(), &identities.internal_tls)?;
        Ok(files)
    }

    /// The server's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `hermod.toml`.
    pub fn config(&self) -> PathBuf {
        self.directory.join("hermod.toml")
    }

    /// The declaration of clients, services and access rights.
    pub fn registry(&self) -> PathBuf {
        self.directory.join("registry.toml")
    }

    /// What the process prints.
    pub fn output(&self) -> PathBuf {
        self.directory.join("output.log")
    }

    /// The root of all state.
    pub fn root(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The message log.
    pub fn log(&self) -> PathBuf {
        self.root().join("log")
    }

    /// What the workers run on, as the server said at its last start: `io_uring`, `epoll`, or `unknown`.
    pub fn runtime(&self) -> String {
        let output = fs::read_to_string(self.output()).unwrap_or_default();
        let chosen = output.lines().rev().filter(|line| line.contains("runtime")).find_map(|line| {
            let positions = ["io_uring", "epoll"].map(|name| line.find(name).map(|at| (at, name)));
            // The line may go on to say why the other one was not taken.
            positions.into_iter().flatten().min()
        });
        chosen.map_or("unknown", |(_, name)| name).to_owned()
    }

    /// SHA-1 of the authentication and the owner's signing certificate, lower-case hex: what port 5577 is asked for.
    pub fn certificate_hashes(&self) -> &[String] {
        &self.certificate_hashes
    }

    /// The configuration anchor.
    pub fn anchor(&self) -> PathBuf {
        self.directory.join("configuration-anchor.xml")
    }

    fn pin(&self) -> PathBuf {
        self.directory.join("pin")
    }

    fn tokens(&self) -> PathBuf {
        self.root().join("tokens")
    }

    fn internal_tls(&self) -> PathBuf {
        self.root().join("tls/internal.p12")
    }

    fn config_text(&self, server: &ServerPlan, options: &Options) -> String {
        let address = server.address;
        // The global configuration's interval is not followed below a minute; a sandbox has no minute to wait.
        let timestamp = match options.extra_config.contains("[timestamp]") {
            true => String::new(),
            false => format!("[timestamp]\ninterval_secs = {}\n\n", options.timestamping_interval_secs),
        };
        let mut extra = options.extra_config.clone();
        let worker = own_table(&mut extra, "worker", &format!("runtime = \"{}\"", options.runtime.as_str()));
        let signer = own_table(&mut extra, "signer", "pin_file = \"../pin\"");
        format!(
            r#"# Security server {code} of a sandbox.
root = "state"

[server]
instance = "{instance}"
member_class = "{MEMBER_CLASS}"
member_code = "{member_code}"
server_code = "{code}"

[listen]
consumer_http = "{address}:8080"
consumer_https = "{address}:8443"
server = "{address}:5500"
ocsp = "{address}:5577"

[admin]
listen = "{address}:{admin}"

[health]
listen = "{address}:{health}"

{worker}{signer}{timestamp}[globalconf]
anchor = "../configuration-anchor.xml"
{extra}"#,
            code = server.code,
            instance = server.instance,
            admin = ports::ADMIN,
            health = ports::HEALTH,
            member_code = server.member_code,
        )
    }
}

/// A table of the sandbox's own. Where the further configuration has one of this name, the line goes into that.
fn own_table(extra: &mut String, name: &str, line: &str) -> String {
    let own = format!("[{name}]\n{line}\n");
    let header = format!("[{name}]\n");
    if extra.starts_with(&header) || extra.contains(&format!("\n{header}")) {
        *extra = extra.replacen(&header, &own, 1);
        return String::new();
    }
    own + "\n"
}

/// Fills the token; one that has keys already is left as it is.
fn write_token(
    directory: &Path,
    identities: &ServerIdentities,
    members: &[MemberId],
) -> Result<(), TokenError> {
    let token = SoftwareToken::open(directory, PIN)?;
    if !token.keys()?.is_empty() {
        return Ok(());
    }
    let authentication = (KeyPurpose::Authentication, &identities.authentication, None);
    let signing = std::iter::once(&identities.signing).chain(&identities.guests).zip(members);
    let signing = signing.map(|(identity, member)| (KeyPurpose::Signing, identity, Some(member)));
    for (purpose, identity, member) in std::iter::once(authentication).chain(signing) {
        let id = token.import_key(purpose, identity.key())?;
        token.put_certificate(&id, identity.certificate(), member, CertificateStatus::Registered, true)?;
    }
    Ok(())
}

fn write_internal_tls(path: &Path, identity: &Identity) -> Result<(), SandboxError> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKeyChain};
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(SandboxError::file("create", folder))?;
    }
    let certificate = Certificate::from_der(identity.certificate().der());
    let certificate = certificate.map_err(|e| pki_error("the internal TLS certificate", e))?;
    let chain = PrivateKeyChain::new(identity.key().pkcs8_der(), b"internal", [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("internal", KeyStoreEntry::PrivateKeyChain(chain));
    let bytes = store.writer("internal").write().map_err(|e| pki_error("the internal TLS key store", e))?;
    write_private(path, &bytes)
}

fn registry_text(plan: &Plan, server: &ServerPlan, with_management: bool) -> String {
    let mut out = format!("[[client]]\nid = \"{}\"\n", server.owner().id());
    for member in server.members() {
        let _ = write!(out, "\n[[client]]\nid = \"{}\"\nconnection = \"NOSSL\"\n", member.subsystem());
        if server != plan.consumer() {
            out += &services_text(plan);
        }
    }
    if server == plan.consumer() && with_management {
        out += &management_text(plan);
    }
    out
}

/// The example services of a provider, for every consumer.
fn services_text(plan: &Plan) -> String {
    let mut out = String::new();
    let (rest, soap) = (plan.service_url(ports::REST), plan.service_url(ports::SOAP));
    let consumers: Vec<String> =
        plan.consumer().members().iter().map(|member| format!("\"{}\"", member.subsystem())).collect();
    let consumers = consumers.join(", ");
    for (code, rest_of_it) in [
        (
            "pets",
            format!("type = \"OPENAPI3\"\nurl = \"{rest}/pets\"\ndescription = \"{rest}/openapi.yaml\""),
        ),
        ("echo", format!("type = \"REST\"\nurl = \"{rest}/echo\"")),
        ("random", format!("type = \"REST\"\nurl = \"{rest}/random\"")),
        ("getRandom", format!("version = \"v1\"\ntype = \"WSDL\"\nurl = \"{soap}/soap\"")),
    ] {
        let _ =
            write!(out, "\n[[client.service]]\ncode = \"{code}\"\n{rest_of_it}\naccess = [{consumers}]\n");
    }
    out
}

// The provider of the management services: every owner of a server may call them.
fn management_text(plan: &Plan) -> String {
    let url = format!("{}/manage", plan.service_url(ports::MANAGEMENT));
    let mut out = format!("\n[[client]]\nid = \"{}\"\nconnection = \"NOSSL\"\n", management_provider(plan));
    for code in management::SERVICES {
        let _ = write!(
            out,
            "\n[[client.service]]\ncode = \"{code}\"\ntype = \"WSDL\"\nurl = \"{url}\"\n\
             access = [\"global:{}/security-server-owners\"]\n",
            plan.instance
        );
    }
    out
}

async fn apply_registry(files: &ServerFiles) -> Result<(), SandboxError> {
    let refused = |reason: String| SandboxError::Kept { path: files.registry(), reason };
    let clients = control::load_declaration(&files.registry()).map_err(|e| refused(e.to_string()))?;
    let database = files.root().join("registry.sqlite");
    let mut database = control::RegistryDb::open(&database).await.map_err(|e| refused(e.to_string()))?;
    database.apply(clients, false).await.map(|_| ()).map_err(|e| refused(e.to_string()))
}

fn write(path: &Path, text: &str) -> Result<(), SandboxError> {
    fs::write(path, text).map_err(SandboxError::file("write", path))
}
