//! Containers and time-stamps of official servers.

mod builder;
mod documents;
mod mutations;
mod timestamps;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hermod::evidence::asic::{Container, read_archive};
use hermod::evidence::{Warning, judge};
use hermod::trust::{GlobalConf, Policy};

use crate::common::vectors;

/// The official tests of 2024 have keys and digests of today, but OCSP answers from after the stamp.
const POLICY_2024: Policy = Policy { allow_future_ocsp: true, ..Policy::STRICT };

fn read(path: &Path) -> Bytes {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn containers_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "asice") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn loads_every_container_of_official_servers_and_writes_it_again_in_the_same_shape() {
    let Some(root) = vectors() else { return };
    let mut count = 0;
    for folder in ["captures/evidence", "captures/batch", "asic/archive-2023"] {
        for path in containers_below(&root.join(folder)) {
            let bytes = read(&path);
            let container =
                Container::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(container.other_entries.is_empty(), "{}", path.display());
            // Seconds of the extended time-stamp of the first entry, `mimetype`.
            let secs = u32::from_le_bytes(bytes[43..47].try_into().unwrap());
            let again = Bytes::from(container.to_bytes(hermod::time::UnixTime::from_secs(secs.into())));
            let names = |bytes| -> Vec<String> {
                read_archive(bytes).unwrap().into_iter().map(|entry| entry.name).collect()
            };
            assert_eq!(names(&again), names(&bytes), "{}", path.display());
            for (ours, theirs) in read_archive(&again).unwrap().iter().zip(read_archive(&bytes).unwrap()) {
                if ours.name != "META-INF/manifest.xml" {
                    assert_eq!(ours.data, theirs.data, "{} {}", path.display(), ours.name);
                }
            }
            assert_eq!(again[..10], bytes[..10], "{}", path.display());
            assert_eq!(again[14..47], bytes[14..47], "{}", path.display());
            assert_eq!(manifest_lines(&again), manifest_lines(&bytes), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

/// The lines of the OpenDocument manifest, sorted: their order means nothing.
fn manifest_lines(bytes: &Bytes) -> Vec<String> {
    let entries = read_archive(bytes).unwrap();
    let manifest = entries.iter().find(|entry| entry.name == "META-INF/manifest.xml").unwrap();
    let mut lines: Vec<String> =
        std::str::from_utf8(&manifest.data).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn verification_conf(root: &Path) -> GlobalConf {
    GlobalConf::load_dir(&root.join("globalconf-for-verification/globalconf_good2_v3")).unwrap()
}

fn capture_conf(root: &Path) -> GlobalConf {
    GlobalConf::load_dir(&root.join("captures/trust/verificationconf")).unwrap()
}

#[test]
fn gives_every_container_of_the_official_tests_its_verdict() {
    let Some(root) = vectors() else { return };
    let conf = verification_conf(&root);
    let expected: serde_json::Value =
        serde_json::from_slice(&read(&root.join("asic/expected.json"))).unwrap();
    for case in expected["cases"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let bytes = read(&root.join(file));
        if case["stage"] == "load" {
            let loaded = Container::parse(&bytes);
            match case["error_code"].as_str() {
                Some(code) => assert_eq!(loaded.unwrap_err().code(), code, "{file}"),
                None => drop(loaded.unwrap_or_else(|error| panic!("{file}: {error}"))),
            }
            continue;
        }
        let verdict = judge(&bytes, &conf, &POLICY_2024);
        assert_eq!(
            verdict.error.as_ref().map(|error| error.code()),
            case["error_code"].as_str(),
            "{file}: {:?}",
            verdict.error
        );
        if verdict.is_valid() {
            let time = verdict.time.map(|time| time.to_rfc3339());
            assert_eq!(time.as_deref(), case["at_date_utc"].as_str(), "{file}");
            let signer = verdict.signer.map(|signer| signer.to_string());
            assert_eq!(signer.as_deref(), case["claimed_signer"].as_str(), "{file}");
        }
    }
}

#[test]
fn loads_and_judges_the_container_that_official_tests_only_load() {
    let Some(root) = vectors() else { return };
    let bytes = read(&root.join("asic/load/valid-signed-message-with-attachments.asice"));
    let verdict = judge(&bytes, &verification_conf(&root), &POLICY_2024);
    assert!(verdict.is_valid(), "{:?}", verdict.error);
    assert_eq!(verdict.time.unwrap().to_rfc3339(), "2024-11-27T04:14:03Z");
    assert_eq!(verdict.signer.unwrap().member().to_string(), "DEV/COM/4321");
    assert_eq!(verdict.attachments.verified, [1, 2]);
}

#[test]
fn judges_every_captured_container_as_the_official_verifier_did() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    let mut count = 0;
    for folder in ["captures/evidence", "captures/batch"] {
        for path in containers_below(&root.join(folder)) {
            let verdict = judge(&read(&path), &conf, &Policy::STRICT);
            let official = std::fs::read_to_string(path.with_extension("verdict.txt")).unwrap();
            let name = path.display();
            if official.contains("Verification successful.") {
                assert!(verdict.is_valid(), "{name}: {:?}", verdict.error);
                let signer = verdict.signer.unwrap();
                assert!(
                    official.contains(&format!("ID: {}:{signer}\n", signer.type_name())),
                    "{name}: {signer}"
                );
                let covered = verdict.attachments.verified.len() + verdict.attachments.absent.len();
                assert_eq!(covered, official.matches("The digest for \"/attachment").count(), "{name}");
                assert_eq!(
                    verdict.attachments.verified.len(),
                    official.matches("(verified)").count(),
                    "{name}"
                );
            } else {
                let code = verdict.error.unwrap();
                assert!(official.contains(&format!("[SYSTEM] {}:", code.code())), "{name}: {code}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn trap_signature_34_latin1_evidence_of_official_servers_does_not_verify() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    for server in ["ss0", "ss1"] {
        let path = root.join(format!("captures/evidence/soap-latin1/{server}-request.asice"));
        let verdict = judge(&read(&path), &conf, &Policy::STRICT);
        assert_eq!(verdict.error.unwrap().code(), "invalid_signature_value");
    }
}

#[test]
fn trap_signature_33_a_changed_attachment_is_invalid_and_an_absent_one_is_reported() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    let path = root.join("captures/evidence/rest-post-1k/ss0-request.asice");
    let mut container = Container::parse(&read(&path)).unwrap();
    let created = hermod::time::UnixTime::default();
    let judged = |container: &Container| judge(&container.to_bytes(created).into(), &conf, &Policy::STRICT);
    assert_eq!(judged(&container).attachments.verified, [1]);
    let body = container.attachments.remove(&1).unwrap();
    assert_eq!(judged(&container).attachments.absent, [1]);
    container.attachments.insert(1, Bytes::from_static(b"other"));
    assert!(!judged(&container).is_valid());
    container.attachments.insert(1, body.clone());
    container.attachments.insert(2, body);
    assert!(!judged(&container).is_valid());
}

#[test]
fn trap_signature_32_rest_messages_keep_their_line_ends() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    let mut container =
        Container::parse(&read(&root.join("captures/evidence/rest-204/ss0-request.asice"))).unwrap();
    assert!(container.message.windows(2).any(|window| window == b"\r\n"));
    let text = std::str::from_utf8(&container.message).unwrap().replace("\r\n", "\n");
    container.message = text.into();
    assert!(!judge(&container.to_bytes(Default::default()).into(), &conf, &Policy::STRICT).is_valid());
}

#[test]
fn refuses_without_the_switch_what_is_accepted_with_it_and_warns() {
    let Some(root) = vectors() else { return };
    let conf = verification_conf(&root);
    let bytes = read(&root.join("asic/verifier/valid-signed-message.asice"));
    for policy in [Policy::STRICT, POLICY_2024] {
        let verdict = judge(&bytes, &conf, &policy);
        let needed = verdict.warnings.contains(&Warning::FutureOcsp);
        assert_eq!(verdict.is_valid(), policy == POLICY_2024 || !needed);
    }
}

#[test]
fn warns_of_chain_files_that_the_signature_does_not_refer_to() {
    let Some(root) = vectors() else { return };
    let bytes = read(&root.join("asic/verifier/invalid-not-signed-hashchain.asice"));
    let verdict = judge(&bytes, &verification_conf(&root), &POLICY_2024);
    assert!(verdict.warnings.contains(&Warning::UnusedHashChain));
}

#[test]
fn warns_of_a_repeated_identity_header() {
    let Some(root) = vectors() else { return };
    let path = root.join("captures/evidence/rest-get-response-headers/ss0-response.asice");
    let verdict = judge(&read(&path), &capture_conf(&root), &Policy::STRICT);
    assert!(verdict.is_valid());
    assert_eq!(verdict.warnings, [Warning::DuplicateIdentityHeader]);
}
