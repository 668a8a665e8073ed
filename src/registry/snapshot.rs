//! The indexed snapshot and its queries.

use foldhash::HashMap;
use thiserror::Error;

use super::model::{Client, Endpoint, LocalGroup, Service, Subject};
use super::path::{CheckedPath, leaves_the_service};
use crate::message::{ClientId, GlobalGroupId, ServiceId};

/// Knows the groups that instances define: the global configuration.
pub trait GlobalGroups {
    /// Is `client` listed in `group`? False for a group or instance that is not known.
    fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool;
}

/// No global groups at all.
#[derive(Debug, Clone, Copy)]
pub struct NoGroups;

impl GlobalGroups for NoGroups {
    fn contains(&self, _: &GlobalGroupId, _: &ClientId) -> bool {
        false
    }
}

/// What of a service is called.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The service as a whole, as SOAP calls do: only a right to the base endpoint covers it.
    Service,
    /// A method, as written in the request, and a path.
    Endpoint(&'a str, &'a CheckedPath<'a>),
}

/// Why data is no registry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Two entries for one client.
    #[error("client {0} is there twice")]
    DuplicateClient(ClientId),
    /// Two services with one identifier.
    #[error("service {0} is there twice")]
    DuplicateService(ServiceId),
    /// A service among those of another client.
    #[error("service {0} does not belong to the client that holds it")]
    ForeignService(ServiceId),
    /// Two equal endpoints of a service.
    #[error("endpoint {1} {2} of service {0} is there twice")]
    DuplicateEndpoint(String, String, String),
    /// An endpoint of a service that is not there.
    #[error("endpoint of service {0}, which client {1} does not have")]
    NoService(String, ClientId),
    /// Two groups with one code.
    #[error("local group {0} is there twice")]
    DuplicateGroup(String),
    /// A right for a local group that is not there.
    #[error("client {1} has no local group {0}")]
    NoGroup(String, ClientId),
}

/// An immutable state of the registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    generation: u64,
    clients: Vec<Client>,
    by_id: HashMap<ClientId, ClientIndex>,
    services: HashMap<ServiceId, (usize, usize)>,
}

#[derive(Debug, Clone, Default)]
struct ClientIndex {
    position: usize,
    endpoints: HashMap<String, Vec<usize>>,
    groups: HashMap<String, usize>,
}

impl Registry {
    /// Builds the snapshot. `generation` numbers the state it was read from.
    pub fn new(mut clients: Vec<Client>, generation: u64) -> Result<Self, RegistryError> {
        clients.sort_by(|a, b| a.id.cmp(&b.id));
        let mut registry = Self { generation, ..Self::default() };
        for (position, client) in clients.iter_mut().enumerate() {
            client.services.sort_by(|a, b| a.id.cmp(&b.id));
            client.endpoints.sort_by(endpoint_order);
            client.local_groups.sort_by(|a, b| a.id.cmp(&b.id));
            registry.add(position, client)?;
        }
        registry.clients = clients;
        Ok(registry)
    }

    fn add(&mut self, position: usize, client: &Client) -> Result<(), RegistryError> {
        let mut index = ClientIndex { position, ..ClientIndex::default() };
        for (at, service) in client.services.iter().enumerate() {
            if service.id.client() != client.id {
                return Err(RegistryError::ForeignService(service.id.clone()));
            }
            if self.services.insert(service.id.clone(), (position, at)).is_some() {
                return Err(RegistryError::DuplicateService(service.id.clone()));
            }
            index.endpoints.entry(service.id.service_code().into()).or_default();
        }
        for (at, group) in client.local_groups.iter().enumerate() {
            if index.groups.insert(group.id.group_code().into(), at).is_some() {
                return Err(RegistryError::DuplicateGroup(group.id.group_code().into()));
            }
        }
        for (at, endpoint) in client.endpoints.iter().enumerate() {
            index.add_endpoint(at, endpoint, client)?;
        }
        if self.by_id.insert(client.id.clone(), index).is_some() {
            return Err(RegistryError::DuplicateClient(client.id.clone()));
        }
        Ok(())
    }

    /// The number of the state that this snapshot was read from; grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All local clients, in the order of their identifiers.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// A local client.
    pub fn client(&self, id: &ClientId) -> Option<&Client> {
        self.clients.get(self.by_id.get(id)?.position)
    }

    /// A service, version and all.
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        let (client, service) = *self.services.get(id)?;
        self.clients.get(client)?.services.get(service)
    }

    /// All services of a provider, in the order of their identifiers.
    pub fn services_of(&self, provider: &ClientId) -> &[Service] {
        self.client(provider).map_or(&[], |client| &client.services)
    }

    /// The endpoints of a service of a provider, by service code, base endpoint included.
    pub fn endpoints_of<'a>(
        &'a self,
        provider: &ClientId,
        service_code: &str,
    ) -> impl Iterator<Item = &'a Endpoint> + use<'a> {
        let found = self.by_id.get(provider).and_then(|index| {
            let positions = index.endpoints.get(service_code)?;
            Some((self.clients.get(index.position)?, positions))
        });
        found.into_iter().flat_map(|(client, positions)| {
            positions.iter().filter_map(|position| client.endpoints.get(*position))
        })
    }

    /// Does the service have an endpoint besides the base endpoint? Then its paths decide about access, and must be
    /// a [`CheckedPath`].
    pub fn has_narrow_endpoints(&self, provider: &ClientId, service_code: &str) -> bool {
        self.endpoints_of(provider, service_code).any(|endpoint| !endpoint.is_base())
    }

    /// May `client` call `target` of the service? Rights are only ever given, never taken; the service's version
    /// does not matter (`trust.md` 7.4).
    pub fn is_allowed(
        &self,
        client: &ClientId,
        provider: &ClientId,
        service_code: &str,
        target: Target<'_>,
        groups: &dyn GlobalGroups,
    ) -> bool {
        self.endpoints_of(provider, service_code).any(|endpoint| {
            let covered = endpoint.is_base()
                || match target {
                    Target::Service => false,
                    Target::Endpoint(method, path) => {
                        (endpoint.method == "*" || endpoint.method == method)
                            && endpoint.path.matches(path.decoded())
                    }
                };
            covered && self.has_right(client, provider, endpoint, groups)
        })
    }

    /// Decides about a REST call by its raw service path: the path is checked only where it can matter, so that a
    /// service with the base endpoint alone gets every path unchanged.
    pub fn is_rest_call_allowed(
        &self,
        client: &ClientId,
        service: &ServiceId,
        method: &str,
        raw_path: &str,
        groups: &dyn GlobalGroups,
    ) -> Result<bool, super::PathError> {
        let (provider, code) = (service.client(), service.service_code());
        if !self.has_narrow_endpoints(&provider, code) {
            let stays = !leaves_the_service(raw_path);
            return Ok(stays && self.is_allowed(client, &provider, code, Target::Service, groups));
        }
        let path = CheckedPath::new(raw_path)?;
        Ok(self.is_allowed(client, &provider, code, Target::Endpoint(method, &path), groups))
    }

    /// Has `client` a right on the endpoint, by itself or through a group?
    pub fn has_right(
        &self,
        client: &ClientId,
        provider: &ClientId,
        endpoint: &Endpoint,
        groups: &dyn GlobalGroups,
    ) -> bool {
        endpoint.access.iter().any(|subject| match subject {
            Subject::Client(id) => id == client,
            Subject::GlobalGroup(group) => groups.contains(group, client),
            Subject::LocalGroup(group) => self
                .local_group(provider, group.group_code())
                .is_some_and(|group| group.members.contains(client)),
        })
    }

    /// The services of a provider on which `client` has a right to some endpoint (as `allowedMethods` tells).
    pub fn allowed_services<'a>(
        &'a self,
        client: &ClientId,
        provider: &ClientId,
        groups: &dyn GlobalGroups,
    ) -> Vec<&'a Service> {
        let allowed = |service: &&Service| {
            self.endpoints_of(provider, service.id.service_code())
                .any(|endpoint| self.has_right(client, provider, endpoint, groups))
        };
        self.services_of(provider).iter().filter(allowed).collect()
    }

    fn local_group(&self, provider: &ClientId, code: &str) -> Option<&LocalGroup> {
        let index = self.by_id.get(provider)?;
        self.clients.get(index.position)?.local_groups.get(*index.groups.get(code)?)
    }
}

impl ClientIndex {
    fn add_endpoint(&mut self, at: usize, endpoint: &Endpoint, client: &Client) -> Result<(), RegistryError> {
        let code = &endpoint.service_code;
        let Some(others) = self.endpoints.get_mut(code) else {
            return Err(RegistryError::NoService(code.clone(), client.id.clone()));
        };
        let previous = others.last().and_then(|last| client.endpoints.get(*last));
        if previous.is_some_and(|previous| endpoint_order(previous, endpoint).is_eq()) {
            let path = endpoint.path.pattern().to_string();
            return Err(RegistryError::DuplicateEndpoint(code.clone(), endpoint.method.clone(), path));
        }
        for subject in &endpoint.access {
            if let Subject::LocalGroup(group) = subject
                && !self.groups.contains_key(group.group_code())
            {
                return Err(RegistryError::NoGroup(group.group_code().into(), client.id.clone()));
            }
        }
        others.push(at);
        Ok(())
    }
}

fn endpoint_order(a: &Endpoint, b: &Endpoint) -> std::cmp::Ordering {
    let key = |e: &Endpoint| (e.service_code.clone(), e.method.clone(), e.path.pattern().to_string());
    key(a).cmp(&key(b))
}
