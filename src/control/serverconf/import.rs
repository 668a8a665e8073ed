//! From rows to clients.

use std::collections::{BTreeSet, HashMap};

use super::dump::{Dump, Row};
use crate::config::http_url;
use crate::crypto::Certificate;
use crate::message::{ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId};
use crate::registry::{
    Client, ClientStatus, ConnectionType, Endpoint, LocalGroup, PathGlob, Service, ServiceType, Subject,
};

/// What official servers tell consumers of a service that is switched off without a notice.
const NOTICE: &str = "Out of order";

/// What a dump holds.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// The server that it is of.
    pub server: Option<SecurityServerId>,
    /// Clients with everything that belongs to them.
    pub clients: Vec<Client>,
    /// URLs of its time-stamping authorities, in order.
    pub timestamping_urls: Vec<String>,
    /// What could not be taken over, in words.
    pub notices: Vec<String>,
}

/// Takes over what can be; what cannot is told in [`Imported::notices`].
pub fn import(dump: &Dump) -> Imported {
    let mut imported = Imported::default();
    let identifiers = dump.by_id("identifier");
    let mut clients: HashMap<i64, Client> = HashMap::new();
    for row in dump.rows("client") {
        let id = row.number("identifier").and_then(|id| client_id(identifiers.get(&id)?));
        match (row.number("id"), id) {
            (Some(number), Some(id)) => {
                let client = client(row, id, &mut imported.notices);
                clients.insert(number, client);
            }
            _ => imported.notices.push("a client without identifier is left out".into()),
        }
    }
    certificates(dump, &mut clients, &mut imported.notices);
    services(dump, &mut clients, &mut imported.notices);
    groups(dump, &identifiers, &mut clients, &mut imported.notices);
    endpoints(dump, &identifiers, &mut clients, &mut imported.notices);

    let serverconf = dump.rows("serverconf").first();
    let owner = serverconf.and_then(|row| clients.get(&row.number("owner")?));
    let code = serverconf.and_then(|row| row.text("servercode"));
    imported.server = owner.zip(code).and_then(|(owner, code)| {
        let id = &owner.id;
        SecurityServerId::new(id.instance(), id.member_class(), id.member_code(), code).ok()
    });
    imported.timestamping_urls =
        dump.rows("tsp").iter().filter_map(|row| row.text("url")).map(str::to_owned).collect();
    imported.clients = clients.into_values().collect();
    imported.clients.sort_by(|a, b| a.id.cmp(&b.id));
    imported
}

fn client_id(row: &&Row) -> Option<ClientId> {
    let field = |name| row.text(name);
    let (instance, class) = (field("xroadinstance")?, field("memberclass")?);
    ClientId::new(instance, class, field("membercode")?, field("subsystemcode")).ok()
}

fn client(row: &Row, id: ClientId, notices: &mut Vec<String>) -> Client {
    let status = row.text("clientstatus").unwrap_or("saved");
    let found = ClientStatus::NAMES.iter().find(|(name, _)| *name == status);
    let status = found.map_or_else(
        || {
            notices.push(format!("client {id}: status \"{status}\" is not known, it is taken as saved"));
            ClientStatus::Saved
        },
        |(_, status)| *status,
    );
    // No value means no check, as official servers take it.
    let connection = row.text("isauthentication").unwrap_or("NOSSL");
    let found = ConnectionType::NAMES.iter().find(|(name, _)| *name == connection);
    let connection_type = found.map_or(ConnectionType::SslAuth, |(_, kind)| *kind);
    Client {
        id,
        status,
        connection_type,
        certificates: BTreeSet::new(),
        services: Vec::new(),
        endpoints: Vec::new(),
        local_groups: Vec::new(),
    }
}

fn certificates(dump: &Dump, clients: &mut HashMap<i64, Client>, notices: &mut Vec<String>) {
    for row in dump.rows("certificate") {
        let Some(client) = row.number("client_id").and_then(|id| clients.get_mut(&id)) else { continue };
        match row.bytes("data").filter(|der| Certificate::from_der(der).is_ok()) {
            Some(der) => {
                client.certificates.insert(der);
            }
            None => {
                notices.push(format!("client {}: a certificate that cannot be read is left out", client.id))
            }
        }
    }
}

fn services(dump: &Dump, clients: &mut HashMap<i64, Client>, notices: &mut Vec<String>) {
    let descriptions = dump.by_id("servicedescription");
    for row in dump.rows("service") {
        let description = row.number("servicedescription_id").and_then(|id| descriptions.get(&id));
        let client = description.and_then(|row| clients.get_mut(&row.number("client_id")?));
        let (Some(description), Some(client)) = (description, client) else {
            notices.push("a service without client is left out".into());
            continue;
        };
        match service(row, description, &client.id) {
            Ok(service) => client.services.push(service),
            Err(reason) => {
                let code = row.text("servicecode").unwrap_or_default();
                notices.push(format!("client {}: service {code} is left out: {reason}", client.id));
            }
        }
    }
}

fn service(row: &Row, description: &Row, provider: &ClientId) -> Result<Service, String> {
    let kind = description.text("type").unwrap_or("WSDL");
    let found = ServiceType::NAMES.iter().find(|(name, _)| *name == kind);
    let (_, service_type) = *found.ok_or_else(|| format!("its type \"{kind}\" is not known"))?;
    let code = row.text("servicecode").unwrap_or_default();
    let id = ServiceId::new(provider, code, row.text("serviceversion")).map_err(|error| error.to_string())?;
    let described = description.text("url").map(http_url).transpose()?;
    let timeout = row.number("timeout").and_then(|secs| u32::try_from(secs).ok());
    let is_off = description.truth("disabled").unwrap_or(false);
    let notice = || {
        let notice = description.text("disablednotice").filter(|notice| !notice.trim().is_empty());
        notice.unwrap_or(NOTICE).to_owned()
    };
    Ok(Service {
        id,
        service_type,
        url: http_url(row.text("url").unwrap_or_default())?,
        description_url: described.filter(|_| service_type != ServiceType::Rest),
        verify_tls: row.truth("sslauthentication").unwrap_or(true),
        timeout_secs: timeout.filter(|secs| (1..=86_400).contains(secs)),
        disabled: is_off.then(notice),
        log_bodies: None,
        refuse_repeats: false,
    })
}

fn groups(
    dump: &Dump,
    identifiers: &HashMap<i64, &Row>,
    clients: &mut HashMap<i64, Client>,
    notices: &mut Vec<String>,
) {
    let mut members: HashMap<i64, BTreeSet<ClientId>> = HashMap::new();
    for row in dump.rows("groupmember") {
        let member = row.number("groupmemberid").and_then(|id| client_id(identifiers.get(&id)?));
        match (row.number("localgroup_id"), member) {
            (Some(group), Some(member)) => {
                members.entry(group).or_default().insert(member);
            }
            _ => notices.push("a group member without identifier is left out".into()),
        }
    }
    for row in dump.rows("localgroup") {
        let client = row.number("client_id").and_then(|id| clients.get_mut(&id));
        let id = row.text("groupcode").and_then(|code| LocalGroupId::new(code).ok());
        let (Some(client), Some(id)) = (client, id) else {
            notices.push("a group without client or code is left out".into());
            continue;
        };
        let members = row.number("id").and_then(|id| members.remove(&id)).unwrap_or_default();
        let description = row.text("description").unwrap_or_default().to_owned();
        client.local_groups.push(LocalGroup { id, description, members });
    }
}

fn endpoints(
    dump: &Dump,
    identifiers: &HashMap<i64, &Row>,
    clients: &mut HashMap<i64, Client>,
    notices: &mut Vec<String>,
) {
    let mut rights: HashMap<i64, Vec<&Row>> = HashMap::new();
    for row in dump.rows("accessright") {
        rights.entry(row.number("endpoint_id").unwrap_or_default()).or_default().push(row);
    }
    for row in dump.rows("endpoint") {
        let Some(client) = row.number("client_id").and_then(|id| clients.get_mut(&id)) else { continue };
        let code = row.text("servicecode").unwrap_or_default();
        let (method, path) = (row.text("method").unwrap_or("*"), row.text("path").unwrap_or("**"));
        let named = format!("client {}: endpoint {method} {path} of service {code}", client.id);
        if !client.services.iter().any(|service| service.id.service_code() == code) {
            notices.push(format!("{named} is left out with its rights: there is no such service"));
            continue;
        }
        let glob = PathGlob::new(path).ok().filter(|_| path.starts_with(['/', '*']));
        let Some(path) = glob else {
            notices.push(format!("{named} is left out with its rights: its pattern matches no path"));
            continue;
        };
        let rights = row.number("id").and_then(|id| rights.remove(&id)).unwrap_or_default();
        let mut access = BTreeSet::new();
        for right in rights {
            let subject = right.number("subjectid").and_then(|id| subject(identifiers.get(&id)?, client));
            match subject {
                Some(subject) => {
                    access.insert(subject);
                }
                None => notices.push(format!("{named}: a right of an unknown subject is left out")),
            }
        }
        client.endpoints.push(Endpoint { service_code: code.into(), method: method.into(), path, access });
    }
    clients.values_mut().for_each(add_base_endpoints);
}

fn subject(row: &&Row, provider: &Client) -> Option<Subject> {
    match row.text("discriminator")? {
        "C" => client_id(row).map(Subject::Client),
        "GG" => {
            let group = GlobalGroupId::new(row.text("xroadinstance")?, row.text("groupcode")?);
            group.ok().map(Subject::GlobalGroup)
        }
        "LG" => {
            let id = LocalGroupId::new(row.text("groupcode")?).ok()?;
            let is_there = provider.local_groups.iter().any(|group| group.id == id);
            is_there.then_some(Subject::LocalGroup(id))
        }
        _ => None,
    }
}

// Every service has one.
fn add_base_endpoints(client: &mut Client) {
    let codes: BTreeSet<String> =
        client.services.iter().map(|service| service.id.service_code().to_owned()).collect();
    for code in codes {
        let has_base =
            client.endpoints.iter().any(|endpoint| endpoint.service_code == code && endpoint.is_base());
        if !has_base && let Ok(path) = PathGlob::new("**") {
            let access = BTreeSet::new();
            client.endpoints.push(Endpoint { service_code: code, method: "*".into(), path, access });
        }
    }
}
