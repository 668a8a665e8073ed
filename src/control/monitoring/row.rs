//! A record as it is stored and told: the flat JSON object of the operational monitoring protocol (PR-OPMON), in two
//! halves. What is not known is left out; long texts are cut.

use serde::{Serialize, Serializer};

use super::record::Sizes;

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

/// Characters of a text, and of a fault's.
const TEXT_CHARS_MAX: usize = 255;
const FAULT_CHARS_MAX: usize = 2048;

/// What the records of the same two parties have in common.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Common<'a> {
    pub monitoring_data_ts: i64,
    pub security_server_internal_ip: &'a str,
    pub security_server_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub client_x_road_instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub client_member_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub client_member_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub client_subsystem_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_x_road_instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_member_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_member_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_subsystem_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub x_road_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub client_security_server_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_security_server_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub service_type: Option<&'a str>,
}

/// What is a record's own: times in milliseconds, sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own<'a> {
    pub request_in_ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_out_ts: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_in_ts: Option<i64>,
    pub response_out_ts: i64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub rest_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub rest_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub represented_party_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub represented_party_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub message_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub message_issue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub message_protocol_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub fault_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "fault_text")]
    pub fault_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub x_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_mime_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_attachment_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_attachment_count: Option<u32>,
    pub succeeded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
}

fn text<T: AsRef<str>, S: Serializer>(text: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_ref().map(|text| cut(text.as_ref(), TEXT_CHARS_MAX)).serialize(serializer)
}

fn fault_text<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    text.map(|text| cut(text, FAULT_CHARS_MAX)).serialize(serializer)
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

/// Sizes as they are told: REST messages have one size and no attachments.
#[derive(Debug, Default)]
pub struct Told {
    pub size: Option<u64>,
    pub mime_size: Option<u64>,
    pub attachments: Option<u32>,
}

impl Told {
    /// As told of a message; nothing of one that was not read.
    pub fn of(sizes: Option<Sizes>, is_rest: bool) -> Self {
        let Some(Sizes { message, parts, attachments }) = sizes else { return Self::default() };
        if is_rest {
            return Self { size: Some(message + parts), mime_size: None, attachments: Some(0) };
        }
        let with_parts = attachments.filter(|count| *count > 0);
        Self { size: Some(message), mime_size: with_parts.map(|_| message + parts), attachments }
    }
}
