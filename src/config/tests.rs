use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::*;

const SERVER: &str =
    "[server]\ninstance = \"LAB\"\nmember_class = \"GOV\"\nmember_code = \"300\"\nserver_code = \"ss2\"\n";

fn parse(text: &str) -> Result<Config, FileError> {
    Config::parse("hermod.toml", Path::new("/etc/hermod"), text)
}

fn complaints(text: &str) -> String {
    parse(&format!("{SERVER}{text}")).unwrap_err().to_string()
}

#[test]
fn a_file_with_the_identity_alone_has_every_default() {
    let config = parse(SERVER).unwrap();
    assert_eq!(config.server_id.to_string(), "LAB/GOV/300/ss2");
    assert_eq!(config.registry, PathBuf::from("/var/lib/hermod/registry.sqlite"));
    assert_eq!(config.listen.server, SocketAddr::from(([0, 0, 0, 0], 5500)));
    assert_eq!(config.listen.consumer_http, Some(SocketAddr::from(([0, 0, 0, 0], 8080))));
    assert_eq!(config.signer.token, Token::Hermod { dir: "/var/lib/hermod/tokens".into() });
    assert_eq!(config.log.body_bytes_max, 10_485_760);
    assert_eq!(config.timestamp.failure_secs_max, 14_400);
    assert_eq!(config.globalconf.update_interval_secs, 60);
    assert_eq!(config.proxy.version, "7.8.0");
    assert_eq!(config.proxy.min_supported_client_version, None);
}

#[test]
fn metrics_are_served_only_where_they_are_asked_for() {
    assert_eq!(parse(SERVER).unwrap().admin.listen, None);
    let config = parse(&format!("{SERVER}[admin]\nlisten = \"127.0.0.1:9600\"\n")).unwrap();
    assert_eq!(config.admin.listen, Some(SocketAddr::from(([127, 0, 0, 1], 9600))));
}

#[test]
fn trap_transport_14_connections_between_servers_are_kept_by_default_and_can_be_made_single_use() {
    assert!(parse(SERVER).unwrap().proxy.connection_reuse);
    let config = parse(&format!("{SERVER}[proxy]\nconnection_reuse = false\n")).unwrap();
    assert!(!config.proxy.connection_reuse);
}

#[test]
fn trap_transport_01_cbc_suites_are_there_by_default_and_can_be_switched_off() {
    assert!(parse(SERVER).unwrap().tls.cbc);
    assert!(!parse(&format!("{SERVER}[tls]\ncbc = false\n")).unwrap().tls.cbc);
}

#[test]
fn a_server_offers_something_to_other_servers() {
    let config = parse(&format!("{SERVER}[tls]\nmodern = false\nresumption = false\n")).unwrap();
    assert!(config.tls.cbc && !config.tls.modern && !config.tls.resumption && !config.tls.multiplexing);
    assert!(parse(SERVER).unwrap().tls.multiplexing);
    assert!(!parse(&format!("{SERVER}[tls]\nmultiplexing = false\n")).unwrap().tls.multiplexing);
    let refused = parse(&format!("{SERVER}[tls]\ncbc = false\nmodern = false\n")).unwrap_err().to_string();
    assert!(refused.contains("both false"), "{refused}");
}

#[test]
fn the_example_is_complete_and_holds_the_defaults() {
    let example = parse(Config::example()).unwrap();
    assert_eq!(example, parse(SERVER).unwrap());
    for key in known_keys() {
        let stated = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(Config::example().lines().any(stated), "{key} is not in the example");
    }
}

// Every key that the reader asks for: what it does not know it says, one section at a time.
fn known_keys() -> Vec<String> {
    let text = include_str!("read.rs");
    let called =
        ["text(\"", "switch(\"", "number(\"", "choice(\"", "parsed(\"", "list(\"", "path(section, \""];
    let mut keys = Vec::new();
    for call in called {
        keys.extend(text.split(call).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_string));
    }
    assert!(keys.len() > 40, "{keys:?}");
    keys
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_key_that_was_meant() {
    let error = complaints("[listen]\nocsp = \"127.0.0.1:5577\"\nconsumer_htp = \"127.0.0.1:80\"\n");
    assert_eq!(
        error,
        "hermod.toml:8: unknown key \"consumer_htp\" in [listen], did you mean \"consumer_http\"?"
    );
    let error = complaints("[wroker]\nthreads = 2\n");
    assert_eq!(error, "hermod.toml:6: unknown key \"wroker\", did you mean \"worker\"?");
    let error = complaints("[log]\nxyzzy = 2\n");
    assert_eq!(error, "hermod.toml:7: unknown key \"xyzzy\" in [log]");
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let error = complaints(
        "[worker]\nthreads = \"two\"\nruntime = \"uring\"\npin = 1\n[listen]\nserver = \"localhost\"\n\
         [log]\nbodies_except = [\"LAB/GOV\"]\nbody_bytes_max = -1\n",
    );
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "hermod.toml:7: worker.threads must be a whole number, not string");
    assert!(lines[1].starts_with(
        "hermod.toml:8: worker.runtime: \"uring\" is not one of auto, io_uring, epoll, did you mean \"io_uring\"?"
    ));
    assert_eq!(lines[2], "hermod.toml:9: worker.pin must be true or false, not integer");
    assert!(lines[3].starts_with("hermod.toml:11: listen.server: \"localhost\" is not an address and port"));
    assert!(
        lines[4].starts_with("hermod.toml:13: log.bodies_except: \"LAB/GOV\" is not instance/class/code")
    );
    assert_eq!(lines[5], "hermod.toml:14: log.body_bytes_max is -1, must be from 0 to 1073741824");
    assert_eq!(lines.len(), 6);
}

#[test]
fn a_missing_identity_and_broken_toml_are_told_with_their_lines() {
    let error =
        parse("[server]\ninstance = \"LAB\"\nmember_class = \" \"\nmember_code = \"1\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "hermod.toml:1: server.server_code is missing: a text in quotes\n\
         hermod.toml:3: server.member_class must not be blank"
    );
    let error = parse("root = \"/x\"\nroot = \"/y\"\n").unwrap_err();
    assert!(error.to_string().starts_with("hermod.toml:2: "), "{error}");
    let error = Config::load(Path::new("/nowhere/hermod.toml")).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/hermod.toml: cannot be read: "), "{error}");
}

#[test]
fn state_paths_are_relative_to_the_root_and_the_root_to_the_file() {
    let config = parse(&format!("root = \"state\"\n{SERVER}[log]\ndir = \"/fast/log\"\n")).unwrap();
    assert_eq!(config.root, PathBuf::from("/etc/hermod/state"));
    assert_eq!(config.globalconf.dir, PathBuf::from("/etc/hermod/state/globalconf"));
    assert_eq!(config.log.dir, PathBuf::from("/fast/log"));
    assert_eq!(config.ocsp.dir, PathBuf::from("/etc/hermod/state/ocsp"));
}

#[test]
fn a_token_has_the_keys_of_its_kind_and_one_pin() {
    let official =
        "[signer]\ntoken = \"official\"\nkeyconf = \"/etc/xroad/signer/keyconf.xml\"\npin = \"1\"\n";
    let config = parse(&format!("{SERVER}{official}")).unwrap();
    assert_eq!(config.signer.token, Token::Official { keyconf: "/etc/xroad/signer/keyconf.xml".into() });
    assert!(!format!("{config:?}").contains("Text(\"1\")"), "a PIN is not shown");
    assert!(complaints("[signer]\ntoken = \"official\"\n").contains("needs signer.keyconf"));
    assert!(complaints("[signer]\nkeyconf = \"k\"\n").contains("only for token = \"official\""));
    assert!(complaints("[signer]\npin = \"1\"\npin_file = \"p\"\n").contains("both given"));
}

#[test]
fn trap_transport_05_versions_are_semver_and_a_pre_release_sorts_below_its_release() {
    let version = |text| XRoadVersion::parse(text).unwrap();
    assert!(version("7.8.0-SNAPSHOT") < version("7.8.0"));
    assert!(version("7.10.0") > version("7.9.9"));
    assert!(version("7.6.0-1") > version("7.5.9"));
    for text in ["7.8", "7.8.0.1", "7.08.0", "v7.8.0", "", "7.8.0-", "unknown", "7.8.0-a_b"] {
        assert_eq!(XRoadVersion::parse(text), None, "{text}");
    }
    assert!(complaints("[proxy]\nmin_supported_client_version = \"7.6\"\n").contains("is not a version"));
}

#[test]
fn listeners_for_information_systems_can_be_off() {
    let config = parse(&format!("{SERVER}[listen]\nconsumer_http = \"off\"\n")).unwrap();
    assert_eq!(config.listen.consumer_http, None);
    assert!(complaints("[listen]\nserver = \"off\"\n").contains("listen.server"));
}

#[test]
fn each_preset_loads_and_says_what_it_should() {
    for (name, text) in PRESETS {
        // Itself a file of the same form, and every key of it is known.
        parse(&format!("{SERVER}{text}")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let preset = format!("preset = \"{name}\"\n{SERVER}");
        let config = parse(&preset).unwrap();
        assert_eq!(config, parse(&format!("{SERVER}{text}")).unwrap(), "{name}");
        let minimum = config.proxy.min_supported_client_version;
        let expected = matches!(name, "ee" | "fi").then(|| XRoadVersion::parse("7.6.0").unwrap());
        assert_eq!(minimum, expected, "{name}");
        assert_eq!(config.log.bodies, matches!(name, "ee" | "fo"), "{name}");
        assert_eq!(config.timestamp.failure_secs_max, if name == "fi" { 172_800 } else { 14_400 }, "{name}");
        assert_eq!(config.log.body_bytes_max, if name == "ee" { 20_971_520 } else { 10_485_760 }, "{name}");
        let consumer_http = config.listen.consumer_http.unwrap().to_string();
        assert_eq!(consumer_http, if name == "ee" { "127.0.0.1:80" } else { "0.0.0.0:8080" }, "{name}");
        // What the file says goes before it.
        let own = parse(&format!("{preset}[log]\nbodies = true\nbody_bytes_max = 5\n")).unwrap();
        assert_eq!((own.log.bodies, own.log.body_bytes_max), (true, 5), "{name}");
        assert_eq!(own.proxy, config.proxy, "{name}");
    }
    let unknown = parse(&format!("preset = \"fl\"\n{SERVER}")).unwrap_err().to_string();
    assert!(unknown.starts_with("hermod.toml:1: preset: \"fl\" is not one of ee, fi, fo, is"), "{unknown}");
    let mistake = parse(&format!("preset = \"fi\"\n{SERVER}[log]\nbody = true\n")).unwrap_err().to_string();
    assert!(mistake.contains("hermod.toml:8: unknown key \"body\" in [log]"), "{mistake}");
}
