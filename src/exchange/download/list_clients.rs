//! `GET /listClients`: the members and subsystems of an instance (`transport.md` 7.3, PR-META).

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::query::Query;
use crate::exchange::answer::{self, Refusal};
use crate::exchange::context::Worker;
use crate::message::{CLIENT_PROXY, ErrorCode, XRoadError};
use crate::trust::GlobalConf;
use crate::worker::{HttpError, RequestHead, ServerExchange, header_values};
use crate::xml::escape_text;

/// Answers in JSON when any `Accept` value names it, else in XML. No client authentication.
pub async fn answer(
    worker: &Worker,
    head: &RequestHead,
    exchange: &mut ServerExchange,
) -> Result<(), HttpError> {
    let trust = worker.trust();
    let query = Query::of(&head.target);
    let instance = query.value("xRoadInstance").unwrap_or(trust.global_conf.local_instance());
    let clients = worker
        .require_valid_global_conf(&trust.global_conf)
        .and_then(|()| trust.global_conf.check_instance(instance, worker.now()))
        .and_then(|()| clients_of(&trust.global_conf, instance));
    let clients = match clients {
        Ok(clients) => clients,
        Err(error) => {
            return answer::refuse_soap(worker, exchange, Refusal::Error(error.prefixed(CLIENT_PROXY))).await;
        }
    };
    let wants_json = header_values(&head.headers, "accept")
        .any(|value| memchr::memmem::find(value, b"application/json").is_some());
    let (content_type, body) = match wants_json {
        true => ("application/json; charset=utf-8", json(&clients)),
        false => ("text/xml; charset=UTF-8", xml(&clients)),
    };
    answer::write(worker, exchange, 200, &[("Content-Type", content_type)], Bytes::from(body)).await
}

struct Listed<'a> {
    instance: &'a str,
    member_class: &'a str,
    member_code: &'a str,
    subsystem_code: Option<&'a str>,
    name: &'a str,
    subsystem_name: Option<&'a str>,
}

fn clients_of<'a>(global_conf: &'a GlobalConf, instance: &str) -> Result<Vec<Listed<'a>>, XRoadError> {
    let Some(shared) = global_conf.shared_params(instance) else {
        let text = format!("Shared params for instance identifier {instance} not found");
        return Err(XRoadError::new(ErrorCode::InternalError, text));
    };
    let mut clients = Vec::new();
    for member in &shared.members {
        let listed = Listed {
            instance: member.id.instance(),
            member_class: member.id.member_class(),
            member_code: member.id.member_code(),
            subsystem_code: None,
            name: &member.name,
            subsystem_name: None,
        };
        let subsystems = member.subsystems.iter().map(|subsystem| Listed {
            subsystem_code: subsystem.0.subsystem_code(),
            subsystem_name: subsystem.1.as_deref(),
            ..listed
        });
        let subsystems: Vec<Listed<'a>> = subsystems.collect();
        clients.push(listed);
        clients.extend(subsystems);
    }
    Ok(clients)
}

fn json(clients: &[Listed<'_>]) -> String {
    let text = |value: &str| Value::from(value);
    let member = clients.iter().map(|client| {
        let mut id = Map::new();
        id.insert("member_class".into(), text(client.member_class));
        id.insert("member_code".into(), text(client.member_code));
        if let Some(code) = client.subsystem_code {
            id.insert("subsystem_code".into(), text(code));
        }
        let object_type = if client.subsystem_code.is_some() { "SUBSYSTEM" } else { "MEMBER" };
        id.insert("object_type".into(), text(object_type));
        id.insert("xroad_instance".into(), text(client.instance));
        let mut entry = Map::new();
        entry.insert("id".into(), Value::Object(id));
        entry.insert("name".into(), text(client.name));
        if let Some(name) = client.subsystem_name {
            entry.insert("subsystem_name".into(), text(name));
        }
        Value::Object(entry)
    });
    let mut root = Map::new();
    root.insert("member".into(), member.collect());
    Value::Object(root).to_string()
}

fn xml(clients: &[Listed<'_>]) -> String {
    let mut xml = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
        "<ns2:clientList xmlns:ns1=\"http://x-road.eu/xsd/identifiers\" ",
        "xmlns:ns2=\"http://x-road.eu/xsd/xroad.xsd\">\n"
    ));
    for client in clients {
        let object_type = if client.subsystem_code.is_some() { "SUBSYSTEM" } else { "MEMBER" };
        // Writing into a String cannot fail.
        let _ = write!(xml, "    <ns2:member>\n        <ns2:id ns1:objectType=\"{object_type}\">\n");
        element(&mut xml, 12, "ns1:xRoadInstance", client.instance);
        element(&mut xml, 12, "ns1:memberClass", client.member_class);
        element(&mut xml, 12, "ns1:memberCode", client.member_code);
        if let Some(code) = client.subsystem_code {
            element(&mut xml, 12, "ns1:subsystemCode", code);
        }
        xml.push_str("        </ns2:id>\n");
        element(&mut xml, 8, "ns2:name", client.name);
        if let Some(name) = client.subsystem_name {
            element(&mut xml, 8, "ns2:subsystemName", name);
        }
        xml.push_str("    </ns2:member>\n");
    }
    xml.push_str("</ns2:clientList>\n");
    xml
}

fn element(xml: &mut String, indent: usize, name: &str, value: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(xml, "{:indent$}<{name}>{}</{name}>", "", escape_text(value));
}
