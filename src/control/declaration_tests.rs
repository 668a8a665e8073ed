use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::*;
use crate::message::{ClientId, ServiceId};
use crate::registry::{ConnectionType, Registry};

const FULL: &str = r#"
[[client]]
id = "LAB/GOV/200/provider"
connection = "NOSSL"

[[client.group]]
code = "partners"
description = "Partner authorities"
members = ["LAB/GOV/100/consumer", "OTHER/COM/1"]

[[client.service]]
code = "echo"
type = "REST"
url = "http://127.0.0.1:9201/echo"
timeout_secs = 5
access = ["LAB/GOV/100/consumer", "global:LAB/security-server-owners"]

[[client.service.endpoint]]
method = "GET"
path = "/pets/*"
access = ["local:partners"]

[[client.service]]
code = "getRandom"
version = "v1"
type = "WSDL"
url = "http://127.0.0.1:9202/soap"
disabled = "Out of order"
log_bodies = false
refuse_repeats = true
access = ["LAB/GOV/100/consumer"]

[[client]]
id = ["LAB", "GOV", "a/b", "with%percent"]
"#;

fn parse(text: &str) -> Vec<crate::registry::Client> {
    parse_declaration("registry.toml", Path::new(""), text).unwrap()
}

fn complaints(text: &str) -> String {
    parse_declaration("registry.toml", Path::new(""), text).unwrap_err().to_string()
}

async fn database(folder: &tempfile::TempDir) -> RegistryDb {
    RegistryDb::open(&folder.path().join("registry.sqlite")).await.unwrap()
}

#[tokio::test]
async fn a_declaration_makes_the_round_trip_through_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let declared = Registry::new(parse(FULL), 1).unwrap();
    let changes = database(&folder).await.apply(parse(FULL), false).await.unwrap();
    assert!(
        changes.iter().any(|c| c.to_string() == "+ client LAB/GOV/200/provider service echo"),
        "{changes:?}"
    );
    let loaded = database(&folder).await.load().await.unwrap();
    assert_eq!(loaded.clients(), declared.clients());
    assert_eq!(loaded.generation(), 1);
    let provider = ClientId::new("LAB", "GOV", "200", Some("provider")).unwrap();
    let soap = loaded.service(&ServiceId::new(&provider, "getRandom", Some("v1")).unwrap()).unwrap();
    assert_eq!(soap.description_url.as_deref(), Some("http://127.0.0.1:9202/soap?wsdl"));
    assert_eq!(soap.disabled.as_deref(), Some("Out of order"));
    let odd = ClientId::new("LAB", "GOV", "a/b", Some("with%percent")).unwrap();
    assert_eq!(loaded.client(&odd).unwrap().connection_type, ConnectionType::SslAuth);
}

#[tokio::test]
async fn the_owner_is_a_client_of_a_running_server_whether_it_was_declared_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let owner = ClientId::new("LAB", "GOV", "300", None).unwrap();
    let serving = async || database(&folder).await.with_owner(owner.clone()).load().await.unwrap();
    let implied = serving().await;
    assert!(implied.client(&owner).unwrap().is_registered());
    assert_eq!(implied.client(&owner).unwrap().connection_type, ConnectionType::SslAuth);
    let declared = "[[client]]\nid = \"LAB/GOV/300\"\nconnection = \"NOSSL\"\n";
    database(&folder).await.apply(parse(declared), false).await.unwrap();
    let after = serving().await;
    assert_eq!(after.clients().len(), 1);
    assert_eq!(after.client(&owner).unwrap().connection_type, ConnectionType::NoSsl);
    // It is never stored.
    database(&folder).await.apply(Vec::new(), false).await.unwrap();
    assert!(database(&folder).await.load().await.unwrap().clients().is_empty());
}

#[tokio::test]
async fn applying_tells_exactly_what_changes_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = database(&folder).await;
    database.apply(parse(FULL), false).await.unwrap();
    assert_eq!(database.apply(parse(FULL), false).await.unwrap(), []);
    assert_eq!(database.load().await.unwrap().generation(), 1, "nothing changed, nothing written");
    let changed = FULL.replace("timeout_secs = 5", "timeout_secs = 7").replace(", \"OTHER/COM/1\"", "");
    let changed = changed.split("[[client]]\nid = [").next().unwrap();
    let told = |changes: Vec<crate::registry::Change>| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    let dry = told(database.apply(parse(changed), true).await.unwrap());
    assert_eq!(
        dry,
        [
            "- client LAB/GOV/200/provider local group partners member OTHER/COM/1",
            "~ client LAB/GOV/200/provider service echo timeout_secs: 5 -> 7",
            "- client LAB/GOV/a/b/with%percent",
            "- client LAB/GOV/a/b/with%percent connection = SSLAUTH",
            "- client LAB/GOV/a/b/with%percent status = registered",
        ]
    );
    assert_eq!(database.load().await.unwrap().clients().len(), 2, "a dry run changes nothing");
    assert_eq!(told(database.apply(parse(changed), false).await.unwrap()), dry);
    assert_eq!(database.load().await.unwrap().clients().len(), 1);
}

#[tokio::test]
async fn a_state_that_contradicts_itself_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = database(&folder).await;
    database.apply(parse(FULL), false).await.unwrap();
    let mut clients = parse("[[client]]\nid = \"LAB/GOV/1\"\n");
    clients.extend(clients.clone());
    let error = database.apply(clients, false).await.unwrap_err();
    assert_eq!(error.to_string(), "client LAB/GOV/1 is there twice");
    let kept = database.load().await.unwrap();
    assert_eq!((kept.clients().len(), kept.generation()), (2, 1));
}

#[tokio::test]
async fn a_failure_in_the_middle_of_writing_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = database(&folder).await;
    database.apply(parse(FULL), false).await.unwrap();
    let trigger =
        "CREATE TRIGGER full BEFORE INSERT ON access_right BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    database.execute(trigger).await;
    let changed = FULL.replace("timeout_secs = 5", "timeout_secs = 7");
    assert!(database.apply(parse(&changed), false).await.unwrap_err().to_string().contains("disk full"));
    let kept = database.load().await.unwrap();
    assert_eq!(kept.clients(), Registry::new(parse(FULL), 1).unwrap().clients());
}

#[tokio::test]
async fn a_running_server_takes_over_what_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let published = Arc::new(ArcSwap::from_pointee(database(&folder).await.load().await.unwrap()));
    let watcher = tokio::spawn(database(&folder).await.watch(published.clone(), |_| ()));
    database(&folder).await.apply(parse(FULL), false).await.unwrap();
    while published.load().generation() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(published.load().clients().len(), 2);
    watcher.abort();
}

#[test]
fn mistakes_in_a_declaration_are_told_with_lines_and_suggestions() {
    let error = complaints(
        "[[client]]\nid = \"LAB/GOV\"\nconection = \"NOSSL\"\ncertificates = [\"/nowhere.pem\"]\n\
         [[client.service]]\ncode = \"a\"\ntype = \"SOAP\"\nurl = \"ftp://x/\"\naccess = [\"global:LAB\"]\n",
    );
    let lines: Vec<&str> = error.lines().collect();
    assert!(
        lines[0].starts_with("registry.toml:2: client.id: \"LAB/GOV\" is not instance/class/code"),
        "{error}"
    );
    assert_eq!(
        lines[1],
        "registry.toml:3: unknown key \"conection\" in [client], did you mean \"connection\"?"
    );
    assert!(
        lines[2].starts_with("registry.toml:4: client.certificates: /nowhere.pem cannot be read"),
        "{error}"
    );
    assert!(
        lines[3].contains(":7: client.service.type: \"SOAP\" is not one of WSDL, REST, OPENAPI3"),
        "{error}"
    );
    assert!(lines[4].contains(":8: client.service.url: \"ftp://x/\" is not an http or https URL"), "{error}");
    assert!(
        lines[5].contains(":9: client.service.access: \"global:LAB\" is not global:instance/group"),
        "{error}"
    );
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    let service = |lines: &str| {
        complaints(&format!(
            "[[client]]\nid = \"LAB/GOV/1/s\"\n[[client.service]]\ncode = \"a\"\nurl = \"http://h/\"\n{lines}"
        ))
    };
    assert!(service("type = \"OPENAPI3\"\n").contains("client.service.description is missing"));
    assert!(service("type = \"REST\"\nversion = \"v1\"\n").contains("a REST service has no version"));
    let endpoint = "[[client.service.endpoint]]\n";
    assert!(
        service(&format!("type = \"REST\"\n{endpoint}method = \"get\"\npath = \"/\"\n"))
            .contains("not one of")
    );
    assert!(
        service(&format!("type = \"REST\"\n{endpoint}method = \"GET\"\npath = \"pets\"\n"))
            .contains("begin with /")
    );
    assert!(
        service(&format!("type = \"WSDL\"\n{endpoint}method = \"*\"\npath = \"/\"\n"))
            .contains("SOAP service")
    );
    assert!(service("type = \"REST\"\naccess = [\"local:none\"]\n").contains("has no local group none"));
    let certificate = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----";
    let text = format!("[[client]]\nid = \"LAB/GOV/1/s\"\ncertificates = [\"{certificate}\"]\n");
    assert!(complaints(&text).contains("is not a certificate"));
}

#[tokio::test]
async fn a_registry_of_a_newer_version_is_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.sqlite");
    let mut database = RegistryDb::open(&file).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'of a version to come', TRUE, x'00', 0)";
    database.execute(later).await;
    drop(database);
    let refused = RegistryDb::open(&file).await.err().unwrap().to_string();
    assert!(refused.contains("newer version of Hermod") && refused.contains("99"), "{refused}");
}
