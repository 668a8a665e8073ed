//! Stored configurations.

use hermod::message::{ClientId, ErrorCode, GlobalGroupId, SecurityServerId};
use hermod::trust::anchor::Anchor;
use hermod::trust::directory;
use hermod::trust::{
    CostStrategy, GlobalConf, PartKind, Policy, SharedParams, parse_fetch_interval, parse_monitoring,
    parse_next_update, read_dir,
};

use super::{cases, certificate, globalconf, read, time};
use crate::common::vectors;

#[test]
fn stored_configurations_have_their_verdicts() {
    let Some(root) = globalconf() else { return };
    let now = time("2026-01-01T00:00:00Z");
    for [id, input, _, expected, detail] in cases(&root, "stored-gc") {
        let conf = GlobalConf::load_dir(&root.join(&input));
        if expected != "ok" {
            match conf {
                Err(error) => assert!(error.is(ErrorCode::MalformedGlobalConf), "{id}: {error}"),
                // Files of a foreign instance are left out and named.
                Ok(conf) => {
                    assert!(!conf.problems().is_empty() && conf.check_valid(now).is_err(), "{id}");
                    assert_eq!(conf.instances().count(), 0);
                }
            }
            continue;
        }
        let conf = conf.unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(conf.problems(), [""; 0], "{id}");
        if let Some(version) = detail.split("local version ").nth(1) {
            let shared = conf.shared_params(conf.local_instance()).unwrap();
            assert_eq!(shared.version.to_string(), version, "{id}");
        }
        if detail.contains("no PP") {
            assert!(conf.check_valid(now).is_err());
        } else {
            conf.check_valid(now).unwrap();
            let late = conf.check_valid(time("2124-05-21T00:00:00Z")).unwrap_err();
            assert_eq!(late.code(), "global_conf_outdated");
        }
    }
    for folder in ["ss-admin-inttest", "cs-admin-inttest", "signer-inttest", "messagelog-addon"] {
        let conf = GlobalConf::load_dir(&root.join("stored").join(folder)).unwrap();
        assert_eq!(conf.problems(), [""; 0], "{folder}");
    }
}

#[test]
fn trap_trust_28_missing_metadata_means_expired() {
    let Some(root) = vectors() else { return };
    let conf = GlobalConf::load_dir(&root.join("captures/trust/verificationconf")).unwrap();
    let now = time("2026-11-23T22:55:00Z");
    assert!(conf.check_valid(now).unwrap_err().is(ErrorCode::GlobalConfOutdated));
    assert!(conf.check_instance("LAB", now).unwrap_err().is(ErrorCode::InternalError));
    // It still serves the verification of evidence.
    assert_eq!(conf.ca_certificates().len(), 1);
    assert_eq!(conf.shared_params("LAB").unwrap().version, 6);
}

#[test]
fn trap_trust_29_unknown_elements_invalidate_a_file() {
    let Some(root) = vectors() else { return };
    let file = root.join("captures/trust/globalconf-as-seen-by-ss0/LAB/shared-params.xml");
    let text = String::from_utf8(read(file)).unwrap();
    let parse = |text: &str, version| SharedParams::parse(text.as_bytes(), version);
    parse(&text, 6).unwrap();
    let insert = |before: &str, what: &str| text.replacen(before, &format!("{what}{before}"), 1);
    for changed in [
        insert("<globalSettings>", "<dataSpace/>"),
        insert("<memberCode>", "<unknown>x</unknown>"),
        insert("</securityServer>", "<port>5500</port>"),
        text.replacen("<member ", "<member other=\"x\" ", 1),
        text.replacen("<globalSettings>", "<globalSettings>text", 1),
        text.replacen("<ocspFreshnessSeconds>", "<ocspFreshnessSeconds>x", 1),
        text.replacen("</owner>", "x</owner>", 1),
    ] {
        assert_ne!(changed, text);
        assert!(parse(&changed, 6).is_err());
    }
    // Only at the end, and not in version 2, something may follow.
    let (head, _) = text.rsplit_once("</").unwrap();
    let end = &text[head.len()..];
    let extended = format!("{head}<x:extension xmlns:x=\"urn:x\"><y/></x:extension>{end}");
    parse(&extended, 6).unwrap();
    // Elements of later versions are unknown to earlier ones.
    assert!(parse(&text, 2).is_err());
    assert!(
        parse(&text.replace("<costType>", "<costKind>").replace("</costType>", "</costKind>"), 6).is_err()
    );
}

#[test]
fn optional_parts_are_validated_and_last_values_kept() {
    let Some(root) = globalconf() else { return };
    for [id, input, _, expected, detail] in cases(&root, "extension") {
        let bytes = read(root.join(&input));
        let ok = if input.contains("fetchinterval") {
            parse_fetch_interval(&bytes).map(|seconds| assert_eq!(seconds, 500)).is_ok()
        } else if input.contains("nextupdate") {
            parse_next_update(&bytes).map(|verify| assert!(!verify)).is_ok()
        } else {
            let client = parse_monitoring(&bytes);
            if let Ok(Some(client)) = &client {
                assert!(detail.contains(&client.to_string()));
            }
            client.is_ok()
        };
        assert_eq!(ok, expected == "ok", "{id}");
    }
    let (local, mut parts) = read_dir(&root.join("stored/globalconf_good_v6")).unwrap();
    let part = |kind, file: &str| hermod::trust::Part {
        kind,
        instance: local.clone(),
        bytes: read(root.join("extensions").join(file)),
        version: 6,
        expires: None,
    };
    parts.push(part(PartKind::NextUpdate, "valid-nextupdate-params.xml"));
    let first = GlobalConf::from_parts(&local, &parts, None).unwrap();
    assert!(!first.verify_next_update());
    assert_eq!(first.ocsp_fetch_interval_secs(), 1200);
    parts.pop();
    parts.push(part(PartKind::NextUpdate, "invalid-nextupdate-params.xml"));
    let second = GlobalConf::from_parts(&local, &parts, Some(&first)).unwrap();
    assert!(!second.verify_next_update());
    assert_eq!(second.problems().len(), 1);
    parts.pop();
    assert!(GlobalConf::from_parts(&local, &parts, Some(&second)).unwrap().verify_next_update());
}

#[test]
fn responders_are_ordered_by_cost() {
    let Some(root) = globalconf() else { return };
    let conf = GlobalConf::load_dir(&root.join("stored/globalconf_good_v6")).unwrap();
    let user = certificate(root.join("certs/test_chain/user_1.pem"));
    for [id, _, context, expected, _] in cases(&root, "ocsp-url-order") {
        let strategy = CostStrategy::from_name(context.rsplit(' ').next().unwrap()).unwrap();
        let short = |url: &String| match url.strip_prefix("http://127.0.0.1:8082/") {
            Some(_) => "8082".to_owned(),
            None => url.rsplit('/').next().unwrap().to_owned(),
        };
        let urls: Vec<String> = conf.ocsp_urls(&user, strategy).iter().map(short).collect();
        assert_eq!(urls.join(","), expected.replace("http://127.0.0.1:8082/ocsp", "8082"), "{id}");
    }
}

#[test]
fn captured_configuration_answers_the_questions_of_an_exchange() {
    let Some(root) = vectors() else { return };
    let trust = root.join("captures/trust");
    let conf = GlobalConf::load_dir(&trust.join("globalconf-as-seen-by-ss0")).unwrap();
    let now = time("2026-11-23T22:55:00Z");
    conf.check_valid(now).unwrap();
    assert!(conf.check_valid(time("2027-11-23T21:53:06Z")).is_err());
    conf.check_instance("LAB", now).unwrap();
    assert!(conf.check_instance("FOO", now).is_err());
    let (ss0, ss1) = (
        certificate(trust.join("certificates/ss0-auth.der")),
        certificate(trust.join("certificates/ss1-auth.der")),
    );
    let (server0, server1) = (conf.auth_cert_server(&ss0).unwrap(), conf.auth_cert_server(&ss1).unwrap());
    assert_ne!(server0, server1);
    assert_eq!(conf.auth_cert_server(&certificate(trust.join("certificates/ss0-sign.der"))), None);
    for server in conf.servers() {
        // trap_trust_13: the owner is a client, its subsystems only when listed.
        let owner = server.id.owner().client();
        assert_eq!(conf.is_client_of_auth_cert(&owner, &ss0), server.id == server0);
        let unlisted =
            ClientId::new(owner.instance(), owner.member_class(), owner.member_code(), Some("nowhere"));
        assert!(!conf.is_client_of_auth_cert(&unlisted.clone().unwrap(), &ss0));
        let error = conf.provider_addresses(&unlisted.unwrap(), None, now).unwrap_err();
        assert!(error.is(ErrorCode::UnknownMember));
        for client in &server.clients {
            let addresses = conf.provider_addresses(client, Some(&server.id), now).unwrap();
            // trap_trust_04: addresses carry no port.
            assert_eq!(addresses, [server.address.as_deref().unwrap()]);
            assert!(!addresses[0].contains(':'));
            assert!(conf.contains(client));
        }
        let stranger = SecurityServerId::new("LAB", "NO", "1", "x").unwrap();
        let error = conf.provider_addresses(&server.clients[0], Some(&stranger), now).unwrap_err();
        assert!(error.is(ErrorCode::InvalidSecurityServer));
    }
    let owners = GlobalGroupId::new("LAB", "security-server-owners").unwrap();
    assert!(conf.global_group_contains(&owners, &server0.owner().client()));
    assert!(!conf.global_group_contains(&GlobalGroupId::new("FOO", "x").unwrap(), &server0.owner().client()));
    let chain = conf.cert_chain("LAB", &ss0);
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[1], certificate(trust.join("certificates/ca.der")));
    assert_eq!(conf.tsa_certificates(), [certificate(trust.join("certificates/tsa.der"))]);
    assert_eq!(conf.ocsp_freshness_secs(), 3600);
    assert!(conf.management_service().is_some());
    // trap_trust_23: the captured directory verifies with its anchor and carries its version.
    let anchor = Anchor::parse(&read(trust.join("anchors/internal-anchor.xml"))).unwrap();
    let bytes = read(trust.join("globalconf-V6/internalconf"));
    let location = &anchor.locations(None)[0];
    let directory = directory::verify(&bytes, location, now, &Policy::STRICT).unwrap();
    assert_eq!(directory.version, 6);
    for part in &directory.parts {
        let path = trust.join("globalconf-V6").join(part.content_location.trim_start_matches("/V6/"));
        directory.check_file(part, location, read(path)).unwrap();
        assert!(directory.check_file(part, location, b"<conf/>".to_vec()).is_err());
        assert!(part.url("http://conf.test/internalconf?version=6").starts_with("http://conf.test/V6/"));
    }
}

#[test]
fn trap_trust_12_each_file_decides_the_digest_of_its_hashes() {
    let Some(root) = globalconf() else { return };
    let conf = GlobalConf::load_dir(&root.join("stored/globalconf_good_v6")).unwrap();
    for instance in conf.instances() {
        let shared = conf.shared_params(instance).unwrap();
        for server in &shared.security_servers {
            let listed = conf.server(&server.id).unwrap();
            assert_eq!(listed.auth_cert_hashes, server.auth_cert_hashes);
        }
    }
    let dev = root.join("signed/dev/V6");
    let folder = std::fs::read_dir(dev).unwrap().flatten();
    let file =
        folder.map(|entry| entry.path().join("shared-params.xml")).find(|file| file.is_file()).unwrap();
    let part = |version| hermod::trust::Part {
        kind: PartKind::Shared,
        instance: "DEV".to_owned(),
        bytes: read(&file),
        version,
        expires: None,
    };
    let conf = GlobalConf::from_parts("DEV", &[part(6)], None).unwrap();
    let keyconf = String::from_utf8(read(root.join("keyconf/dev-signer/keyconf.xml"))).unwrap();
    let servers: Vec<_> = keyconf
        .split("<contents>")
        .skip(1)
        .filter_map(|piece| {
            let text = piece.split("</contents>").next()?;
            let certificate = hermod::crypto::Certificate::from_der_or_pem(text.as_bytes()).ok()?;
            conf.auth_cert_server(&certificate)
        })
        .collect();
    assert_eq!(servers, [SecurityServerId::new("DEV", "COM", "1234", "SS0").unwrap()]);
}
