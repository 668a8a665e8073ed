//! What the registry holds, as plain data: the form that is declared, stored and compared.

use std::collections::BTreeSet;

use super::glob::PathGlob;
use crate::message::{ClientId, GlobalGroupId, LocalGroupId, ServiceId};

/// Status of a local client (X-Road 7.8 names). Only a registered client may send or receive messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientStatus {
    /// Known here only.
    Saved,
    /// The central server has been asked.
    RegistrationInProgress,
    /// Usable.
    Registered,
    /// Its removal was asked for.
    DeletionInProgress,
    /// The global configuration does not list it any more.
    GlobalError,
    /// Switched off.
    Disabled,
    /// Switching off was asked for.
    DisablingInProgress,
    /// Switching on was asked for.
    EnablingInProgress,
}

impl ClientStatus {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("saved", Self::Saved),
        ("registration in progress", Self::RegistrationInProgress),
        ("registered", Self::Registered),
        ("deletion in progress", Self::DeletionInProgress),
        ("global error", Self::GlobalError),
        ("disabled", Self::Disabled),
        ("disabling in progress", Self::DisablingInProgress),
        ("enabling in progress", Self::EnablingInProgress),
    ];

    /// The name as official servers store it.
    pub fn as_str(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// How information systems of a client authenticate themselves (`transport.md` 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionType {
    /// HTTP or HTTPS, no check.
    NoSsl,
    /// HTTPS, no client certificate needed.
    SslNoAuth,
    /// HTTPS with one of the client's certificates.
    SslAuth,
}

impl ConnectionType {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 3] =
        [("NOSSL", Self::NoSsl), ("SSLNOAUTH", Self::SslNoAuth), ("SSLAUTH", Self::SslAuth)];

    /// The name as official servers store it.
    pub fn as_str(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// What kind of messages a service takes, and how it is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// SOAP, described by a WSDL.
    Wsdl,
    /// REST without description.
    Rest,
    /// REST, described by OpenAPI 3.
    OpenApi3,
}

impl ServiceType {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 3] =
        [("WSDL", Self::Wsdl), ("REST", Self::Rest), ("OPENAPI3", Self::OpenApi3)];

    /// The name as official servers store it.
    pub fn as_str(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }

    /// Does it take REST messages (else SOAP)?
    pub fn is_rest(self) -> bool {
        self != Self::Wsdl
    }
}

fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, other)| *other == value).map_or("", |(name, _)| name)
}

/// A member or subsystem that this security server serves, with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// Only `registered` clients exchange messages.
    pub status: ClientStatus,
    /// How its information systems authenticate themselves.
    pub connection_type: ConnectionType,
    /// DER of the TLS certificates of its information systems and services, sorted.
    pub certificates: BTreeSet<Vec<u8>>,
    /// Its services, by code and version.
    pub services: Vec<Service>,
    /// Endpoints of its services, by service code: versions of a service share them.
    pub endpoints: Vec<Endpoint>,
    /// Groups of clients that its access rights may name.
    pub local_groups: Vec<LocalGroup>,
}

impl Client {
    /// A registered client of which nothing was declared: it has no services, and its information systems can prove
    /// themselves by the server's own certificate only.
    pub fn undeclared(id: ClientId) -> Self {
        Self {
            id,
            status: ClientStatus::Registered,
            connection_type: ConnectionType::SslAuth,
            certificates: BTreeSet::new(),
            services: Vec::new(),
            endpoints: Vec::new(),
            local_groups: Vec::new(),
        }
    }

    /// Is `der` one of the certificates of its information systems?
    pub fn has_certificate(&self, der: &[u8]) -> bool {
        self.certificates.contains(der)
    }

    /// May it send and receive messages?
    pub fn is_registered(&self) -> bool {
        self.status == ClientStatus::Registered
    }
}

/// A service of a local client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its identifier; the provider is the client that holds it.
    pub id: ServiceId,
    /// What it takes.
    pub service_type: ServiceType,
    /// Where it is called: an http or https URL.
    pub url: String,
    /// Where its WSDL or OpenAPI description is. `None` for plain REST.
    pub description_url: Option<String>,
    /// For an https URL: must the service's certificate be one of the client's certificates?
    pub verify_tls: bool,
    /// Longest wait for its answer, in seconds; `None` is the configured default.
    pub timeout_secs: Option<u32>,
    /// `Some(notice)` while it is switched off; the notice goes to the consumer.
    pub disabled: Option<String>,
    /// Are bodies of its messages logged? `None` is what the configuration says.
    pub log_bodies: Option<bool>,
    /// Is a signed request refused that has come before? The protocol does not forbid to repeat one.
    pub refuse_repeats: bool,
}

/// A method and path pattern to which rights are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Code of the service (of any version).
    pub service_code: String,
    /// An HTTP method as written in requests, or `*`.
    pub method: String,
    /// Which paths.
    pub path: PathGlob,
    /// Who may call it.
    pub access: BTreeSet<Subject>,
}

impl Endpoint {
    /// The endpoint that every service has: any method, any path.
    pub fn is_base(&self) -> bool {
        self.method == "*" && self.path.is_everything()
    }
}

/// Who a right is given to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Exactly this client: a member's right does not cover its subsystems, nor the reverse.
    Client(ClientId),
    /// The clients in a group of an instance's global configuration.
    GlobalGroup(GlobalGroupId),
    /// The clients in a group of the provider.
    LocalGroup(LocalGroupId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "{id}"),
            Self::GlobalGroup(id) => write!(f, "global group {id}"),
            Self::LocalGroup(id) => write!(f, "local group {id}"),
        }
    }
}

/// A provider's own group of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalGroup {
    /// Its code, unique among the provider's groups.
    pub id: LocalGroupId,
    /// For people.
    pub description: String,
    /// Members, of any instance; matched exactly.
    pub members: BTreeSet<ClientId>,
}
