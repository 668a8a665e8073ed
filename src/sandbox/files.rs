//! The directory of one security server: configuration, token, registry, state.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::SandboxError;
use super::options::Options;
use super::pki::{ServerIdentities, write_private};
use super::plan::{INSTANCE, MEMBER_CLASS, Plan, ServerPlan, ports};
use crate::crypto;

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
        write(&files.registry(), &registry_text(plan, server))?;
        write_private(&files.pin(), b"Sandbox1234\n")?;
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

    /// SHA-1 of the authentication and the signing certificate, lower-case hex: what port 5577 is asked for.
    pub fn certificate_hashes(&self) -> &[String] {
        &self.certificate_hashes
    }

    fn anchor(&self) -> PathBuf {
        self.directory.join("configuration-anchor.xml")
    }

    fn pin(&self) -> PathBuf {
        self.directory.join("pin")
    }

    fn config_text(&self, server: &ServerPlan, options: &Options) -> String {
        let address = server.address;
        format!(
            r#"# Security server {code} of a sandbox.
root = "state"

[server]
instance = "{INSTANCE}"
member_class = "{MEMBER_CLASS}"
member_code = "{member_code}"
server_code = "{code}"

[listen]
consumer_http = "{address}:8080"
consumer_https = "{address}:8443"
server = "{address}:5500"
ocsp = "{address}:5577"

[worker]
runtime = "{runtime}"

[signer]
pin_file = "../pin"

[globalconf]
anchor = "../configuration-anchor.xml"
{extra}"#,
            code = server.code,
            member_code = server.member_code,
            runtime = options.runtime.as_str(),
            extra = options.extra_config,
        )
    }
}

fn registry_text(_plan: &Plan, _server: &ServerPlan) -> String {
    let _ = ports::REST;
    let mut out = String::new();
    let _ = writeln!(out);
    out
}

fn write(path: &Path, text: &str) -> Result<(), SandboxError> {
    fs::write(path, text).map_err(SandboxError::file("write", path))
}
