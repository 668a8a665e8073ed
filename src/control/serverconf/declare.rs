//! Clients as the text of a declaration, which `hermod registry apply` reads.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::import::Imported;
use crate::registry::{Client, Endpoint, Service, Subject};

/// The declaration of what was imported.
pub fn declaration(imported: &Imported) -> String {
    let mut out = String::from(
        "# Clients, services and rights of an official security server, from a dump of its database.\n",
    );
    if let Some(server) = &imported.server {
        let _ = writeln!(out, "# The server was {server}.");
    }
    if !imported.timestamping_urls.is_empty() {
        let urls: Vec<String> = imported.timestamping_urls.iter().map(|url| quoted(url)).collect();
        let _ = writeln!(
            out,
            "# Its time-stamping authorities, for hermod.toml: timestamp.urls = [{}]",
            urls.join(", ")
        );
    }
    imported.clients.iter().for_each(|client| push_client(&mut out, client));
    out
}

// Writing into a String cannot fail.
fn push_client(out: &mut String, client: &Client) {
    let _ = write!(
        out,
        "\n[[client]]\nid = {}\nstatus = {}\nconnection = {}\n",
        quoted(&client.id.to_rest()),
        quoted(client.status.as_str()),
        quoted(client.connection_type.as_str())
    );
    if !client.certificates.is_empty() {
        out.push_str("certificates = [\n");
        client.certificates.iter().for_each(|der| {
            let _ = writeln!(out, "'''\n{}''',", pem(der));
        });
        out.push_str("]\n");
    }
    for group in &client.local_groups {
        let members: Vec<String> = group.members.iter().map(|id| quoted(&id.to_rest())).collect();
        let _ = write!(
            out,
            "\n[[client.group]]\ncode = {}\ndescription = {}\nmembers = [{}]\n",
            quoted(group.id.group_code()),
            quoted(&group.description),
            members.join(", ")
        );
    }
    client.services.iter().for_each(|service| push_service(out, client, service));
}

fn push_service(out: &mut String, client: &Client, service: &Service) {
    let mut line = |key: &str, value: String| {
        let _ = writeln!(out, "{key} = {value}");
    };
    line("\n[[client.service]]\ncode", quoted(service.id.service_code()));
    if let Some(version) = service.id.service_version() {
        line("version", quoted(version));
    }
    line("type", quoted(service.service_type.as_str()));
    line("url", quoted(&service.url));
    if let Some(url) = &service.description_url {
        line("description", quoted(url));
    }
    if !service.verify_tls {
        line("verify_tls", "false".into());
    }
    if let Some(secs) = service.timeout_secs {
        line("timeout_secs", secs.to_string());
    }
    if let Some(notice) = &service.disabled {
        line("disabled", quoted(notice));
    }
    let own = |endpoint: &&Endpoint| endpoint.service_code == service.id.service_code();
    let endpoints: Vec<&Endpoint> = client.endpoints.iter().filter(own).collect();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_base() && !endpoint.access.is_empty()) {
        line("access", access(endpoint));
    }
    for endpoint in endpoints.iter().filter(|endpoint| !endpoint.is_base()) {
        line("\n[[client.service.endpoint]]\nmethod", quoted(&endpoint.method));
        line("path", quoted(endpoint.path.pattern()));
        if !endpoint.access.is_empty() {
            line("access", access(endpoint));
        }
    }
}

fn access(endpoint: &Endpoint) -> String {
    let subject = |subject: &Subject| match subject {
        Subject::Client(id) => quoted(&id.to_rest()),
        Subject::LocalGroup(id) => quoted(&format!("local:{}", id.group_code())),
        Subject::GlobalGroup(id) => {
            let encode = |part: &str| part.replace('%', "%25").replace('/', "%2F");
            quoted(&format!("global:{}/{}", encode(id.instance()), encode(id.group_code())))
        }
    };
    let subjects: Vec<String> = endpoint.access.iter().map(subject).collect();
    format!("[{}]", subjects.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn pem(der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
