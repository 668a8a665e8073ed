//! Anchors, signed directories, stored configurations.

use std::path::Path;

use hermod::message::{ClientId, ErrorCode, GlobalGroupId, SecurityServerId};
use hermod::time::UnixTime;
use hermod::trust::anchor::{Anchor, Location};
use hermod::trust::directory::{self, DirectoryError};
use hermod::trust::{
    CostStrategy, GlobalConf, PartKind, Policy, SharedParams, parse_fetch_interval, parse_monitoring,
    parse_next_update, read_dir,
};

use super::{cases, certificate, globalconf, read, time};
use crate::common::vectors;

#[test]
fn anchors_are_read_or_refused_as_upstream_does() {
    let Some(root) = globalconf() else { return };
    let rows = cases(&root, "anchor");
    assert_eq!(rows.len(), 12);
    for [id, input, _, expected, _] in rows {
        match Anchor::parse(&read(root.join(&input))) {
            Ok(anchor) => {
                assert_eq!(expected, "ok", "{id}");
                assert!(!anchor.sources.is_empty());
            }
            Err(error) => assert_eq!(error.code(), expected, "{id}: {error}"),
        }
    }
    let anchor = Anchor::parse(&read(root.join("anchors/configuration-anchor1.xml"))).unwrap();
    assert_eq!((anchor.instance.as_str(), anchor.sources.len()), ("EE", 3));
    let hashes: Vec<String> = anchor.sources[0]
        .verification_certs
        .iter()
        .map(|bytes| hermod::crypto::DigestAlgorithm::Sha1.digest(bytes).to_base64())
        .collect();
    assert_eq!(hashes, ["t7+jfR1wnsN1EBtBpCt/q8JIasg=", "4HCV0OGOaz4mJauIZvrt7A3RdfM="]);
    let fingerprint = Anchor::fingerprint(b"abc");
    assert!(fingerprint.starts_with("23:09:7D:22:34:05:D8:22:86:42:A4:77"), "{fingerprint}");
}

#[test]
fn trap_trust_20_an_anchor_with_only_https_is_used() {
    let text = br#"<a:configurationAnchor xmlns:a="http://x-road.eu/xsd/xroad.xsd"><instanceIdentifier>LAB</instanceIdentifier><source><downloadURL>https://conf.test/internalconf</downloadURL><verificationCert>AAAA</verificationCert></source></a:configurationAnchor>"#;
    // A certificate that is none is refused when the anchor is read.
    assert!(Anchor::parse(text).unwrap_err().is(ErrorCode::MalformedAnchor));
    let Some(root) = globalconf() else { return };
    let mut anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    for source in &mut anchor.sources {
        source.download_url = source.download_url.replace("http://", "https://");
    }
    assert!(!anchor.locations(None).is_empty());
}

fn location(instance: &str, certs: Vec<Vec<u8>>) -> Location {
    Location {
        instance: instance.to_owned(),
        url: "http://conf.test/internalconf".to_owned(),
        verification_certs: certs,
    }
}

// Everything a directory's own shared parameters and the anchor offer as verification certificates.
fn verification_certs(root: &Path, input: &str) -> Vec<Vec<u8>> {
    let folder = root.join(input);
    let folder = folder.parent().unwrap();
    let mut certs = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let file = entry.path().join("shared-params.xml");
        if !file.is_file() {
            continue;
        }
        let text = String::from_utf8(read(file)).unwrap();
        for kind in ["internalVerificationCert", "externalVerificationCert"] {
            for piece in text.split(&format!("<{kind}>")).skip(1) {
                let value: String = piece.split('<').next().unwrap().split_whitespace().collect();
                use base64::Engine as _;
                certs.push(base64::engine::general_purpose::STANDARD.decode(value).unwrap());
            }
        }
    }
    let anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    certs.extend(anchor.sources.into_iter().flat_map(|source| source.verification_certs));
    certs
}

// Verifies a directory and all its files as a client would; the code is that of the first failure.
fn client_verdict(
    bytes: &[u8],
    location: &Location,
    web_root: &Path,
    now: UnixTime,
) -> Result<directory::Directory, DirectoryError> {
    let directory = directory::verify(bytes, location, now, &Policy::LEGACY)?;
    for part in &directory.parts {
        let file = web_root.join(part.content_location.trim_start_matches('/'));
        directory.check_file(part, location, read(file))?;
    }
    Ok(directory)
}

#[test]
fn signed_directories_have_the_verdicts_of_official_clients() {
    let Some(root) = globalconf() else { return };
    let mut seen = 0;
    for [id, input, context, expected, _] in cases(&root, "signed-directory") {
        let bytes = read(root.join(&input));
        let at = |text| if context.contains("clock>") { time("2026-05-21T00:00:00Z") } else { time(text) };
        let verdict = if input.starts_with("signed/dev") {
            let set = if input.contains("dev-rotated") { "signed/dev-rotated" } else { "signed/dev" };
            let instance = if input.contains("/V3/") { "CS" } else { "DEV" };
            let location = location(instance, verification_certs(&root, &input));
            let verdict = client_verdict(&bytes, &location, &root.join(set), at("2026-01-01T00:00:00Z"));
            assert_eq!(
                directory::verify(&bytes, &location, time("2036-01-01T00:00:00Z"), &Policy::STRICT)
                    .unwrap_err(),
                DirectoryError::Outdated,
                "{id}"
            );
            verdict.map(|_| ())
        } else {
            let name = context.split("certs=").nth(1).unwrap().split(';').next().unwrap();
            let location = location("EE", vec![certificate(root.join(name)).der().to_vec()]);
            directory::verify(&bytes, &location, at("2026-01-01T00:00:00Z"), &Policy::STRICT).map(|_| ())
        };
        match verdict {
            Ok(()) => assert_eq!(expected, "ok", "{id}"),
            Err(error) => assert_eq!(error.code(), expected, "{id}: {error}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 25);
}

#[test]
fn trap_trust_21_every_signed_byte_counts_and_none_more() {
    let Some(root) = globalconf() else { return };
    let bytes = read(root.join("signed/dev/V6/internalconf"));
    let anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    let location = anchor.locations(None).remove(0);
    let now = time("2026-01-01T00:00:00Z");
    let verify = |bytes: &[u8]| directory::verify(bytes, &location, now, &Policy::STRICT);
    let directory = verify(&bytes).unwrap();
    assert_eq!((directory.version, directory.parts.len(), directory.others.len()), (6, 2, 0));
    // trap_trust_25: single quotes around the instance.
    assert_eq!(directory.parts[0].instance.as_deref(), Some("DEV"));
    let at =
        |needle: &str| bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
    let (from, to) = (at("Expire-date"), at("Signature-Algorithm-Id"));
    let mut refused = 0;
    for position in (from..to).step_by(13) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        refused += usize::from(verify(&changed).is_err());
    }
    assert_eq!(refused, (from..to).step_by(13).count());
    // Normalised line ends are other bytes.
    let text = String::from_utf8(bytes.clone()).unwrap().replace("\r\n", "\n");
    assert_eq!(verify(text.as_bytes()).unwrap_err(), DirectoryError::Signature);
    for length in (0..bytes.len()).step_by(17) {
        assert!(verify(&bytes[..length]).is_err() || length > bytes.len() - 30, "{length}");
    }
}

#[test]
fn trap_trust_22_another_inner_boundary_is_not_believed() {
    let Some(root) = globalconf() else { return };
    let text = String::from_utf8(read(root.join("signed/dev/V6/internalconf"))).unwrap();
    let anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    let location = anchor.locations(None).remove(0);
    let inner = text.split("multipart/mixed").nth(1).unwrap();
    let boundary = inner.split("boundary=").nth(1).unwrap().split('\r').next().unwrap();
    let changed = text.replacen(&format!("boundary={boundary}"), "boundary=somethingelse", 1);
    let verdict =
        directory::verify(changed.as_bytes(), &location, time("2026-01-01T00:00:00Z"), &Policy::STRICT);
    assert!(matches!(verdict, Err(DirectoryError::Malformed(_))), "{verdict:?}");
}

#[test]
fn trap_trust_26_instances_are_bound_to_their_source() {
    let Some(root) = globalconf() else { return };
    let bytes = read(root.join("signed/dev/V6/internalconf"));
    let anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    let mut other = anchor.locations(None).remove(0);
    other.instance = "OTHER".to_owned();
    let directory = directory::verify(&bytes, &other, time("2026-01-01T00:00:00Z"), &Policy::STRICT).unwrap();
    assert!(directory.parts.is_empty());
    assert_eq!(directory.others.len(), 2);
    // A certificate of another location does not count.
    other.verification_certs = vec![certificate(root.join("certs/consumer.pem")).der().to_vec()];
    let verdict = directory::verify(&bytes, &other, time("2026-01-01T00:00:00Z"), &Policy::STRICT);
    assert_eq!(verdict.unwrap_err(), DirectoryError::MissingVerificationCert);
}

#[test]
fn rotated_keys_verify_with_stored_parameters_only() {
    let Some(root) = globalconf() else { return };
    let bytes = read(root.join("signed/dev-rotated/V6/internalconf"));
    let anchor = Anchor::parse(&read(root.join("anchors/configuration_anchor_CS_internal.xml"))).unwrap();
    let now = time("2026-01-01T00:00:00Z");
    let accepted = |locations: Vec<Location>| {
        locations.iter().any(|location| directory::verify(&bytes, location, now, &Policy::STRICT).is_ok())
    };
    assert!(!accepted(anchor.locations(None)));
    let folder = std::fs::read_dir(root.join("signed/dev-rotated/V6")).unwrap().flatten();
    let file =
        folder.map(|entry| entry.path().join("shared-params.xml")).find(|file| file.is_file()).unwrap();
    let stored = SharedParams::parse(&read(file), 6).unwrap();
    assert!(accepted(anchor.locations(Some(&stored))));
}

#[test]
fn stored_sources_come_before_the_anchor_and_https_first() {
    let Some(root) = globalconf() else { return };
    for [id, input, context, _, _] in cases(&root, "source-urls") {
        let (_, parts) = match read_dir(&root.join(&input)) {
            Ok(read) => read,
            // These fixtures have no instance-identifier.
            Err(_) => {
                let bytes = read(root.join(&input).join("EE/shared-params.xml"));
                let version = if input.ends_with("V2") { 2 } else { 3 };
                let kind = PartKind::Shared;
                (
                    String::new(),
                    vec![hermod::trust::Part { kind, instance: "EE".into(), bytes, version, expires: None }],
                )
            }
        };
        let part = parts.iter().find(|part| part.kind == PartKind::Shared).unwrap();
        let stored = SharedParams::parse(&part.bytes, part.version).unwrap();
        let directory = context.rsplit(' ').next().unwrap();
        let mut anchor = Anchor::parse(&read(root.join("anchors/configuration-anchor2.xml"))).unwrap();
        anchor.sources[0].download_url = format!("http://cs.test/{directory}");
        anchor.instance = stored.instance.clone();
        let locations = anchor.locations(Some(&stored));
        let stored_urls = locations.iter().filter(|location| !location.url.contains("cs.test"));
        let stored_urls: Vec<&Location> = stored_urls.collect();
        let https = |location: &&&Location| location.is_https();
        match id.as_str() {
            "stored-urls-v3" => {
                let urls: Vec<&str> = stored_urls.iter().map(|location| location.url.as_str()).collect();
                assert_eq!(urls, ["https://node1/internalconf", "http://node1/internalconf"]);
                assert!(stored_urls.iter().all(|location| location.verification_certs.len() == 1));
            }
            "stored-urls-v3-proxy" => assert_eq!(stored_urls[0].verification_certs.len(), 2),
            "stored-urls-v3-many" => {
                assert_eq!(stored_urls.len(), 6);
                assert_eq!(stored_urls.iter().take_while(https).count(), 3);
            }
            _ => assert!(stored_urls.is_empty(), "{id}"),
        }
        assert!(locations.iter().any(|location| location.url == format!("http://cs.test/{directory}")));
    }
}

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
