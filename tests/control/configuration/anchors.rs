//! The anchor's file.

use std::fs;
use std::sync::Arc;

use super::source::{SOURCE, Setup, anchor};
use crate::common::Instance;

#[tokio::test]
async fn a_changed_anchor_is_used_from_the_next_cycle_on() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    let moved = Instance::new();
    setup.web.remove("");
    setup.publish_at("http://new.test", &setup.directory(), &moved.pki.source);
    assert_eq!(setup.update().await, "global_conf_get_version_failed");
    setup.write_anchor(&anchor(&[("http://new.test/internalconf", &moved.pki.source)]));
    assert_eq!(setup.update().await, "");
}

#[tokio::test]
async fn a_key_that_the_anchor_no_longer_names_is_not_remembered() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    setup.write_anchor(&anchor(&[(SOURCE, &Instance::new().pki.source)]));
    setup.web.asked();
    assert_eq!(setup.update().await, "global_conf_missing_verification_cert");
}

#[tokio::test]
async fn an_anchor_that_cannot_be_read_changes_nothing() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    let before = setup.in_force();
    for text in ["", "<configurationAnchor/>", &anchor(&[]), "<!DOCTYPE a><a/>"] {
        setup.write_anchor(text);
        assert_eq!(setup.update().await, "malformed_anchor", "{text}");
    }
    fs::remove_file(setup.folder.path().join("anchor.xml")).unwrap();
    assert_eq!(setup.update().await, "malformed_anchor");
    assert!(Arc::ptr_eq(&before, &setup.in_force()));
}

#[tokio::test]
async fn trap_trust_20_an_anchor_with_only_https_downloads() {
    let mut setup = Setup::new();
    setup.write_anchor(&anchor(&[("https://conf.test/internalconf", &setup.instance.pki.source)]));
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "global_conf_get_version_failed", "http is not tried, and that is said");
    assert!(setup.web.asked().iter().all(|url| url.starts_with("https://")));
    setup.publish_at("https://conf.test", &setup.directory(), &setup.instance.pki.source);
    assert_eq!(setup.update().await, "");
    setup.in_force().global_conf.check_valid(crate::common::START).unwrap();
}
