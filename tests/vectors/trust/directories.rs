//! Anchors and signed directories.

use std::path::Path;

use hermod::message::ErrorCode;
use hermod::time::UnixTime;
use hermod::trust::anchor::{Anchor, Location};
use hermod::trust::directory::{self, DirectoryError};
use hermod::trust::{PartKind, Policy, SharedParams, read_dir};

use super::{cases, certificate, globalconf, read, time};

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
