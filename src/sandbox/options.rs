//! What a sandbox is made of: the choices of the person or the test that starts it.

use std::path::PathBuf;

use super::plan::INSTANCE;

/// The kind of every private key in the sandbox.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA 3072 for what signs messages and proves servers, RSA 2048 for the trust services.
    #[default]
    Rsa,
    /// RSA 2048 everywhere, as official servers generate keys where no country's rules say another length.
    #[serde(rename = "rsa-2048")]
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// ECDSA on P-256 everywhere.
    Ec,
}

impl KeyType {
    /// The word that the command line uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Rsa2048 => "rsa-2048",
            Self::Ec => "ec",
        }
    }
}

/// How the workers of the security servers do their input and output; passed on to them unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeChoice {
    /// io_uring where the host allows it, else epoll.
    #[default]
    Auto,
    /// io_uring, or the servers do not start.
    #[value(name = "io_uring")]
    IoUring,
    /// epoll.
    Epoll,
}

impl RuntimeChoice {
    /// The word that the configuration file uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Choices of one sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The X-Road instance: another one for a sandbox that is federated with this.
    pub instance: String,
    /// Security servers; the first serves the consumer, every other one a provider. 2 to 9.
    pub servers: usize,
    /// Members on each server, its owner included, each with a subsystem and a signing key of its own.
    /// 1 to [`MEMBERS_MAX`](super::plan::MEMBERS_MAX).
    pub members: usize,
    /// Kind of all keys.
    pub key_type: KeyType,
    /// Runtime of the servers' workers.
    pub runtime: RuntimeChoice,
    /// Where everything lies. `None`: a temporary directory that is removed at the end.
    pub directory: Option<PathBuf>,
    /// The `hermod` binary to run as the security servers.
    pub binary: PathBuf,
    /// Seconds between two rounds of time-stamping, as the private parameters tell the servers.
    pub timestamping_interval_secs: u32,
    /// Register the provider of the management services, which take what `hermod manage` asks.
    pub management: bool,
    /// Extra lines for every server's configuration file, appended as they are.
    pub extra_config: String,
}

impl Options {
    /// Two servers, RSA keys, a temporary directory, and `binary` for the servers.
    pub fn new(binary: PathBuf) -> Self {
        Self {
            instance: INSTANCE.to_owned(),
            servers: 2,
            members: 1,
            key_type: KeyType::default(),
            runtime: RuntimeChoice::default(),
            directory: None,
            binary,
            timestamping_interval_secs: 2,
            management: false,
            extra_config: String::new(),
        }
    }
}
