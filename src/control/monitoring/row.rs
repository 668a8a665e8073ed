//! A record as it is stored and told: the flat JSON object of the operational monitoring protocol (PR-OPMON).

use bytes::Bytes;
use foldhash::HashMap;
use serde::Serialize;

use super::record::{OperationalRecord, Role, Sizes};
use crate::crypto::Certificate;
use crate::message::{SecurityServerId, ServiceId};
use crate::registry::{CheckedPath, Registry};
use crate::trust::GlobalConf;

/// Fields that may be asked for, with the names of the protocol.
pub const FIELDS: [&str; 40] = [
    "monitoringDataTs",
    "securityServerInternalIp",
    "securityServerType",
    "requestInTs",
    "requestOutTs",
    "responseInTs",
    "responseOutTs",
    "clientXRoadInstance",
    "clientMemberClass",
    "clientMemberCode",
    "clientSubsystemCode",
    "serviceXRoadInstance",
    "serviceMemberClass",
    "serviceMemberCode",
    "serviceSubsystemCode",
    "serviceCode",
    "serviceVersion",
    "restMethod",
    "restPath",
    "xRoadVersion",
    "representedPartyClass",
    "representedPartyCode",
    "messageId",
    "messageUserId",
    "messageIssue",
    "messageProtocolVersion",
    "clientSecurityServerAddress",
    "serviceSecurityServerAddress",
    "requestSize",
    "requestMimeSize",
    "requestAttachmentCount",
    "responseSize",
    "responseMimeSize",
    "responseAttachmentCount",
    "succeeded",
    "faultCode",
    "faultString",
    "xRequestId",
    "statusCode",
    "serviceType",
];

/// Told to nobody but the owner and the central monitoring client.
pub const INTERNAL_IP: &str = "securityServerInternalIp";
/// When the record was stored, in seconds.
pub const STORED_AT: &str = "monitoringDataTs";

const TEXT_CHARS_MAX: usize = 255;
const FAULT_CHARS_MAX: usize = 2048;

/// The stored form: times in milliseconds, sizes in bytes; what is not known is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    monitoring_data_ts: i64,
    security_server_internal_ip: &'a str,
    security_server_type: &'static str,
    request_in_ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_out_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_in_ts: Option<i64>,
    response_out_ts: i64,
    #[serde(flatten)]
    texts: Texts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_mime_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_attachment_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_attachment_count: Option<u32>,
    succeeded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
}

#[derive(Debug)]
struct Texts<'a>(Vec<(&'static str, &'a str)>);

impl Texts<'_> {
    fn limit(name: &str) -> usize {
        if name == "faultString" { FAULT_CHARS_MAX } else { TEXT_CHARS_MAX }
    }
}

impl Serialize for Texts<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, cut(text, Self::limit(name)))))
    }
}

// The first so many characters.
fn cut(text: &str, chars_max: usize) -> &str {
    if text.len() <= chars_max {
        return text;
    }
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// What completes records: the state of the server when they are stored.
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
    /// Addresses of the servers with a certificate, found out before.
    pub by_certificate: HashMap<Bytes, Option<String>>,
}

impl Completion<'_> {
    /// The JSON text of a record that is stored at `stored_secs`.
    pub fn json(&mut self, record: &OperationalRecord, stored_secs: i64) -> String {
        let peer = record.peer_certificate.as_ref().and_then(|der| self.address_of(der));
        let own = self.global_conf.server_address(self.server).map(str::to_string);
        let service_type = self.service_type(record);
        let rest_path = self.rest_path(record);
        let (client_address, service_address) = match record.role {
            Role::Client => (own, record.peer_address.clone()),
            Role::Producer => (peer, own),
        };
        let mut texts: Vec<(&'static str, &str)> = Vec::with_capacity(28);
        let text = &mut |name: &'static str, value: Option<_>| texts.extend(value.map(|value| (name, value)));
        let client = record.client.as_ref();
        text("clientXRoadInstance", client.map(|id| id.instance()));
        text("clientMemberClass", client.map(|id| id.member_class()));
        text("clientMemberCode", client.map(|id| id.member_code()));
        text("clientSubsystemCode", client.and_then(|id| id.subsystem_code()));
        let service = record.service.as_ref();
        text("serviceXRoadInstance", service.map(|id| id.instance()));
        text("serviceMemberClass", service.map(|id| id.member_class()));
        text("serviceMemberCode", service.map(|id| id.member_code()));
        text("serviceSubsystemCode", service.and_then(|id| id.subsystem_code()));
        text("serviceCode", service.map(|id| id.service_code()));
        text("serviceVersion", service.and_then(|id| id.service_version()));
        text("restMethod", record.rest.as_ref().map(|call| call.method.as_str()));
        text("restPath", rest_path.as_deref());
        text("xRoadVersion", service.map(|_| self.version));
        let party = record.represented_party.as_ref();
        text("representedPartyClass", party.and_then(|party| party.party_class.as_deref()));
        text("representedPartyCode", party.and_then(|party| party.party_code.as_deref()));
        text("messageId", record.message_id.as_deref());
        text("messageUserId", record.user_id.as_deref());
        text("messageIssue", record.issue.as_deref());
        text("messageProtocolVersion", record.protocol_version.as_deref());
        text("clientSecurityServerAddress", client_address.as_deref());
        text("serviceSecurityServerAddress", service_address.as_deref());
        text("faultCode", record.fault.as_ref().map(|(code, _)| code.as_str()));
        text("faultString", record.fault.as_ref().map(|(_, text)| text.as_str()));
        text("xRequestId", record.request_id.as_deref());
        text("serviceType", service_type);
        let (request_in, response_out) =
            (record.request_in, record.response_out.unwrap_or(record.request_in));
        let between = |at: Option<crate::time::UnixTime>, here| match record.answered_here {
            true => Some(here),
            false => at,
        };
        let is_rest = record.rest.is_some();
        let (request, response) = (Told::of(record.request, is_rest), Told::of(record.response, is_rest));
        let row = Row {
            monitoring_data_ts: stored_secs,
            security_server_internal_ip: self.internal_ip,
            security_server_type: record.role.as_str(),
            request_in_ts: request_in.millis(),
            request_out_ts: between(record.request_out, request_in).map(|at| at.millis()),
            response_in_ts: between(record.response_in, response_out).map(|at| at.millis()),
            response_out_ts: response_out.millis(),
            texts: Texts(texts),
            request_size: request.size,
            request_mime_size: request.mime_size,
            request_attachment_count: request.attachments,
            response_size: response.size,
            response_mime_size: response.mime_size,
            response_attachment_count: response.attachments,
            succeeded: record.succeeded,
            status_code: record.status,
        };
        serde_json::to_string(&row).unwrap_or_default()
    }

    /// `WSDL` for SOAP; for REST the type of the service here, `REST` where it is not known.
    pub fn service_type(&self, record: &OperationalRecord) -> Option<&'static str> {
        let id = record.service.as_ref()?;
        if record.rest.is_none() {
            return Some("WSDL");
        }
        Some(self.registry.service(id).map_or("REST", |service| service.service_type.as_str()))
    }

    fn address_of(&mut self, der: &Bytes) -> Option<String> {
        if let Some(known) = self.by_certificate.get(der) {
            return known.clone();
        }
        let found = Certificate::from_der(der).ok().and_then(|certificate| {
            let server = self.global_conf.auth_cert_server(&certificate)?;
            self.global_conf.server_address(&server).map(str::to_string)
        });
        self.by_certificate.insert(der.clone(), found.clone());
        found
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

/// Sizes as they are told: REST messages have one size and no attachments.
#[derive(Debug, Default)]
struct Told {
    size: Option<u64>,
    mime_size: Option<u64>,
    attachments: Option<u32>,
}

impl Told {
    fn of(sizes: Option<Sizes>, is_rest: bool) -> Self {
        let Some(Sizes { message, parts, attachments }) = sizes else { return Self::default() };
        if is_rest {
            return Self { size: Some(message + parts), mime_size: None, attachments: Some(0) };
        }
        let with_parts = attachments.filter(|count| *count > 0);
        Self { size: Some(message), mime_size: with_parts.map(|_| message + parts), attachments }
    }
}
