//! What changes between two states of the registry, in words.

use std::collections::BTreeMap;
use std::fmt;

use super::Registry;
use super::model::{Client, Endpoint, LocalGroup, Service};

/// One change, displayed as a line such as `+ service LAB/GOV/200/provider/echo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something new.
    Added(String),
    /// Something gone.
    Removed(String),
    /// Something that has another value: what, before, after.
    Changed(String, String, String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(what) => write!(f, "+ {what}"),
            Self::Removed(what) => write!(f, "- {what}"),
            Self::Changed(what, before, after) => write!(f, "~ {what}: {before} -> {after}"),
        }
    }
}

/// Everything that a state holds, one line each, sorted.
pub fn facts(registry: &Registry) -> Vec<String> {
    let mut facts = BTreeMap::new();
    registry.clients().iter().for_each(|client| tell_client(client, &mut facts));
    facts.iter().map(|(what, value)| with_value(what, value)).collect()
}

/// The changes that lead from `before` to `after`, client by client; empty if nothing differs.
pub fn changes(before: &Registry, after: &Registry) -> Vec<Change> {
    let mut facts = (BTreeMap::new(), BTreeMap::new());
    before.clients().iter().for_each(|client| tell_client(client, &mut facts.0));
    after.clients().iter().for_each(|client| tell_client(client, &mut facts.1));
    let (before, after) = facts;
    let mut all: Vec<&String> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    let change = |what: &String| match (before.get(what), after.get(what)) {
        (None, Some(value)) => Some(Change::Added(with_value(what, value))),
        (Some(value), None) => Some(Change::Removed(with_value(what, value))),
        (Some(old), Some(new)) if old != new => Some(Change::Changed(what.clone(), old.clone(), new.clone())),
        _ => None,
    };
    all.into_iter().filter_map(change).collect()
}

fn with_value(what: &str, value: &str) -> String {
    if value.is_empty() { what.to_string() } else { format!("{what} = {value}") }
}

// Every fact of a client as a name and a value; what has no value of its own has an empty one.
fn tell_client(client: &Client, facts: &mut BTreeMap<String, String>) {
    let name = format!("client {}", client.id);
    facts.insert(format!("{name} status"), client.status.as_str().into());
    facts.insert(format!("{name} connection"), client.connection_type.as_str().into());
    for certificate in &client.certificates {
        let hash = crate::crypto::sha256(certificate);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        facts.insert(format!("{name} certificate {hex}"), String::new());
    }
    for group in &client.local_groups {
        tell_group(&name, group, facts);
    }
    for service in &client.services {
        tell_service(service, facts);
    }
    for endpoint in &client.endpoints {
        tell_endpoint(&name, endpoint, facts);
    }
    facts.insert(name, String::new());
}

fn tell_group(client: &str, group: &LocalGroup, facts: &mut BTreeMap<String, String>) {
    let name = format!("{client} local group {}", group.id);
    for member in &group.members {
        facts.insert(format!("{name} member {member}"), String::new());
    }
    facts.insert(name, group.description.clone());
}

fn tell_service(service: &Service, facts: &mut BTreeMap<String, String>) {
    let client = service.id.client();
    let version = service.id.service_version().map_or(String::new(), |version| format!(" version {version}"));
    let name = format!("client {client} service {}{version}", service.id.service_code());
    let mut tell = |what: &str, value: String| facts.insert(format!("{name} {what}"), value);
    tell("type", service.service_type.as_str().into());
    tell("url", service.url.clone());
    tell("verify_tls", service.verify_tls.to_string());
    if let Some(url) = &service.description_url {
        tell("description", url.clone());
    }
    if let Some(secs) = service.timeout_secs {
        tell("timeout_secs", secs.to_string());
    }
    if let Some(notice) = &service.disabled {
        tell("disabled", format!("\"{notice}\""));
    }
    if let Some(log_bodies) = service.log_bodies {
        tell("log_bodies", log_bodies.to_string());
    }
    if service.refuse_repeats {
        tell("refuse_repeats", "true".into());
    }
    facts.insert(name, String::new());
}

fn tell_endpoint(client: &str, endpoint: &Endpoint, facts: &mut BTreeMap<String, String>) {
    let Endpoint { service_code, method, path, access } = endpoint;
    let name = format!("{client} service {service_code} endpoint {method} {}", path.pattern());
    for subject in access {
        facts.insert(format!("{name} right {subject}"), String::new());
    }
    if !endpoint.is_base() {
        facts.insert(name, String::new());
    }
}
