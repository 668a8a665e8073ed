//! What is downloaded, from where, and how often.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::time::Clock as _;

use super::source::{Directory, Listed, SOURCE, Setup, anchor};
use crate::common::{Instance, START};

fn paths(asked: &[String]) -> Vec<&str> {
    asked.iter().map(|url| url.strip_prefix("http://conf.test").unwrap_or(url)).collect()
}

#[tokio::test]
async fn the_first_download_is_stored_as_official_clients_store_it_and_comes_into_force() {
    let mut setup = Setup::new();
    let mut directory = setup.directory();
    let interval = b"<c:conf xmlns:c='http://x-road.eu/xsd/xroad.xsd'/>".to_vec();
    directory.files.push(Listed {
        file_name: Some("notes.xml"),
        ..Listed::new("NOTES", "/V6/1/some-notes.xml", interval.clone())
    });
    setup.publish(&directory);
    assert_eq!(setup.update().await, "");
    let in_force = setup.in_force();
    assert_eq!(in_force.global_conf.local_instance(), "SANDBOX");
    in_force.global_conf.check_valid(setup.clock.now()).unwrap();
    assert_eq!(in_force.global_conf.expires(), Some(START.plus_secs(600)));
    let dir = &setup.settings.dir;
    assert_eq!(fs::read_to_string(dir.join("instance-identifier")).unwrap(), "SANDBOX");
    for (name, file) in ["shared-params.xml", "private-params.xml", "notes.xml"].iter().zip(&directory.files)
    {
        assert_eq!(fs::read(setup.file(name)).unwrap(), file.bytes);
    }
    assert_eq!(
        fs::read_to_string(setup.file("shared-params.xml.metadata")).unwrap(),
        format!(
            "{{\"contentIdentifier\":\"SHARED-PARAMETERS\",\"instanceIdentifier\":\"SANDBOX\",\
             \"expirationDate\":\"{}\",\"contentLocation\":\"/V6/1/shared-params.xml\",\
             \"configurationVersion\":\"6\"}}",
            START.plus_secs(600)
        )
    );
    assert_eq!(
        paths(&setup.web.asked()),
        [
            "https://conf.test/internalconf?version=6",
            "/internalconf?version=6",
            "/internalconf?version=6",
            "/V6/1/shared-params.xml",
            "/V6/1/private-params.xml",
            "/V6/1/some-notes.xml",
        ]
    );
}

#[tokio::test]
async fn files_that_have_not_changed_are_not_fetched_again() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    setup.update().await;
    setup.web.asked();
    let before = setup.in_force();
    assert_eq!(setup.update().await, "");
    assert_eq!(paths(&setup.web.asked()), ["/internalconf?version=6"]);
    assert!(
        Arc::ptr_eq(&before.global_conf, &setup.in_force().global_conf),
        "nothing new, nothing published"
    );
    // Signed anew: a later expiry for the same files; then one file changes.
    setup.clock.set(START.plus_secs(60));
    setup.publish(&setup.directory());
    setup.update().await;
    assert_eq!(paths(&setup.web.asked()), ["/internalconf?version=6"]);
    assert_eq!(setup.in_force().global_conf.expires(), Some(START.plus_secs(660)));
    let mut changed = setup.directory();
    changed.files[1].bytes.push(b'\n');
    setup.publish(&changed);
    assert_eq!(setup.update().await, "");
    assert_eq!(paths(&setup.web.asked()), ["/internalconf?version=6", "/V6/1/private-params.xml"]);
}

#[tokio::test]
async fn a_part_that_is_no_longer_listed_is_removed() {
    let mut setup = Setup::new();
    let mut directory = setup.directory();
    directory.files.push(Listed::new("NOTES", "/V6/1/notes.xml", "x"));
    setup.publish(&directory);
    setup.update().await;
    assert!(setup.file("notes.xml").exists());
    directory.files.pop();
    setup.publish(&directory);
    assert_eq!(setup.update().await, "");
    assert!(!setup.file("notes.xml").exists() && !setup.file("notes.xml.metadata").exists());
}

#[tokio::test]
async fn trap_trust_24_every_status_but_404_is_a_version_and_the_version_is_remembered() {
    let mut setup = Setup::new();
    let signed = setup.directory();
    setup.publish(&signed);
    setup.web.remove("http://conf.test/internalconf");
    let url = |version: u8| format!("{SOURCE}?version={version}");
    setup.web.put(&url(5), 500, "");
    assert_eq!(setup.update().await, "global_conf_download_url_connection_failure");
    assert_eq!(
        setup.web.asked()[1..],
        [url(6), url(5), url(5)].map(String::from),
        "500 counts as there, and is then refused"
    );
    setup.web.put(&url(5), 200, signed.signed(&setup.instance.pki.source));
    assert_eq!(setup.update().await, "");
    setup.web.asked();
    setup.web.put(&url(6), 200, signed.signed(&setup.instance.pki.source));
    assert_eq!(setup.update().await, "");
    assert_eq!(setup.web.asked(), [url(5)], "it does not move up while 5 works");
    setup.web.remove(&url(5));
    assert_eq!(setup.update().await, "");
    assert_eq!(setup.web.asked(), [url(5), url(6), url(6)], "nor is a cycle lost when it fails");
    // Without any answer but 404 the oldest version is asked for.
    setup.web.remove(SOURCE);
    setup.restart();
    assert_eq!(setup.update().await, "global_conf_download_url_connection_failure");
    let asked = setup.web.asked();
    assert!(asked.ends_with(&[url(3), url(2)]), "{asked:?}");
}

#[tokio::test]
async fn an_address_that_names_a_version_is_used_as_it_is() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    setup.write_anchor(&anchor(&[(&format!("{SOURCE}?version=6"), &setup.instance.pki.source)]));
    assert_eq!(setup.update().await, "");
    assert_eq!(
        paths(&setup.web.asked())[..2],
        ["https://conf.test/internalconf?version=6", "/internalconf?version=6"]
    );
}

#[tokio::test]
async fn trap_trust_23_the_signed_version_decides_and_the_query_does_not() {
    let mut setup = Setup::new();
    let mut directory = setup.directory();
    directory.head = format!("Expire-date: {}\r\n", START.plus_secs(600));
    setup.publish(&directory);
    assert_eq!(setup.update().await, "malformed_global_conf", "no version is version 2, which has no source");
    setup.web.put(&format!("{SOURCE}?version=3"), 200, setup.directory().signed(&setup.instance.pki.source));
    setup.web.remove(&format!("{SOURCE}?version=6"));
    assert_eq!(setup.update().await, "");
    assert_eq!(setup.in_force().global_conf.shared_params("SANDBOX").unwrap().version, 6);
}

#[tokio::test]
async fn trap_trust_25_the_instance_stands_in_quotes_of_either_kind_or_none() {
    for quoted in ["'SANDBOX'", "\"SANDBOX\"", "SANDBOX"] {
        let mut setup = Setup::new();
        let mut directory = setup.directory();
        directory.files[0].identifier = format!("SHARED-PARAMETERS; instance={quoted}");
        setup.publish(&directory);
        assert_eq!(setup.update().await, "", "{quoted}");
    }
    let mut setup = Setup::new();
    let mut directory = setup.directory();
    directory.files[0].identifier = "SHARED-PARAMETERS; Instance='SANDBOX'".into();
    setup.publish(&directory);
    assert_eq!(setup.update().await, "global_conf_header_field_missing_parameter");
}

#[tokio::test]
async fn when_a_source_fails_the_next_is_asked_and_asked_first_from_then_on() {
    let mut setup = Setup::new();
    let signer = Instance::new();
    let (one, two) = ("http://one.test/internalconf", "http://two.test/internalconf");
    setup.write_anchor(&anchor(&[(one, &setup.instance.pki.source), (two, &signer.pki.source)]));
    let directory = setup.directory();
    setup.publish_at("http://two.test", &directory, &signer.pki.source);
    assert_eq!(setup.update().await, "");
    setup.publish_at("http://one.test", &directory, &setup.instance.pki.source);
    setup.web.asked();
    assert_eq!(setup.update().await, "");
    assert_eq!(setup.web.asked(), [format!("{two}?version=6")]);
    setup.web.remove("http://two.test");
    assert_eq!(setup.update().await, "");
    assert_eq!(setup.web.asked().last().unwrap(), &format!("{one}?version=6"));
}

#[tokio::test]
async fn an_outage_leaves_the_last_configuration_in_force_until_it_expires() {
    let mut setup = Setup::new();
    assert_eq!(setup.update().await, "global_conf_get_version_failed");
    assert!(setup.in_force().global_conf.check_valid(START).is_err(), "nothing yet");
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    let before = setup.in_force();
    setup.web.remove("");
    setup.clock.set(START.plus_secs(600));
    assert_eq!(setup.update().await, "global_conf_get_version_failed");
    assert!(Arc::ptr_eq(&before, &setup.in_force()));
    before.global_conf.check_valid(setup.clock.now()).unwrap();
    setup.clock.set(START.plus_secs(601));
    let expired = before.global_conf.check_valid(setup.clock.now()).unwrap_err();
    assert_eq!(expired.code(), "global_conf_outdated");
    // A restart changes nothing.
    setup.restart();
    setup.clock.set(START.plus_secs(500));
    setup.update().await;
    setup.in_force().global_conf.check_valid(setup.clock.now()).unwrap();
}

#[tokio::test]
async fn signing_keys_rotate_through_the_stored_sources() {
    let mut setup = Setup::new();
    let rotated = Instance::new();
    let old = setup.instance.pki.source.certificate().der().to_vec();
    let [old, new] = [old.as_slice(), rotated.pki.source.certificate().der()].map(|der| BASE64.encode(der));
    let with_sources = |directory: &Directory| {
        let mut directory = directory.clone();
        let shared = String::from_utf8(directory.files[0].bytes.clone()).unwrap();
        let address = setup.instance.plan.service(8880).to_string();
        let both = format!(
            "<internalVerificationCert>{old}</internalVerificationCert>\
             <internalVerificationCert>{new}</internalVerificationCert>"
        );
        let shared = shared
            .replace(&address, "conf.test")
            .replace(&format!("<internalVerificationCert>{old}</internalVerificationCert>"), &both);
        assert!(shared.contains(&both) && shared.contains("<address>conf.test</address>"));
        directory.files[0].bytes = shared.into_bytes();
        directory
    };
    let directory = with_sources(&setup.directory());
    // Before the announcement the new key means nothing.
    setup.publish_at("http://conf.test", &directory, &rotated.pki.source);
    assert_eq!(setup.update().await, "global_conf_missing_verification_cert");
    setup.publish(&directory);
    assert_eq!(setup.update().await, "");
    setup.publish_at("http://conf.test", &directory, &rotated.pki.source);
    assert_eq!(setup.update().await, "");
    setup.restart();
    assert_eq!(setup.update().await, "", "also the first time after a restart");
    // Of one location only: elsewhere the key does not count.
    setup.web.remove("http://conf.test");
    setup.write_anchor(&anchor(&[("http://other.test/internalconf", &setup.instance.pki.source)]));
    setup.publish_at("http://other.test", &directory, &rotated.pki.source);
    assert_eq!(setup.update().await, "global_conf_missing_verification_cert");
}
