//! From what the message path noted to rows of the database: what the server knows when records are stored is added, and
//! those of the same two parties are put together.

use bytes::Bytes;
use foldhash::HashMap;

use super::record::{OperationalRecord, Role};
use super::row::{Common, Own, Told};
use super::store::StoredRow;
use crate::crypto::Certificate;
use crate::message::{ClientId, SecurityServerId, ServiceId};
use crate::registry::{CheckedPath, Registry};
use crate::time::UnixTime;
use crate::trust::GlobalConf;

/// The state of the server when records are stored.
pub struct Completion<'s> {
    /// Who this server is.
    pub server: &'s SecurityServerId,
    /// The version that it speaks as.
    pub version: &'s str,
    /// An address of this host.
    pub internal_ip: &'s str,
    /// Addresses of servers.
    pub global_conf: &'s GlobalConf,
    /// Endpoints and types of services.
    pub registry: &'s Registry,
}

/// What decides [`Common`].
#[derive(PartialEq, Eq, Hash)]
struct Parties<'r> {
    role: Role,
    client: Option<&'r ClientId>,
    service: Option<&'r ServiceId>,
    is_rest: bool,
    peer_address: Option<&'r str>,
    peer_certificate: Option<&'r Bytes>,
}

impl<'r> Parties<'r> {
    fn of(record: &'r OperationalRecord) -> Self {
        Self {
            role: record.role,
            client: record.client.as_ref(),
            service: record.service.as_ref(),
            is_rest: record.rest.is_some(),
            peer_address: record.peer_address.as_deref(),
            peer_certificate: record.peer_certificate.as_ref(),
        }
    }
}

/// Rows that are being made, by parties: the text that records have in common, and the row that is not full yet.
struct Open {
    common: String,
    row: StoredRow,
}

impl Completion<'_> {
    /// Rows for records that are stored at `stored_secs`.
    pub fn rows<'r>(
        &self,
        records: impl IntoIterator<Item = &'r OperationalRecord>,
        stored_secs: i64,
    ) -> Vec<StoredRow> {
        let mut open: HashMap<Parties<'r>, Open> = HashMap::default();
        let mut addresses: HashMap<&'r Bytes, Option<String>> = HashMap::default();
        let mut rows = Vec::new();
        for record in records {
            let mut common = || {
                let der = record.peer_certificate.as_ref();
                let peer = der.map(|der| addresses.entry(der).or_insert_with(|| self.address_of(der)));
                self.common(record, peer.and_then(|address| address.as_deref()), stored_secs)
            };
            let of_parties = open
                .entry(Parties::of(record))
                .or_insert_with(|| Open { common: common(), row: row_of(record) });
            if of_parties.row.is_full() {
                rows.push(std::mem::replace(&mut of_parties.row, row_of(record)));
            }
            of_parties.row.push(&of_parties.common, &self.own(record));
        }
        rows.extend(open.into_values().map(|open| open.row));
        rows.retain(|row| row.records > 0);
        rows
    }

    /// `WSDL` for SOAP; for REST the type of the service here, `REST` where it is not known.
    pub fn service_type(&self, record: &OperationalRecord) -> Option<&'static str> {
        let id = record.service.as_ref()?;
        if record.rest.is_none() {
            return Some("WSDL");
        }
        Some(self.registry.service(id).map_or("REST", |service| service.service_type.as_str()))
    }

    fn common(&self, record: &OperationalRecord, peer: Option<&str>, stored_secs: i64) -> String {
        let own = self.global_conf.server_address(self.server);
        let (client_address, service_address) = match record.role {
            Role::Client => (own, record.peer_address.as_deref()),
            Role::Producer => (peer, own),
        };
        let (client, service) = (record.client.as_ref(), record.service.as_ref());
        let common = Common {
            monitoring_data_ts: stored_secs,
            security_server_internal_ip: self.internal_ip,
            security_server_type: record.role.as_str(),
            client_x_road_instance: client.map(|id| id.instance()),
            client_member_class: client.map(|id| id.member_class()),
            client_member_code: client.map(|id| id.member_code()),
            client_subsystem_code: client.and_then(|id| id.subsystem_code()),
            service_x_road_instance: service.map(|id| id.instance()),
            service_member_class: service.map(|id| id.member_class()),
            service_member_code: service.map(|id| id.member_code()),
            service_subsystem_code: service.and_then(|id| id.subsystem_code()),
            service_code: service.map(|id| id.service_code()),
            service_version: service.and_then(|id| id.service_version()),
            x_road_version: service.map(|_| self.version),
            client_security_server_address: client_address,
            service_security_server_address: service_address,
            service_type: self.service_type(record),
        };
        serde_json::to_string(&common).unwrap_or_default()
    }

    fn own<'r>(&self, record: &'r OperationalRecord) -> Own<'r> {
        let (request_in, response_out) =
            (record.request_in, record.response_out.unwrap_or(record.request_in));
        let between = |at: Option<UnixTime>, here| match record.answered_here {
            true => Some(here),
            false => at,
        };
        let is_rest = record.rest.is_some();
        let (request, response) = (Told::of(record.request, is_rest), Told::of(record.response, is_rest));
        let (party, fault) = (record.represented_party.as_ref(), record.fault.as_ref());
        Own {
            request_in_ts: request_in.millis(),
            request_out_ts: between(record.request_out, request_in).map(|at| at.millis()),
            response_in_ts: between(record.response_in, response_out).map(|at| at.millis()),
            response_out_ts: response_out.millis(),
            rest_method: record.rest.as_ref().map(|call| call.method.as_str()),
            rest_path: self.rest_path(record),
            represented_party_class: party.and_then(|party| party.party_class.as_deref()),
            represented_party_code: party.and_then(|party| party.party_code.as_deref()),
            message_id: record.message_id.as_deref(),
            message_user_id: record.user_id.as_deref(),
            message_issue: record.issue.as_deref(),
            message_protocol_version: record.protocol_version.as_deref(),
            fault_code: fault.map(|(code, _)| code.as_str()),
            fault_string: fault.map(|(_, text)| text.as_str()),
            x_request_id: record.request_id.as_deref(),
            request_size: request.size,
            request_mime_size: request.mime_size,
            request_attachment_count: request.attachments,
            response_size: response.size,
            response_mime_size: response.mime_size,
            response_attachment_count: response.attachments,
            succeeded: record.succeeded,
            status_code: record.status,
        }
    }

    fn address_of(&self, der: &Bytes) -> Option<String> {
        let certificate = Certificate::from_der(der).ok()?;
        let server = self.global_conf.auth_cert_server(&certificate)?;
        self.global_conf.server_address(&server).map(str::to_string)
    }

    // The pattern of the endpoint that matched, never the path itself, and on the provider's side only.
    fn rest_path(&self, record: &OperationalRecord) -> Option<String> {
        let (call, service) = (record.rest.as_ref()?, record.service.as_ref()?);
        if record.role == Role::Client {
            return None;
        }
        matching_pattern(self.registry, service, call.method.as_str(), &call.path)
    }
}

fn row_of(record: &OperationalRecord) -> StoredRow {
    StoredRow {
        client: record.client.as_ref().map(|id| id.to_rest()),
        provider: record.service.as_ref().map(|id| id.client().to_rest()),
        ..StoredRow::default()
    }
}

/// The best match is the first one by path, descending, and then by method, descending.
fn matching_pattern(registry: &Registry, service: &ServiceId, method: &str, path: &str) -> Option<String> {
    let path = CheckedPath::new(path).ok()?;
    let endpoints = registry.endpoints_of(&service.client(), service.service_code());
    let matching = endpoints.filter(|endpoint| {
        !endpoint.is_base()
            && (endpoint.method == "*" || endpoint.method.eq_ignore_ascii_case(method))
            && endpoint.path.matches(path.decoded())
    });
    let best = matching
        .max_by(|a, b| (a.path.pattern(), a.method.as_str()).cmp(&(b.path.pattern(), b.method.as_str())));
    best.map(|endpoint| endpoint.path.pattern().to_string())
}
