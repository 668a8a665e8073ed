use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::message::{ClientId, GlobalGroupId, LocalGroupId, ServiceId};

fn id(code: &str, subsystem: Option<&str>) -> ClientId {
    ClientId::new("LAB", "GOV", code, subsystem).unwrap()
}

fn provider() -> ClientId {
    id("200", Some("provider"))
}

struct Groups(HashSet<(GlobalGroupId, ClientId)>);

impl GlobalGroups for Groups {
    fn contains(&self, group: &GlobalGroupId, client: &ClientId) -> bool {
        self.0.contains(&(group.clone(), client.clone()))
    }
}

fn service(code: &str, version: Option<&str>) -> Service {
    Service {
        id: ServiceId::new(&provider(), code, version).unwrap(),
        service_type: ServiceType::Rest,
        url: "http://127.0.0.1:1/".into(),
        description_url: None,
        verify_tls: true,
        timeout_secs: None,
        disabled: None,
        log_bodies: None,
        refuse_repeats: false,
    }
}

fn endpoint(code: &str, method: &str, path: &str, access: &[Subject]) -> Endpoint {
    Endpoint {
        service_code: code.into(),
        method: method.into(),
        path: PathGlob::new(path).unwrap(),
        access: access.iter().cloned().collect(),
    }
}

fn registry(services: Vec<Service>, endpoints: Vec<Endpoint>) -> Registry {
    let group = LocalGroup {
        id: LocalGroupId::new("partners").unwrap(),
        description: String::new(),
        members: BTreeSet::from([id("100", Some("partner"))]),
    };
    let client = Client {
        id: provider(),
        status: ClientStatus::Registered,
        connection_type: ConnectionType::SslAuth,
        certificates: BTreeSet::new(),
        services,
        endpoints,
        local_groups: vec![group],
    };
    Registry::new(vec![client], 1).unwrap()
}

fn allows(registry: &Registry, client: &ClientId, code: &str, method: &str, path: &str) -> bool {
    let service = ServiceId::new(&provider(), code, None).unwrap();
    registry.is_rest_call_allowed(client, &service, method, path, &NoGroups).unwrap()
}

#[test]
fn trap_trust_37_a_right_covers_exactly_its_subject() {
    let (member, app) = (id("100", None), id("100", Some("app")));
    let of = |subject: &ClientId| {
        let access = [Subject::Client(subject.clone())];
        registry(vec![service("echo", None)], vec![endpoint("echo", "*", "**", &access)])
    };
    assert!(allows(&of(&member), &member, "echo", "GET", "/"));
    assert!(!allows(&of(&member), &app, "echo", "GET", "/"), "no inheritance from member to subsystem");
    assert!(!allows(&of(&app), &member, "echo", "GET", "/"), "nor the reverse");
}

#[test]
fn groups_give_rights_to_their_exact_members() {
    let global = GlobalGroupId::new("LAB", "owners").unwrap();
    let access =
        [Subject::GlobalGroup(global.clone()), Subject::LocalGroup(LocalGroupId::new("partners").unwrap())];
    let registry = registry(vec![service("echo", None)], vec![endpoint("echo", "*", "**", &access)]);
    let groups = Groups(HashSet::from([(global, id("300", None))]));
    let allowed =
        |client: &ClientId| registry.is_allowed(client, &provider(), "echo", Target::Service, &groups);
    assert!(allowed(&id("300", None)));
    assert!(!allowed(&id("300", Some("app"))));
    assert!(allowed(&id("100", Some("partner"))));
    assert!(!allowed(&id("100", None)));
}

#[test]
fn trap_transport_20_rights_ignore_the_version_and_lookup_does_not() {
    let client = id("100", None);
    let access = [Subject::Client(client.clone())];
    let services = vec![service("getRandom", Some("v1")), service("getRandom", Some("v2"))];
    let registry = registry(services, vec![endpoint("getRandom", "*", "**", &access)]);
    let with = |version| ServiceId::new(&provider(), "getRandom", version).unwrap();
    assert!(registry.service(&with(Some("v1"))).is_some());
    assert!(registry.service(&with(None)).is_none());
    assert!(registry.service(&with(Some("v3"))).is_none());
    assert!(registry.is_allowed(&client, &provider(), "getRandom", Target::Service, &NoGroups));
    assert_eq!(registry.allowed_services(&client, &provider(), &NoGroups).len(), 2);
}

#[test]
fn a_right_to_an_endpoint_covers_its_method_and_paths_only() {
    let client = id("100", None);
    let access = [Subject::Client(client.clone())];
    let endpoints = vec![endpoint("pets", "*", "**", &[]), endpoint("pets", "GET", "/pets/*", &access)];
    let registry = registry(vec![service("pets", None)], endpoints);
    assert!(allows(&registry, &client, "pets", "GET", "/pets/1"));
    assert!(allows(&registry, &client, "pets", "GET", "/pets/%C3%A4"));
    assert!(!allows(&registry, &client, "pets", "POST", "/pets/1"));
    assert!(!allows(&registry, &client, "pets", "get", "/pets/1"), "methods are compared as written");
    assert!(!allows(&registry, &client, "pets", "GET", "/pets/1/2"));
    assert!(!registry.is_allowed(&client, &provider(), "pets", Target::Service, &NoGroups), "not for SOAP");
    assert_eq!(registry.allowed_services(&client, &provider(), &NoGroups).len(), 1);
}

#[test]
fn ambiguous_paths_are_refused_where_paths_decide_and_pass_elsewhere() {
    let client = id("100", None);
    let access = [Subject::Client(client.clone())];
    let base = || endpoint("echo", "*", "**", &access);
    let wide = registry(vec![service("echo", None)], vec![base()]);
    let narrow = registry(vec![service("echo", None)], vec![base(), endpoint("echo", "GET", "/a/*", &[])]);
    let service = ServiceId::new(&provider(), "echo", None).unwrap();
    for path in [
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/./b",
        "/a//b",
        "//a",
        "/a%2Fb",
        "/a%5Cb",
        "/a%3Fb",
        "/a%23b",
        "/a%00",
        "/a/%252e%252e/b",
        "/a/..;x=1/b",
        "/a/%2e%2e%3bx/b",
        "/a%zz",
        "/a%C3",
        "/a%25%32%46b",
        "/..",
        "/.",
    ] {
        assert_eq!(allows(&wide, &client, "echo", "GET", path), path != "/..", "{path}");
        assert!(narrow.is_rest_call_allowed(&client, &service, "GET", path, &NoGroups).is_err(), "{path}");
    }
    for path in ["", "/", "/a/", "/a/b", "/a%20b", "/100%25", "/a;x=1/b", "/x..y", "/a%2Db"] {
        assert!(allows(&narrow, &client, "echo", "GET", path), "{path}");
    }
}

#[test]
fn no_right_leads_out_of_a_service() {
    let client = id("100", None);
    let access = [Subject::Client(client.clone())];
    let wide = registry(vec![service("echo", None)], vec![endpoint("echo", "*", "**", &access)]);
    for path in ["/..", "/../x", "/..%2fx", "/%2e%2e/x", "/a/../../x", "/a%2F..%2F..", "/./..", "//../.."] {
        assert!(!allows(&wide, &client, "echo", "GET", path), "{path}");
    }
    for path in ["", "/", "/a/..", "/a/../b", "/a/b/../../c", "/..a", "/x..y", "/...", "/%252e%252e"] {
        assert!(allows(&wide, &client, "echo", "GET", path), "{path}");
    }
}

#[test]
fn the_checked_path_is_the_sent_path() {
    let path = CheckedPath::new("/a%20b/%C3%A4/").unwrap();
    assert_eq!((path.decoded(), path.raw()), ("/a b/ä/", "/a%20b/%C3%A4/"));
    assert_eq!(CheckedPath::new("a"), Err(PathError::NoSlash));
    assert_eq!(CheckedPath::new("/a//"), Err(PathError::EmptySegment));
}

#[test]
fn endpoints_without_a_right_for_the_client_do_not_help() {
    let registry = registry(vec![service("echo", None)], vec![endpoint("echo", "*", "**", &[])]);
    assert!(!allows(&registry, &id("100", None), "echo", "GET", "/"));
    assert!(!allows(&registry, &id("100", None), "unknown", "GET", "/"));
    assert!(registry.allowed_services(&id("100", None), &provider(), &NoGroups).is_empty());
}

#[test]
fn contradictions_are_refused() {
    let client = |services, endpoints| Client {
        services,
        endpoints,
        ..registry(Vec::new(), Vec::new()).clients()[0].clone()
    };
    let build = |clients| Registry::new(clients, 0).unwrap_err().to_string();
    let twice = vec![client(vec![], vec![]), client(vec![], vec![])];
    assert!(build(twice).contains("is there twice"));
    let twice = vec![client(vec![service("a", None), service("a", None)], vec![])];
    assert!(build(twice).contains("service LAB/GOV/200/provider/a is there twice"));
    let lost = vec![client(vec![], vec![endpoint("a", "*", "**", &[])])];
    assert!(build(lost).contains("does not have"));
    let unknown = Subject::LocalGroup(LocalGroupId::new("nobody").unwrap());
    let unknown = vec![client(vec![service("a", None)], vec![endpoint("a", "*", "**", &[unknown])])];
    assert!(build(unknown).contains("has no local group nobody"));
    let twice = vec![endpoint("a", "GET", "/x", &[]), endpoint("a", "GET", "/x", &[])];
    assert!(build(vec![client(vec![service("a", None)], twice)]).contains("endpoint GET /x of service a"));
}

#[test]
fn work_on_a_hostile_pattern_stays_bounded() {
    let glob = PathGlob::new(&"**a".repeat(600)).unwrap();
    assert!(!glob.matches(&format!("{}b", "a".repeat(2000))));
}
