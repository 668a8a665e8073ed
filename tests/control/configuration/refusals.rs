//! What is not accepted, with the code that official clients report, and that it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::source::{Listed, SOURCE, Setup};
use crate::common::{Instance, START};

/// All files below a folder with their content.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_str().unwrap().to_string();
        if entry.path().is_dir() {
            files.extend(
                tree(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)),
            );
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

async fn running() -> Setup {
    let mut setup = Setup::new();
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    setup
}

/// A cycle that fails with this code and leaves disk and memory as they were.
async fn refuses(setup: &mut Setup, code: &str, what: &str) {
    let (before, files) = (setup.in_force(), tree(setup.folder.path()));
    assert_eq!(setup.update().await, code, "{what}");
    assert!(Arc::ptr_eq(&before, &setup.in_force()), "{what}");
    assert_eq!(files, tree(setup.folder.path()), "{what}");
}

#[tokio::test]
async fn tampering_is_refused_with_the_code_of_the_check() {
    let mut setup = running().await;
    let signer = Arc::clone(&setup.instance.pki);
    let good = setup.directory().signed(&signer.source);
    let changes = [
        ("Version: 6", "Version: 5", "global_conf_signature_verification_failure"),
        (
            "Content-type: application/octet-stream",
            "Content-type: x",
            "global_conf_signature_verification_failure",
        ),
        ("Signature-Algorithm-Id", "X", "global_conf_header_field_missing"),
        ("Verification-certificate-hash", "X", "global_conf_header_field_missing"),
        (
            "Content-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: 8bit",
            "global_conf_header_field_wrong_value",
        ),
        ("; hash-algorithm-id=", "; x=", "global_conf_header_field_missing_parameter"),
        ("ecdsa-sha256", "ecdsa-md5", "internal_error"),
        (
            "Content-Type: multipart/related",
            "Content-Type: text/plain",
            "global_conf_parsing_downloaded_conf_directory_failure",
        ),
    ];
    for (from, to, code) in changes {
        assert!(good.contains(from), "{from}");
        setup.web.put(&format!("{SOURCE}?version=6"), 200, good.replacen(from, to, 1));
        refuses(&mut setup, code, &format!("{from} -> {to}")).await;
    }
    let unsigned = good.rsplit_once("--OUTER\r\n").unwrap().0;
    setup.web.put(&format!("{SOURCE}?version=6"), 200, format!("{unsigned}--OUTER--\r\n"));
    refuses(&mut setup, "global_conf_missing_signed_data_expiration_date", "no signature").await;
    setup.web.put(&format!("{SOURCE}?version=6"), 200, setup.directory().signed(&Instance::new().pki.source));
    refuses(&mut setup, "global_conf_missing_verification_cert", "another key").await;
    setup.web.put(&format!("{SOURCE}?version=6"), 200, "<html>");
    refuses(&mut setup, "global_conf_parsing_downloaded_conf_directory_failure", "no directory").await;
}

#[tokio::test]
async fn signed_nonsense_is_refused_too() {
    let mut setup = running().await;
    let expired = format!("Expire-date: {}\r\nVersion: 6\r\n", START.plus_secs(-1));
    let heads = [
        (expired.as_str(), "global_conf_outdated"),
        ("Version: 6\r\n", "global_conf_header_field_missing"),
        ("Expire-date: 2030-01-01T00:00:00+0200\r\n", "global_conf_header_field_wrong_value"),
        ("Expire-date: 2030-01-01T00:00:00Z\r\nVersion: 7\r\n", "internal_error"),
    ];
    for (head, code) in heads {
        let mut directory = setup.directory();
        directory.head = head.into();
        setup.publish(&directory);
        refuses(&mut setup, code, head).await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_the_signed_one_or_of_the_wrong_form_is_refused() {
    let mut setup = running().await;
    let mut directory = setup.directory();
    directory.files[0].bytes.extend(b"<!-- new -->");
    setup.publish(&directory);
    let file = "http://conf.test/V6/1/shared-params.xml";
    setup.web.put(file, 200, setup.directory().files[0].bytes.clone());
    refuses(&mut setup, "global_conf_part_downloaded_file_integrity_failure", "another file").await;
    setup.web.put(file, 503, "");
    refuses(&mut setup, "global_conf_download_url_connection_failure", "503").await;
    setup.web.remove(file);
    refuses(&mut setup, "global_conf_download_url_connection_failure", "404").await;
    let shared = String::from_utf8(setup.directory().files[0].bytes.clone()).unwrap();
    directory.files[0].bytes = shared.replacen("<source>", "<extra/><source>", 1).into_bytes();
    setup.publish(&directory);
    refuses(&mut setup, "malformed_global_conf", "an unknown element").await;
    directory.files[0].bytes = b"<conf".to_vec();
    setup.publish(&directory);
    refuses(&mut setup, "malformed_global_conf", "no XML").await;
}

#[tokio::test]
async fn trap_trust_26_a_source_speaks_for_its_own_instance_only() {
    let mut setup = running().await;
    let own = setup.directory();
    // The directory says that its files are of another instance.
    let mut directory = own.clone();
    for file in &mut directory.files {
        file.identifier = file.identifier.replace("SANDBOX", "OTHER");
    }
    setup.publish(&directory);
    refuses(&mut setup, "global_conf_part_invalid_instance_identifier", "files of another instance").await;
    // The file says so.
    let shared = String::from_utf8(own.files[0].bytes.clone()).unwrap();
    let of_other = shared.replacen("<instanceIdentifier>SANDBOX", "<instanceIdentifier>OTHER", 1);
    let mut directory = own.clone();
    directory.files[0].bytes = of_other.clone().into_bytes();
    setup.publish(&directory);
    refuses(&mut setup, "global_conf_part_invalid_instance_identifier", "another instance inside").await;
    // Files of others beside the own ones are left out.
    let mut directory = own.clone();
    for instance in ["OTHER", "..", "."] {
        let identifier = format!("SHARED-PARAMETERS; instance='{instance}'");
        directory.files.push(Listed::new(&identifier, "/V6/1/other.xml", of_other.clone()));
    }
    setup.publish(&directory);
    let files = tree(setup.folder.path());
    assert_eq!(setup.update().await, "");
    assert_eq!(files, tree(setup.folder.path()));
    // Private parameters alone would remove the shared ones.
    let mut directory = own;
    directory.files.remove(0);
    setup.publish(&directory);
    refuses(&mut setup, "global_conf_part_invalid_instance_identifier", "no shared parameters").await;
}

#[tokio::test]
async fn a_file_name_leads_nowhere_else_and_takes_no_other_files_place() {
    let mut setup = running().await;
    let named =
        |name: &'static str| Listed { file_name: Some(name), ..Listed::new("NOTES", "/V6/1/notes", "notes") };
    let save = "global_conf_part_file_save_failure";
    for name in [
        "shared-params.xml",
        "../SANDBOX/private-params.xml",
        "monitoring-params.xml",
        "..",
        "../..",
        "a/..",
        "a\\..",
        ".hidden",
        "shared-params.xml.metadata",
    ] {
        let mut directory = setup.directory();
        directory.files.push(named(name));
        setup.publish(&directory);
        refuses(&mut setup, save, name).await;
    }
    let mut directory = setup.directory();
    directory.files.extend([named("one.xml"), named("one.xml")]);
    setup.publish(&directory);
    refuses(&mut setup, save, "one name twice").await;
    let mut directory = setup.directory();
    directory.files.push(Listed::new("NOTES", "/V6/1/..", "notes"));
    setup.publish(&directory);
    refuses(&mut setup, save, "the end of the location").await;
    let mut directory = setup.directory();
    directory.files.push(named("/etc/../../notes.xml"));
    setup.publish(&directory);
    assert_eq!(setup.update().await, "", "only the last name counts");
    assert_eq!(fs::read(setup.file("notes.xml")).unwrap(), b"notes");
}

#[tokio::test]
async fn trap_trust_27_an_older_directory_does_not_replace_a_newer_one() {
    let mut setup = running().await;
    let old = setup.directory();
    setup.clock.set(START.plus_secs(400));
    setup.publish(&setup.directory());
    assert_eq!(setup.update().await, "");
    // Of before a withdrawal, still within its time.
    setup.publish(&old);
    refuses(&mut setup, "global_conf_outdated", "replayed").await;
    let error = setup.client.last_error().unwrap().to_string();
    assert!(error.contains("globalconf.rollback_allowed"), "{error}");
    refuses(&mut setup, "global_conf_outdated", "replayed again").await;
    setup.restart();
    assert_eq!(setup.update().await, "global_conf_outdated", "the stored files remember");
    assert_eq!(setup.in_force().global_conf.expires(), Some(START.plus_secs(1000)));
    // Sources that renew at their own times may be apart a little, and that does not add up.
    let at = |secs: i64| {
        let mut directory = old.clone();
        directory.head = format!("Expire-date: {}\r\nVersion: 6\r\n", START.plus_secs(secs));
        directory
    };
    setup.publish(&at(750));
    assert_eq!(setup.update().await, "");
    setup.publish(&at(650));
    assert_eq!(setup.update().await, "global_conf_outdated");
    setup.settings.rollback_allowed = true;
    setup.restart();
    assert_eq!(setup.update().await, "", "whoever runs the server may allow it");
    assert_eq!(setup.in_force().global_conf.expires(), Some(START.plus_secs(650)));
}
