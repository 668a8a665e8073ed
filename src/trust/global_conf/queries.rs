//! What the flows ask of the global configuration.

use super::GlobalConf;
use crate::crypto::{Certificate, Name};
use crate::message::{ClientId, ErrorCode, GlobalGroupId, SecurityServerId, XRoadError};
use crate::time::UnixTime;
use crate::trust::anchor::Anchor;
use crate::trust::private_params::{ManagementService, PrivateParams};
use crate::trust::shared_params::{ApprovedTsa, Member, SecurityServer, SharedParams};

const OCSP_FRESHNESS_SECS_DEFAULT: i64 = 3600;
const FETCH_INTERVAL_SECS_DEFAULT: i64 = 1200;
const FETCH_INTERVAL_SECS_MIN: i64 = 60;
const TIMESTAMPING_INTERVAL_SECS_DEFAULT: i64 = 60;

impl GlobalConf {
    /// The shared parameters of an instance, expired or not.
    pub fn shared_params(&self, instance: &str) -> Option<&SharedParams> {
        self.instances.get(instance).map(|instance| &instance.shared)
    }

    /// The private parameters of the local instance.
    pub fn private_params(&self) -> Option<&PrivateParams> {
        self.private.as_ref().map(|(private, _)| private)
    }

    /// Anchors of federated instances.
    pub fn federated_anchors(&self) -> &[Anchor] {
        self.private_params().map(|private| private.anchors.as_slice()).unwrap_or_default()
    }

    /// Servers at which `client` is registered, or whose owner it is.
    pub fn servers_of(&self, client: &ClientId) -> impl Iterator<Item = &SecurityServer> {
        let at = self.tables.servers_by_client.get(client).map(Vec::as_slice).unwrap_or_default();
        at.iter().filter_map(|at| self.servers.get(*at))
    }

    /// Addresses of the servers at which `client` is registered, without ports, each once.
    pub fn addresses_of(&self, client: &ClientId) -> Vec<&str> {
        let mut addresses = Vec::new();
        for address in self.servers_of(client).filter_map(|server| server.address.as_deref()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Addresses to try for a service of `provider` (`trust.md` 4.6): those of its servers that are not in
    /// maintenance, or of the one server that the request names. Errors: `internal_error` for an instance that is not
    /// known or has expired at `now`, `unknown_member`, `invalid_security_server`, `maintenance_mode`.
    pub fn provider_addresses(
        &self,
        provider: &ClientId,
        target: Option<&SecurityServerId>,
        now: UnixTime,
    ) -> Result<Vec<&str>, XRoadError> {
        self.check_instance(provider.instance(), now)?;
        let servers: Vec<&SecurityServer> =
            self.servers_of(provider).filter(|server| server.address.is_some()).collect();
        if servers.is_empty() {
            let text = format!("could not find addresses for service provider \"{provider}\"");
            return Err(XRoadError::new(ErrorCode::UnknownMember, text));
        }
        let chosen: Vec<&SecurityServer> = match target {
            None => servers,
            Some(target) => {
                let address = self.server_address(target);
                servers.into_iter().filter(|server| server.address.as_deref() == address).collect()
            }
        };
        let Some(first) = chosen.first() else {
            let text = format!("security server \"{}\" does not serve the provider", display(target));
            return Err(XRoadError::new(ErrorCode::InvalidSecurityServer, text));
        };
        let notice = first.maintenance.clone().flatten();
        let mut addresses: Vec<&str> = Vec::new();
        for server in chosen.iter().filter(|server| server.maintenance.is_none()) {
            if let Some(address) = server.address.as_deref().filter(|found| !addresses.contains(found)) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let text = notice.unwrap_or_else(|| "the security server is in maintenance".to_owned());
            return Err(XRoadError::new(ErrorCode::MaintenanceMode, text));
        }
        Ok(addresses)
    }

    /// A security server.
    pub fn server(&self, id: &SecurityServerId) -> Option<&SecurityServer> {
        self.servers.get(*self.tables.server_by_id.get(id)?)
    }

    /// The address of a security server.
    pub fn server_address(&self, id: &SecurityServerId) -> Option<&str> {
        self.server(id)?.address.as_deref()
    }

    /// All security servers of all instances.
    pub fn servers(&self) -> &[SecurityServer] {
        &self.servers
    }

    fn servers_of_auth_cert(&self, certificate: &Certificate) -> impl Iterator<Item = &SecurityServer> {
        // Which digest counts is a matter of the version of the file that lists the hash.
        let modern = self.tables.servers_by_auth_sha256.get(&certificate.sha256()[..]);
        let old = self.tables.servers_by_auth_sha1.get(&certificate.sha1()[..]);
        let all = modern.into_iter().chain(old).flatten();
        all.filter_map(|at| self.servers.get(*at))
    }

    /// The server at which an authentication certificate is registered.
    pub fn auth_cert_server(&self, certificate: &Certificate) -> Option<SecurityServerId> {
        self.servers_of_auth_cert(certificate).next().map(|server| server.id.clone())
    }

    /// Whether `client` (exactly) is registered at a server that has this authentication certificate.
    pub fn is_client_of_auth_cert(&self, client: &ClientId, certificate: &Certificate) -> bool {
        self.servers_of_auth_cert(certificate).any(|server| server.clients.contains(client))
    }

    /// Whether a member or subsystem is known.
    pub fn contains(&self, client: &ClientId) -> bool {
        self.tables.client_names.contains_key(client)
    }

    /// A member's or subsystem's name; empty for a subsystem without one.
    pub fn client_name(&self, client: &ClientId) -> Option<&str> {
        self.tables.client_names.get(client).map(String::as_str)
    }

    /// The members of an instance.
    pub fn members(&self, instance: &str) -> &[Member] {
        self.shared_params(instance).map(|shared| shared.members.as_slice()).unwrap_or_default()
    }

    /// Whether a global group lists exactly this client. An unknown group or instance lists nobody.
    pub fn global_group_contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool {
        self.tables.groups.get(group).is_some_and(|members| members.contains(client))
    }

    /// The CA certificate of an instance with this subject.
    pub fn ca_by_subject(&self, instance: &str, subject: &Name) -> Option<&Certificate> {
        let instance = self.instances.get(instance)?;
        let (outer, inner) = *instance.cas.get(subject)?;
        Some(&instance.shared.approved_cas.get(outer)?.cas.get(inner)?.certificate)
    }

    /// The profile class name of the CA with this subject.
    pub fn profile_by_ca_subject(&self, instance: &str, subject: &Name) -> Option<&str> {
        let instance = self.instances.get(instance)?;
        let (outer, _) = *instance.cas.get(subject)?;
        Some(&instance.shared.approved_cas.get(outer)?.profile)
    }

    /// All CA certificates of all instances; their subjects go into TLS certificate requests.
    pub fn ca_certificates(&self) -> &[Certificate] {
        &self.tables.all_cas
    }

    /// OCSP responder certificates listed for a CA, in any instance.
    pub fn ocsp_responders_for(&self, ca: &Certificate) -> &[Certificate] {
        self.tables.responders.get(ca).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an instance (any, if none is given) lists `responder` for a CA.
    pub fn lists_ocsp_responder(
        &self,
        instance: Option<&str>,
        ca: &Certificate,
        responder: &Certificate,
    ) -> bool {
        let Some(instance) = instance else { return self.ocsp_responders_for(ca).contains(responder) };
        let Some(shared) = self.shared_params(instance) else { return false };
        let mut listed = shared.approved_cas.iter().flat_map(|approved| &approved.cas);
        listed.any(|listed| {
            listed.certificate == *ca
                && listed.ocsp.iter().any(|one| one.certificate.as_ref() == Some(responder))
        })
    }

    /// OCSP responder certificates of all CAs of all instances.
    pub fn ocsp_responder_certificates(&self) -> &[Certificate] {
        &self.tables.all_responders
    }

    /// Certificates of all time-stamping services of all instances.
    pub fn tsa_certificates(&self) -> &[Certificate] {
        &self.tables.all_tsas
    }

    /// The time-stamping services of the local instance.
    pub fn approved_tsas(&self) -> &[ApprovedTsa] {
        self.shared_params(&self.local).map(|shared| shared.approved_tsas.as_slice()).unwrap_or_default()
    }

    /// Greatest age of an OCSP answer in seconds; always the local instance's rule.
    pub fn ocsp_freshness_secs(&self) -> i64 {
        self.shared_params(&self.local)
            .map_or(OCSP_FRESHNESS_SECS_DEFAULT, |shared| shared.ocsp_freshness_secs)
    }

    /// Whether nextUpdate of OCSP answers is enforced.
    pub fn verify_next_update(&self) -> bool {
        self.verify_next_update.unwrap_or(true)
    }

    /// Seconds between OCSP fetches, at least 60.
    pub fn ocsp_fetch_interval_secs(&self) -> i64 {
        self.fetch_interval_secs.unwrap_or(FETCH_INTERVAL_SECS_DEFAULT).max(FETCH_INTERVAL_SECS_MIN)
    }

    /// Seconds between time-stampings.
    pub fn timestamping_interval_secs(&self) -> i64 {
        self.private_params()
            .map_or(TIMESTAMPING_INTERVAL_SECS_DEFAULT, |private| private.timestamping_interval_secs)
    }

    /// The management services, when private parameters are there.
    pub fn management_service(&self) -> Option<&ManagementService> {
        self.private_params().map(|private| &private.management_service)
    }

    /// Who may query environmental monitoring besides the owner.
    pub fn monitoring_client(&self) -> Option<&ClientId> {
        self.monitoring_client.as_ref()?.as_ref()
    }
}

fn display(target: Option<&SecurityServerId>) -> String {
    target.map(ToString::to_string).unwrap_or_default()
}
