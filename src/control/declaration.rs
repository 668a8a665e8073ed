//! The registry as a file: what `hermod registry apply FILE.toml` reads.
//!
//! ```toml
//! [[client]]
//! id = "LAB/GOV/200/provider"        # 3 or 4 parts; `%` and `/` within a part are percent-encoded. Or a list of parts.
//! status = "registered"              # default
//! connection = "SSLAUTH"             # default; or NOSSL, SSLNOAUTH: how its information systems authenticate themselves
//! certificates = ["is.pem"]          # of information systems and https services: PEM or DER files, or PEM text
//!
//! [[client.group]]                   # local groups
//! code = "partners"
//! description = "Partner authorities"
//! members = ["LAB/GOV/100/consumer"]
//!
//! [[client.service]]
//! code = "echo"
//! version = "v1"                     # default none; REST calls never name one
//! type = "REST"                      # or WSDL, OPENAPI3
//! url = "http://127.0.0.1:9201/echo"
//! description = "http://…/api.yaml"  # of OPENAPI3 (mandatory) or WSDL (default: url?wsdl)
//! verify_tls = true                  # default; an https service must present one of the client's certificates
//! timeout_secs = 60                  # default: proxy.service_timeout_secs of the server
//! disabled = "Out of order"          # default not disabled; the notice goes to consumers
//! log_bodies = true                  # default: as the server is configured
//! refuse_repeats = false             # default
//! access = ["LAB/GOV/100/consumer", "global:LAB/security-server-owners", "local:partners"]   # to the whole service
//!
//! [[client.service.endpoint]]        # narrower rights, for REST
//! method = "GET"                     # or *
//! path = "/pets/*"                   # `*` within a segment, `**` across segments
//! access = ["local:partners"]
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{FileError, Section, read_toml};
use crate::config::{client_id, http_url, id_parts};
use crate::crypto::Certificate;
use crate::message::{ClientId, GlobalGroupId, LocalGroupId, ServiceId};
use crate::registry::{
    Client, ClientStatus, ConnectionType, Endpoint, LocalGroup, PathGlob, Registry, Service, ServiceType,
    Subject,
};

const METHODS: [&str; 9] = ["*", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];

/// Reads a declaration file; certificate files it names are relative to its folder.
pub fn load(file: &Path) -> Result<Vec<Client>, FileError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| FileError::whole(&name, format!("cannot be read: {error}")))?;
    parse(&name, file.parent().unwrap_or(Path::new("")), &text)
}

/// Reads a declaration text; `name` is how errors call it.
pub fn parse(name: &str, folder: &Path, text: &str) -> Result<Vec<Client>, FileError> {
    let clients =
        read_toml(name, text, |root| Some(root.tables("client", |section| client(section, folder))))?;
    Registry::new(clients.clone(), 0).map_err(|error| FileError::whole(name, error.to_string()))?;
    Ok(clients)
}

fn client(section: &mut Section<'_>, folder: &Path) -> Option<Client> {
    let id = client_identifier(section);
    let status = section.choice("status", &ClientStatus::NAMES).unwrap_or(ClientStatus::Registered);
    let connection_type =
        section.choice("connection", &ConnectionType::NAMES).unwrap_or(ConnectionType::SslAuth);
    let certificates = section.list("certificates", |text| certificates(text, folder));
    let local_groups = section.tables("group", group);
    // Without an identifier the services are still read, so that their mistakes are told too.
    let provider = id.clone().or_else(|| ClientId::new("-", "-", "-", None).ok())?;
    let mut endpoints = Vec::new();
    let services = section.tables("service", |section| service(section, &provider, &mut endpoints));
    let certificates = certificates.into_iter().flatten().collect();
    Some(Client { id: id?, status, connection_type, certificates, services, endpoints, local_groups })
}

fn client_identifier(section: &mut Section<'_>) -> Option<ClientId> {
    if !section.is_list("id") {
        section.required_text("id")?;
        return section.parsed("id", client_id);
    }
    let parts = section.list("id", |part| Ok::<_, String>(part.to_string()));
    let id = match parts.as_slice() {
        [instance, class, code] => ClientId::new(instance, class, code, None),
        [instance, class, code, subsystem] => ClientId::new(instance, class, code, Some(subsystem)),
        _ => {
            section.complain_about("id", "client.id needs 3 or 4 parts: instance, class, code, subsystem");
            return None;
        }
    };
    id.map_err(|error| section.complain_about("id", format!("client.id: {error}"))).ok()
}

fn certificates(text: &str, folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let inline = text.contains("-----BEGIN");
    let bytes = if inline {
        text.as_bytes().to_vec()
    } else {
        std::fs::read(folder.join(text)).map_err(|error| format!("{text} cannot be read: {error}"))?
    };
    let name = if inline { "the PEM text" } else { text };
    let pem = String::from_utf8_lossy(&bytes);
    let ders: Vec<Vec<u8>> = if pem.contains("-----BEGIN") {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        let blocks: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        blocks.map_err(|_| format!("{name} is not PEM"))?.into_iter().map(|der| der.to_vec()).collect()
    } else {
        vec![bytes.clone()]
    };
    if ders.is_empty() {
        return Err(format!("{name} holds no certificate"));
    }
    match ders.iter().try_for_each(|der| Certificate::from_der(der).map(|_| ())) {
        Ok(()) => Ok(ders),
        Err(error) => Err(format!("{name} is not a certificate: {error}")),
    }
}

fn group(section: &mut Section<'_>) -> Option<LocalGroup> {
    let id = section.required_text("code").and_then(|_| section.parsed("code", LocalGroupId::new));
    let description = section.text("description").unwrap_or_default();
    let members = section.list("members", client_id).into_iter().collect();
    Some(LocalGroup { id: id?, description, members })
}

fn service(section: &mut Section<'_>, provider: &ClientId, endpoints: &mut Vec<Endpoint>) -> Option<Service> {
    let code = section.required_text("code");
    let version = section.text("version");
    let service_type = section.choice("type", &ServiceType::NAMES);
    if !section.has("type") {
        section.complain("client.service.type is missing: REST, OPENAPI3 or WSDL");
    }
    let url = section.required_text("url").and_then(|_| section.parsed("url", http_url));
    let described = section.parsed("description", http_url);
    let verify_tls = section.switch("verify_tls").unwrap_or(true);
    let timeout_secs = section.number("timeout_secs", 1..=86_400);
    let (disabled, log_bodies) = (section.text("disabled"), section.switch("log_bodies"));
    let access: BTreeSet<Subject> = section.list("access", subject).into_iter().collect();
    let narrow = section.tables("endpoint", |section| endpoint(section, code.as_deref().unwrap_or("-")));
    // Everything is read by now, so that one missing value does not make the other keys look unknown.
    let (code, url, service_type) = (code?, url?, service_type?);
    let service = Service {
        id: ServiceId::new(provider, &code, version.as_deref()).ok()?,
        service_type,
        description_url: description_url(section, service_type, &url, described),
        url,
        verify_tls,
        timeout_secs,
        disabled,
        log_bodies,
        refuse_repeats: section.switch("refuse_repeats").unwrap_or(false),
    };
    let path = PathGlob::new("**").ok()?;
    add(endpoints, Endpoint { service_code: code, method: "*".into(), path, access });
    narrow.into_iter().for_each(|endpoint| add(endpoints, endpoint));
    if service.service_type == ServiceType::Wsdl && section.has("endpoint") {
        section
            .complain_about("endpoint", "a SOAP service has no endpoints: give access to the whole service");
    }
    if service.service_type.is_rest() && service.id.service_version().is_some() {
        section.complain_about("version", "a REST service has no version: REST calls cannot name one");
    }
    Some(service)
}

fn description_url(
    section: &Section<'_>,
    service_type: ServiceType,
    url: &str,
    described: Option<String>,
) -> Option<String> {
    match (service_type, described) {
        (ServiceType::Wsdl, None) => Some(format!("{url}?wsdl")),
        (ServiceType::OpenApi3, None) => {
            section.complain("client.service.description is missing: the URL of the OpenAPI 3 description");
            None
        }
        (ServiceType::Rest, Some(_)) => {
            section
                .complain_about("description", "a REST service has no description: use type = \"OPENAPI3\"");
            None
        }
        (_, described) => described,
    }
}

fn endpoint(section: &mut Section<'_>, service_code: &str) -> Option<Endpoint> {
    let methods = METHODS.map(|method| (method, method));
    let method = section.choice("method", &methods);
    if !section.has("method") {
        section.complain("client.service.endpoint.method is missing: a method such as GET, or *");
    }
    let path = section.required_text("path").and_then(|_| section.parsed("path", glob));
    let access = section.list("access", subject).into_iter().collect();
    Some(Endpoint { service_code: service_code.into(), method: method?.into(), path: path?, access })
}

fn glob(pattern: &str) -> Result<PathGlob, String> {
    if !pattern.starts_with(['/', '*']) {
        return Err(format!("\"{pattern}\" matches no path: paths begin with /"));
    }
    PathGlob::new(pattern).map_err(|error| error.to_string())
}

// Versions of a service share their endpoints: rights given with either are rights on both.
fn add(endpoints: &mut Vec<Endpoint>, endpoint: Endpoint) {
    let same = |other: &&mut Endpoint| {
        (&other.service_code, &other.method, &other.path)
            == (&endpoint.service_code, &endpoint.method, &endpoint.path)
    };
    match endpoints.iter_mut().find(same) {
        Some(other) => other.access.extend(endpoint.access),
        None => endpoints.push(endpoint),
    }
}

fn subject(text: &str) -> Result<Subject, String> {
    if let Some(code) = text.strip_prefix("local:") {
        return LocalGroupId::new(code).map(Subject::LocalGroup).map_err(|error| error.to_string());
    }
    let Some(group) = text.strip_prefix("global:") else {
        return client_id(text).map(Subject::Client);
    };
    match id_parts(group)?.as_slice() {
        [instance, code] => {
            GlobalGroupId::new(instance, code).map(Subject::GlobalGroup).map_err(|e| e.to_string())
        }
        _ => Err(format!("\"{text}\" is not global:instance/group")),
    }
}
