//! `[system]`: what is started.

use hermod::sandbox::plan::MEMBERS_MAX;
use hermod::sandbox::{KeyType, RuntimeChoice};
use serde::Deserialize;

/// Services of a member at most.
const SERVICES_MAX: usize = 100;

/// `[system]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct System {
    /// Security servers: the consumer's and those of providers, no member being on two of them.
    pub servers: usize,
    /// Members on each server, each with a subsystem and a signing key of its own.
    pub members: usize,
    /// Services of each member on a provider's server.
    pub services: usize,
    /// Kind of all keys.
    pub key_type: Keys,
    /// What the servers' workers run on.
    pub runtime: Runtime,
    /// The services answer after this long.
    pub service_delay_ms: u64,
    /// Signatures per second of each token; 0 is no limit.
    pub signatures_per_second: u32,
    /// Are the bodies logged?
    pub log_bodies: bool,
    /// The harness holds the servers' ports, as a service manager does, so that they outlive processes.
    pub hold_sockets: bool,
    /// Repeat the last measured phase for a moment to count system calls, where that is possible?
    pub count_calls: bool,
    /// Lines for every server's configuration file.
    pub config: String,
}

impl Default for System {
    fn default() -> Self {
        Self {
            servers: 2,
            members: 1,
            services: 1,
            key_type: Keys::Rsa,
            runtime: Runtime::Auto,
            service_delay_ms: 0,
            signatures_per_second: 0,
            log_bodies: true,
            hold_sockets: false,
            count_calls: true,
            config: String::new(),
        }
    }
}

/// Kind of keys.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Keys {
    Rsa,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    Ec,
}

impl From<Keys> for KeyType {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::Rsa => Self::Rsa,
            Keys::Rsa2048 => Self::Rsa2048,
            Keys::Ec => Self::Ec,
        }
    }
}

/// Runtime of the workers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Runtime {
    Auto,
    IoUring,
    Epoll,
}

impl From<Runtime> for RuntimeChoice {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Auto => Self::Auto,
            Runtime::IoUring => Self::IoUring,
            Runtime::Epoll => Self::Epoll,
        }
    }
}

impl System {
    /// Error: which key is out of bounds, and what they are.
    pub(super) fn check(&self) -> Result<(), String> {
        let within =
            |what: &str, value: usize, least: usize, most: usize| match (least..=most).contains(&value) {
                true => Ok(()),
                false => Err(format!("[system] {what} is {value}: it must be {least} to {most}")),
            };
        within("servers", self.servers, 2, 9)?;
        within("members", self.members, 1, MEMBERS_MAX)?;
        within("services", self.services, 1, SERVICES_MAX)
    }
}
