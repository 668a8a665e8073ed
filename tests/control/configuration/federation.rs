//! Other instances, as the own one's private parameters trust them.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::config::Federations;
use hermod::message::{ClientId, ErrorCode};
use hermod::sandbox::keys::Identity;
use hermod::time::Clock as _;

use super::source::{Directory, Listed, SOURCE, Setup};
use crate::common::{Instance, START};

const FOREIGN: &str = "http://foreign.test/externalconf";

/// An anchor as private parameters hold it.
fn inner_anchor(instance: &str, url: &str, signer: &Identity) -> String {
    format!(
        "<configurationAnchor><instanceIdentifier>{instance}</instanceIdentifier><source>\
         <downloadURL>{url}</downloadURL><verificationCert>{}</verificationCert></source></configurationAnchor>",
        BASE64.encode(signer.certificate().der())
    )
}

/// The own directory, its private parameters trusting by `anchors`.
fn trusting(setup: &Setup, anchors: &str) -> Directory {
    let mut directory = setup.directory();
    let private = String::from_utf8(directory.files[1].bytes.clone()).unwrap();
    let end = "</instanceIdentifier>";
    directory.files[1].bytes = private.replacen(end, &format!("{end}{anchors}"), 1).into_bytes();
    directory
}

/// What the source of another instance publishes.
fn foreign(setup: &Setup, other: &Instance, instance: &str) -> Directory {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace("SANDBOX", instance);
    let mut directory = Directory::of(other, setup.clock.now());
    for file in &mut directory.files {
        file.bytes = text(&file.bytes).into_bytes();
        file.identifier = file.identifier.replace("SANDBOX", instance);
    }
    directory
}

fn publish_foreign(setup: &Setup, directory: &Directory, signer: &Identity) {
    setup.web.put(&format!("{FOREIGN}?version=6"), 200, directory.signed(signer));
    for file in &directory.files {
        setup.web.put(&format!("http://foreign.test{}", file.location), 200, file.bytes.clone());
    }
}

/// A client that follows FOO as far as `words` allow, and FOO itself.
async fn federated(words: &[&str]) -> (Setup, Instance) {
    let mut setup = Setup::new();
    setup.settings.federations = Federations::from_words(words.iter().map(ToString::to_string).collect());
    setup.restart();
    let other = Instance::new();
    setup.publish(&trusting(&setup, &inner_anchor("FOO", FOREIGN, &other.pki.source)));
    publish_foreign(&setup, &foreign(&setup, &other, "FOO"), &other.pki.source);
    assert_eq!(setup.update().await, "");
    (setup, other)
}

fn knows(setup: &Setup) -> bool {
    setup.in_force().global_conf.shared_params("FOO").is_some()
}

fn member(instance: &str) -> ClientId {
    ClientId::new(instance, "GOV", "100", Some("consumer")).unwrap()
}

#[tokio::test]
async fn an_allowed_instance_is_followed_by_its_shared_parameters_alone() {
    for (words, allowed) in [
        (&["FOO"][..], true),
        (&["foo"], true),
        (&["all"], true),
        (&["BAR", "Foo"], true),
        (&["BAR"], false),
        (&["FOO", "none"], false),
        (&[], false),
    ] {
        let (setup, _) = federated(words).await;
        assert_eq!(knows(&setup), allowed, "{words:?}");
        assert_eq!(setup.web.asked().iter().any(|url| url.contains("foreign.test")), allowed, "{words:?}");
        let conf = setup.in_force();
        let addresses = conf.global_conf.provider_addresses(&member("FOO"), None, START);
        assert_eq!(addresses.is_ok(), allowed, "{words:?}");
        if !allowed {
            assert!(addresses.unwrap_err().is(ErrorCode::InternalError));
            continue;
        }
        assert_eq!(conf.global_conf.instances().collect::<Vec<_>>(), ["SANDBOX", "FOO"]);
        let folder = setup.settings.dir.join("FOO");
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["shared-params.xml", "shared-params.xml.metadata"], "nothing private of others");
    }
}

#[tokio::test]
async fn an_instance_that_is_not_trusted_any_more_is_forgotten_at_once() {
    let (mut setup, _) = federated(&["all"]).await;
    assert!(knows(&setup));
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    assert!(!knows(&setup) && !setup.settings.dir.join("FOO").exists());
    // As is one that whoever runs the server does not allow any more.
    let (mut setup, _) = federated(&["all"]).await;
    setup.settings.federations = Federations::None;
    setup.restart();
    assert_eq!(setup.update().await, "");
    assert!(!knows(&setup) && !setup.settings.dir.join("FOO").exists());
}

#[tokio::test]
async fn a_federated_instance_that_is_away_is_kept_until_it_expires_and_asked_less_often() {
    let (mut setup, other) = federated(&["FOO"]).await;
    setup.web.remove("http://foreign.test");
    let mut asked = Vec::new();
    for second in (0..=540).step_by(60) {
        setup.clock.set(START.plus_secs(second));
        let anchors = inner_anchor("FOO", FOREIGN, &other.pki.source);
        setup.publish(&trusting(&setup, &anchors));
        setup.web.asked();
        assert_eq!(setup.update().await, "", "no failure of the own instance");
        asked.push(setup.web.asked().iter().any(|url| url.contains("foreign.test")));
        assert!(knows(&setup));
    }
    let expected = [true, true, false, true, false, false, false, true, false, false];
    assert_eq!(asked, expected, "after 60, 120, 240 s and so on");
    setup.clock.set(START.plus_secs(601));
    assert_eq!(setup.update().await, "");
    assert!(!knows(&setup), "expired is unknown");
    assert!(setup.settings.dir.join("FOO").exists());
    let conf = setup.in_force();
    conf.global_conf.check_valid(setup.clock.now()).unwrap();
    let error = conf.global_conf.provider_addresses(&member("FOO"), None, setup.clock.now()).unwrap_err();
    assert!(error.is(ErrorCode::InternalError), "{error}");
    // Back again.
    publish_foreign(&setup, &foreign(&setup, &other, "FOO"), &other.pki.source);
    setup.clock.set(START.plus_secs(900));
    setup.publish(&trusting(&setup, &inner_anchor("FOO", FOREIGN, &other.pki.source)));
    publish_foreign(&setup, &foreign(&setup, &other, "FOO"), &other.pki.source);
    assert_eq!(setup.update().await, "");
    assert!(knows(&setup));
}

#[tokio::test]
async fn keys_of_a_federated_instance_rotate_through_its_stored_sources() {
    let (mut setup, other) = federated(&["FOO"]).await;
    let rotated = Instance::new();
    let directory = foreign(&setup, &other, "FOO");
    let [old, new] = [&other, &rotated].map(|one| BASE64.encode(one.pki.source.certificate().der()));
    let announce = |kind: &str| {
        let mut directory = directory.clone();
        let shared = String::from_utf8(directory.files[0].bytes.clone()).unwrap();
        let one = format!("<{kind}VerificationCert>{old}</{kind}VerificationCert>");
        let both = format!("{one}<{kind}VerificationCert>{new}</{kind}VerificationCert>");
        let address = other.plan.service(8880).to_string();
        let announced = shared.replace(&one, &both).replace(&address, "foreign.test");
        assert_ne!(announced, shared);
        directory.files[0].bytes = announced.into_bytes();
        directory
    };
    // Certificates for the internal directory do not count for the external one.
    for (kind, accepted) in [("internal", false), ("external", true)] {
        let announced = announce(kind);
        publish_foreign(&setup, &announced, &other.pki.source);
        setup.restart();
        assert_eq!(setup.update().await, "");
        let mut changed = announced.clone();
        changed.files[0].bytes.push(b'\n');
        publish_foreign(&setup, &changed, &rotated.pki.source);
        assert_eq!(setup.update().await, "");
        let stored = fs::read(setup.settings.dir.join("FOO/shared-params.xml")).unwrap();
        assert_eq!(stored == changed.files[0].bytes, accepted, "{kind}");
    }
}

#[tokio::test]
async fn trap_trust_26_a_federated_instance_speaks_for_itself_only() {
    let (mut setup, other) = federated(&["all"]).await;
    let own = fs::read(setup.file("shared-params.xml")).unwrap();
    // Its directory offers parameters of the own instance, and of a third one.
    let mut directory = foreign(&setup, &other, "FOO");
    for instance in ["SANDBOX", "BAR"] {
        let identifier = format!("SHARED-PARAMETERS; instance='{instance}'");
        let text = String::from_utf8(directory.files[0].bytes.clone()).unwrap().replace("FOO", instance);
        directory.files.push(Listed::new(&identifier, &format!("/V6/1/{instance}.xml"), text));
    }
    directory.files[0].bytes.push(b'\n');
    publish_foreign(&setup, &directory, &other.pki.source);
    for other_instances_allowed in [false, true] {
        setup.settings.other_instances_allowed = other_instances_allowed;
        setup.restart();
        assert_eq!(setup.update().await, "");
        assert_eq!(fs::read(setup.file("shared-params.xml")).unwrap(), own);
        let conf = setup.in_force();
        assert_eq!(conf.global_conf.instances().collect::<Vec<_>>(), ["SANDBOX", "FOO"]);
    }
    // A key that signs for FOO signs for nobody else.
    setup.publish_at("http://conf.test", &setup.directory(), &other.pki.source);
    assert_eq!(setup.update().await, "global_conf_missing_verification_cert");
}

#[tokio::test]
async fn a_source_may_carry_other_instances_when_the_operator_says_so() {
    let mut setup = Setup::new();
    let other = Instance::new();
    let mut directory = setup.directory();
    for instance in ["FOO", "BAR"] {
        let shared = foreign(&setup, &other, instance).files.remove(0).bytes;
        let identifier = format!("SHARED-PARAMETERS; instance=\"{instance}\"");
        directory.files.push(Listed::new(&identifier, &format!("/V6/1/{instance}.xml"), shared));
    }
    setup.publish(&directory);
    for (switch, words, expected) in [
        (false, vec!["all"], vec!["SANDBOX"]),
        (true, vec![], vec!["SANDBOX"]),
        (true, vec!["FOO"], vec!["SANDBOX", "FOO"]),
        (true, vec!["all"], vec!["SANDBOX", "BAR", "FOO"]),
        (true, vec!["BAR"], vec!["SANDBOX", "BAR"]),
    ] {
        setup.settings.other_instances_allowed = switch;
        setup.settings.federations = Federations::from_words(words.iter().map(ToString::to_string).collect());
        setup.restart();
        assert_eq!(setup.update().await, "");
        let conf = setup.in_force();
        assert_eq!(conf.global_conf.instances().collect::<Vec<_>>(), expected, "{switch} {words:?}");
        let folders = fs::read_dir(&setup.settings.dir).unwrap().flatten().filter(|e| e.path().is_dir());
        assert_eq!(folders.count(), expected.len());
    }
}

#[tokio::test]
async fn shared_parameters_may_have_a_source_of_their_own() {
    let mut setup = Setup::new();
    let second = Instance::new();
    let url = "http://second.test/internalconf";
    let publish = |setup: &Setup| {
        let mut private = trusting(setup, &inner_anchor("SANDBOX", url, &second.pki.source));
        let shared = private.files.remove(0);
        setup.publish(&private);
        // The second source's private parameters are not taken.
        let mut both = setup.directory();
        both.files[0] = shared;
        both.files[1].bytes.extend(b"<!-- of the second source -->");
        setup.publish_at("http://second.test", &both, &second.pki.source);
        private.files.remove(0).bytes
    };
    let private = publish(&setup);
    assert_eq!(setup.update().await, "");
    setup.in_force().global_conf.check_valid(START).unwrap();
    assert_eq!(fs::read(setup.file("private-params.xml")).unwrap(), private);
    // Each source replaces its own part and leaves the other.
    for second in [60, 120] {
        setup.clock.set(START.plus_secs(second));
        publish(&setup);
        assert_eq!(setup.update().await, "");
        let expires = setup.in_force().global_conf.expires();
        assert_eq!(expires, Some(START.plus_secs(600 + second)), "both are renewed");
    }
    setup.restart();
    assert_eq!(setup.update().await, "", "also after a restart");
    setup.in_force().global_conf.check_valid(START).unwrap();
}

#[tokio::test]
async fn trap_trust_27_an_older_directory_of_a_federated_instance_is_refused_too() {
    let (mut setup, other) = federated(&["FOO"]).await;
    let old = foreign(&setup, &other, "FOO");
    setup.clock.set(START.plus_secs(400));
    setup.publish(&trusting(&setup, &inner_anchor("FOO", FOREIGN, &other.pki.source)));
    publish_foreign(&setup, &foreign(&setup, &other, "FOO"), &other.pki.source);
    assert_eq!(setup.update().await, "");
    let mut replayed = old;
    replayed.files[0].bytes.push(b'\n');
    publish_foreign(&setup, &replayed, &other.pki.source);
    for _ in 0..2 {
        assert_eq!(setup.update().await, "");
        let stored = fs::read(setup.settings.dir.join("FOO/shared-params.xml")).unwrap();
        assert_ne!(stored, replayed.files[0].bytes);
        setup.restart();
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_own_source_is_asked_again_sooner() {
    let setup = Setup::new();
    let Setup { client, web, .. } = setup;
    let began = tokio::time::Instant::now();
    let _ = tokio::time::timeout(Duration::from_secs(60 + 46), client.run()).await;
    assert_eq!(began.elapsed().as_secs(), 106);
    let cycles = web.asked().iter().filter(|url| url.starts_with(SOURCE)).count();
    // After 60 s, and then after 0.75, 1.5, 3, 6, 12 s; the next would be 24 s later, beyond the end.
    assert_eq!(cycles, 6);
}

#[tokio::test(start_paused = true)]
async fn a_federated_instance_that_does_not_answer_holds_up_a_cycle_now_and_then_only() {
    let (mut setup, other) = federated(&["FOO"]).await;
    // Two anchors of one instance are one with the sources of both. This shuffle turns two sources around.
    let anchors = inner_anchor("FOO", FOREIGN, &other.pki.source)
        + &inner_anchor("FOO", "http://slow.test/externalconf", &other.pki.source);
    setup.restart();
    *setup.web.hangs.lock().unwrap() = Some("http://slow.test".into());
    setup.web.put("http://slow.test/", 200, "");
    let mut waited = Vec::new();
    for second in (0..=240).step_by(60) {
        setup.clock.set(START.plus_secs(second));
        setup.publish(&trusting(&setup, &anchors));
        let began = tokio::time::Instant::now();
        assert_eq!(setup.update().await, "");
        waited.push(began.elapsed().as_secs());
    }
    assert_eq!(waited, [60, 60, 0, 60, 0], "as long as is waited in one cycle, then less often");
    assert!(knows(&setup));
    *setup.web.hangs.lock().unwrap() = None;
    setup.restart();
    publish_foreign(&setup, &foreign(&setup, &other, "FOO"), &other.pki.source);
    assert_eq!(setup.update().await, "");
    assert!(knows(&setup), "the other anchor's source serves");
}
