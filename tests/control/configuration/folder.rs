//! What others do to the folder of the stored configuration.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::source::Setup;
use crate::common::START;

/// A client without an anchor, and a complete configuration that is not in its folder yet.
async fn local() -> (Setup, tempfile::TempDir) {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    let away = tempfile::tempdir().unwrap();
    fs::rename(&setup.settings.dir, away.path().join("globalconf")).unwrap();
    setup.settings.anchor = None;
    setup.restart();
    setup.web.asked();
    (setup, away)
}

#[tokio::test]
async fn without_an_anchor_the_folder_is_followed_and_nothing_is_downloaded() {
    let (mut setup, away) = local().await;
    assert_eq!(setup.update().await, "", "no folder yet");
    assert!(setup.in_force().global_conf.check_valid(START).is_err());
    fs::rename(away.path().join("globalconf"), &setup.settings.dir).unwrap();
    assert_eq!(setup.update().await, "");
    let first = setup.in_force();
    first.global_conf.check_valid(START).unwrap();
    setup.update().await;
    assert!(Arc::ptr_eq(&first, &setup.in_force()), "read once while nothing changes");
    let metadata = setup.file("private-params.xml.metadata");
    let text = fs::read_to_string(&metadata).unwrap();
    fs::write(&metadata, text.replace("2027-01-15T08:10:00Z", "2027-01-15T08:00:01Z")).unwrap();
    let later = SystemTime::now() + Duration::from_secs(10);
    fs::File::options().write(true).open(&metadata).unwrap().set_modified(later).unwrap();
    setup.update().await;
    let expires = setup.in_force().global_conf.expires().unwrap();
    assert_eq!(expires.to_rfc3339(), "2027-01-15T08:00:01Z", "of the same size, noticed by its time");
    assert!(setup.web.asked().is_empty());
}

#[tokio::test]
async fn trap_trust_28_a_file_without_metadata_is_expired() {
    let (mut setup, away) = local().await;
    fs::rename(away.path().join("globalconf"), &setup.settings.dir).unwrap();
    fs::remove_file(setup.file("shared-params.xml.metadata")).unwrap();
    setup.update().await;
    let error = setup.in_force().global_conf.check_valid(START).unwrap_err();
    assert_eq!(error.code(), "global_conf_outdated");
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_leaves_the_last_configuration_in_force() {
    let (mut setup, away) = local().await;
    fs::rename(away.path().join("globalconf"), &setup.settings.dir).unwrap();
    setup.update().await;
    let before = setup.in_force();
    fs::remove_file(setup.settings.dir.join("instance-identifier")).unwrap();
    assert_eq!(setup.update().await, "malformed_global_conf");
    assert_eq!(setup.update().await, "malformed_global_conf", "said as long as it lasts");
    assert!(Arc::ptr_eq(&before, &setup.in_force()));
    fs::write(setup.settings.dir.join("instance-identifier"), "SANDBOX\n").unwrap();
    assert_eq!(setup.update().await, "");
}

#[tokio::test]
async fn what_others_change_under_an_anchor_is_mended() {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    setup.update().await;
    let good = fs::read(setup.file("shared-params.xml")).unwrap();
    fs::write(setup.file("shared-params.xml"), "<conf/>").unwrap();
    fs::write(setup.file("stray.xml"), "").unwrap();
    assert_eq!(setup.update().await, "");
    assert_eq!(fs::read(setup.file("shared-params.xml")).unwrap(), good);
    assert!(!setup.file("stray.xml").exists());
    setup.in_force().global_conf.check_valid(START).unwrap();
    assert!(setup.in_force().global_conf.problems().is_empty());
    // During an outage only the folder is looked at.
    setup.web.remove("");
    fs::remove_file(setup.file("private-params.xml.metadata")).unwrap();
    setup.update().await;
    assert!(setup.in_force().global_conf.check_valid(START).is_err());
}
