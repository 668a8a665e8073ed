//! One immutable snapshot of the configuration of all known instances, with tables for the message path.

mod queries;

use foldhash::{HashMap, HashMapExt, HashSet};

use super::issued::IssuedCertificates;
use super::ocsp::OcspCheckCache;
use super::part::{Part, PartKind};
use super::private_params::{self, PrivateParams};
use super::shared_params::{SecurityServer, SharedParams};
use crate::crypto::{Certificate, Name};
use crate::message::{ClientId, ErrorCode, GlobalGroupId, SecurityServerId, XRoadError};
use crate::time::UnixTime;

/// The global configuration: shared parameters of the local and of federated instances, private parameters
/// of the local one. Publishing a new one means building a new value.
#[derive(Debug, Default)]
pub struct GlobalConf {
    local: String,
    instances: HashMap<String, Instance>,
    private: Option<(PrivateParams, Option<UnixTime>)>,
    fetch_interval_secs: Option<i64>,
    verify_next_update: Option<bool>,
    monitoring_client: Option<Option<ClientId>>,
    servers: Vec<SecurityServer>,
    tables: Tables,
    problems: Vec<String>,
    pub(super) ocsp_checks: OcspCheckCache,
    pub(super) issued: IssuedCertificates,
}

#[derive(Debug)]
struct Instance {
    shared: SharedParams,
    expires: Option<UnixTime>,
    // Positions of the CA with a name: approved service, then its CAs. The last of the file wins.
    cas: HashMap<Name, (usize, usize)>,
}

#[derive(Debug, Default)]
struct Tables {
    server_by_id: HashMap<SecurityServerId, usize>,
    servers_by_client: HashMap<ClientId, Vec<usize>>,
    servers_by_auth_sha1: HashMap<Vec<u8>, Vec<usize>>,
    servers_by_auth_sha256: HashMap<Vec<u8>, Vec<usize>>,
    client_names: HashMap<ClientId, String>,
    groups: HashMap<GlobalGroupId, HashSet<ClientId>>,
    responders: HashMap<Certificate, Vec<Certificate>>,
    all_cas: Vec<Certificate>,
    all_responders: Vec<Certificate>,
    all_tsas: Vec<Certificate>,
}

impl GlobalConf {
    /// Builds the snapshot from the files of all instances. The local shared parameters must be valid when
    /// given (`malformed_global_conf`); other invalid files are left out, taken from `previous` where it has
    /// them, and named in [`Self::problems`].
    pub fn from_parts(
        local_instance: &str,
        parts: &[Part],
        previous: Option<&GlobalConf>,
    ) -> Result<Self, XRoadError> {
        let mut conf = Self { local: local_instance.to_owned(), ..Self::default() };
        if let Some(previous) = previous.filter(|previous| previous.local == local_instance) {
            conf.fetch_interval_secs = previous.fetch_interval_secs;
            conf.verify_next_update = previous.verify_next_update;
            conf.monitoring_client = previous.monitoring_client.clone();
        }
        let given = |kind| parts.iter().any(|part| part.kind == kind && part.instance == local_instance);
        // A file that is gone has its default again; one that became invalid keeps its last values.
        if !given(PartKind::FetchInterval) {
            conf.fetch_interval_secs = None;
        }
        if !given(PartKind::NextUpdate) {
            conf.verify_next_update = None;
        }
        if !given(PartKind::Monitoring) {
            conf.monitoring_client = None;
        }
        for part in parts {
            if let Err(error) = conf.take(part) {
                let text = format!("{} of instance \"{}\": {error}", part.file_name(), part.instance);
                if part.instance == local_instance && part.kind == PartKind::Shared {
                    return Err(XRoadError::new(ErrorCode::MalformedGlobalConf, text));
                }
                conf.problems.push(text);
                conf.keep_previous(part, previous);
            }
        }
        conf.build_tables();
        Ok(conf)
    }

    fn take(&mut self, part: &Part) -> Result<(), String> {
        let text = |error: super::SchemaError| error.to_string();
        let is_local = part.instance == self.local;
        match part.kind {
            PartKind::Shared => {
                let shared = SharedParams::parse(&part.bytes, part.version).map_err(text)?;
                if shared.instance != part.instance {
                    return Err(format!("the file is of instance \"{}\"", shared.instance));
                }
                self.insert(shared, part.expires);
            }
            PartKind::Private if is_local => {
                let private = PrivateParams::parse(&part.bytes, part.version).map_err(text)?;
                if private.instance != part.instance {
                    return Err(format!("the file is of instance \"{}\"", private.instance));
                }
                self.private = Some((private, part.expires));
            }
            PartKind::FetchInterval if is_local => {
                self.fetch_interval_secs =
                    Some(private_params::parse_fetch_interval(&part.bytes).map_err(text)?);
            }
            PartKind::NextUpdate if is_local => {
                self.verify_next_update = Some(private_params::parse_next_update(&part.bytes).map_err(text)?);
            }
            PartKind::Monitoring if is_local => {
                self.monitoring_client = Some(private_params::parse_monitoring(&part.bytes).map_err(text)?);
            }
            // Foreign private and optional parts are never used.
            PartKind::Private | PartKind::FetchInterval | PartKind::NextUpdate | PartKind::Monitoring => {}
            PartKind::Other => {}
        }
        Ok(())
    }

    fn keep_previous(&mut self, part: &Part, previous: Option<&GlobalConf>) {
        let Some(previous) = previous else { return };
        match part.kind {
            PartKind::Shared => {
                if let Some(kept) = previous.instances.get(&part.instance) {
                    self.insert(kept.shared.clone(), kept.expires);
                }
            }
            PartKind::Private if part.instance == self.local => self.private = previous.private.clone(),
            _ => {}
        }
    }

    fn insert(&mut self, shared: SharedParams, expires: Option<UnixTime>) {
        let mut cas = HashMap::new();
        for (outer, approved) in shared.approved_cas.iter().enumerate() {
            for (inner, ca) in approved.cas.iter().enumerate() {
                cas.insert(ca.certificate.subject().clone(), (outer, inner));
            }
        }
        self.instances.insert(shared.instance.clone(), Instance { shared, expires, cas });
    }

    fn build_tables(&mut self) {
        let tables = &mut self.tables;
        // In a fixed order, the local instance first: which responder of one name is found must not vary.
        let mut order: Vec<&Instance> = self.instances.values().collect();
        order.sort_by_key(|instance| (instance.shared.instance != self.local, &instance.shared.instance));
        for Instance { shared, .. } in order {
            for server in &shared.security_servers {
                let at = self.servers.len();
                tables.server_by_id.insert(server.id.clone(), at);
                let by_hash = match shared.version {
                    0..=2 => &mut tables.servers_by_auth_sha1,
                    _ => &mut tables.servers_by_auth_sha256,
                };
                for hash in &server.auth_cert_hashes {
                    by_hash.entry(hash.clone()).or_default().push(at);
                }
                for client in &server.clients {
                    let servers = tables.servers_by_client.entry(client.clone()).or_default();
                    if servers.last() != Some(&at) {
                        servers.push(at);
                    }
                }
                self.servers.push(server.clone());
            }
            for member in &shared.members {
                tables.client_names.insert(member.id.client(), member.name.clone());
                for (subsystem, name) in &member.subsystems {
                    let name = name.clone().unwrap_or_default();
                    tables.client_names.insert(subsystem.clone(), name);
                }
            }
            for group in &shared.global_groups {
                if let Ok(id) = GlobalGroupId::new(&shared.instance, &group.code) {
                    tables.groups.entry(id).or_default().extend(group.members.iter().cloned());
                }
            }
            for ca in shared.approved_cas.iter().flat_map(|approved| &approved.cas) {
                tables.all_cas.push(ca.certificate.clone());
                let listed = ca.ocsp.iter().filter_map(|responder| responder.certificate.as_ref());
                let responders = tables.responders.entry(ca.certificate.clone()).or_default();
                for certificate in listed {
                    responders.push(certificate.clone());
                    tables.all_responders.push(certificate.clone());
                }
            }
            tables.all_tsas.extend(shared.approved_tsas.iter().map(|tsa| tsa.certificate.clone()));
        }
    }

    /// The instance that the anchor names.
    pub fn local_instance(&self) -> &str {
        &self.local
    }

    /// All known instances, the local one first, the others by name.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.instances.keys().map(String::as_str).collect();
        names.sort_by_key(|name| (*name != self.local, *name));
        names.into_iter()
    }

    /// Files that could not be used, in words.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether the local configuration may be used for messages at `now`: shared and private parameters are
    /// there and have not expired; a file without metadata counts as expired. Error: `global_conf_outdated`.
    pub fn check_valid(&self, now: UnixTime) -> Result<(), XRoadError> {
        let outdated = || XRoadError::new(ErrorCode::GlobalConfOutdated, "global configuration is expired");
        let shared = self.instances.get(&self.local).and_then(|instance| instance.expires);
        let private = self.private.as_ref().and_then(|(_, expires)| *expires);
        match (shared, private) {
            (Some(shared), Some(private)) if now <= shared && now <= private => Ok(()),
            _ => Err(outdated()),
        }
    }

    /// When the local configuration expires: the earlier of its two files.
    pub fn expires(&self) -> Option<UnixTime> {
        let shared = self.instances.get(&self.local)?.expires?;
        let private = self.private.as_ref()?.1?;
        Some(shared.min(private))
    }

    /// Whether an instance is known and its shared parameters have not expired at `now`. A foreign instance
    /// that has expired is as good as unknown: `internal_error`, as official servers answer.
    pub fn check_instance(&self, instance: &str, now: UnixTime) -> Result<(), XRoadError> {
        match self.instances.get(instance).and_then(|instance| instance.expires) {
            Some(expires) if now <= expires => Ok(()),
            _ => Err(unknown_instance(instance)),
        }
    }

    /// Whether a foreign instance is known here that has expired at `now`.
    pub fn has_expired_foreign_instance(&self, now: UnixTime) -> bool {
        let foreign = self.instances.iter().filter(|(instance, _)| **instance != self.local);
        foreign.into_iter().any(|(_, foreign)| foreign.expires.is_none_or(|expires| expires < now))
    }
}

/// The error of official servers for an instance that they do not know.
pub(super) fn unknown_instance(instance: &str) -> XRoadError {
    let text = format!("shared parameters of instance \"{instance}\" not found");
    XRoadError::new(ErrorCode::InternalError, text)
}
