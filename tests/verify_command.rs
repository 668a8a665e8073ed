//! `hermod verify` as its users run it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn vectors() -> Option<PathBuf> {
    let root = std::env::var_os("HERMOD_VECTORS").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("skipped: no vectors at {} (HERMOD_VECTORS names another place)", root.display());
    None
}

fn verify(conf: &Path, files: &[&Path], options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hermod"));
    command.arg("verify").args(files).arg("--conf").arg(conf).args(options).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn says_who_signed_and_when_in_every_form_of_the_configuration() {
    let Some(root) = vectors() else { return };
    let container = root.join("captures/evidence/rest-post-1k/ss0-request.asice");
    let around = tempfile::tempdir().unwrap();
    let inner = around.path().join("verificationconf");
    std::fs::create_dir_all(inner.join("LAB")).unwrap();
    for file in ["instance-identifier", "LAB/shared-params.xml", "LAB/shared-params.xml.metadata"] {
        std::fs::copy(root.join("captures/trust/verificationconf").join(file), inner.join(file)).unwrap();
    }
    let zip = root.join("captures/evidence/verificationconf.zip");
    let server = root.join("captures/trust/globalconf-as-seen-by-ss0");
    for conf in [&zip, &inner, &around.path().to_owned(), &server] {
        let output = verify(conf, &[&container], &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{}: {output:?}", conf.display());
        let lines = lines(&output);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line["file"], container.to_str().unwrap());
        assert_eq!(line["valid"], true);
        assert_eq!(line["code"], Value::Null);
        assert_eq!(line["signer"], "LAB/GOV/100/consumer");
        assert_eq!(line["time"], "2026-11-23T22:39:45Z");
        assert_eq!(line["attachments"], serde_json::json!({"verified": ["attachment1"], "absent": []}));
        assert_eq!(line["warnings"], serde_json::json!([]));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn judges_each_file_in_the_order_given_and_fails_if_one_is_not_valid() {
    let Some(root) = vectors() else { return };
    let conf = root.join("captures/trust/verificationconf");
    let valid = root.join("captures/evidence/rest-204/ss0-request.asice");
    let invalid = root.join("captures/evidence/soap-latin1/ss0-request.asice");
    let no_container = conf.join("LAB/shared-params.xml");
    let output = verify(&conf, &[&invalid, &valid, &no_container], &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let codes: Vec<&Value> = lines.iter().map(|line| &line["code"]).collect();
    assert_eq!(
        codes,
        [&Value::from("invalid_signature_value"), &Value::Null, &Value::from("asic_mime_type_not_found")]
    );
    assert_eq!(lines[0]["signer"], Value::Null);
    let text = verify(&conf, &[&invalid, &valid], &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("NOT VALID") && text.contains("signed by    LAB/GOV/100/consumer"), "{text}");
}

#[test]
fn tells_unreadable_files_and_configurations_from_invalid_ones() {
    let Some(root) = vectors() else { return };
    let conf = root.join("captures/trust/verificationconf");
    let valid = root.join("captures/evidence/rest-204/ss0-request.asice");
    let missing = root.join("no-such-file.asice");
    let output = verify(&conf, &[&missing, &valid], &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(lines(&output).len(), 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-file.asice cannot be read"));
    let folder = tempfile::tempdir().unwrap();
    for conf in [folder.path(), &missing, &valid] {
        let output = verify(conf, &[&valid], &["--json"]);
        assert_eq!(output.status.code(), Some(2), "{}", conf.display());
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8(output.stderr).unwrap().contains("cannot be used"));
    }
}

#[test]
fn admits_evidence_of_the_past_only_when_told_to() {
    let Some(root) = vectors() else { return };
    let conf = root.join("globalconf-for-verification/globalconf_good2_v3");
    let container = root.join("asic/verifier/valid-signed-message.asice");
    let strict = verify(&conf, &[&container], &["--json"]);
    let admitted = verify(&conf, &[&container], &["--json", "--allow-future-ocsp"]);
    assert_eq!(admitted.status.code(), Some(0), "{admitted:?}");
    let needed = !lines(&admitted)[0]["warnings"].as_array().unwrap().is_empty();
    assert_eq!(strict.status.code(), Some(i32::from(needed)));
}

#[test]
fn nothing_in_a_file_steers_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let Some(root) = vectors() else { return };
    let file = folder.path().join("x.asice");
    std::fs::write(&file, b"PK\x03\x04\x1b[2J").unwrap();
    let output = verify(&root.join("captures/trust/verificationconf"), &[&file], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.contains(&0x1b));
}

/// A ZIP of stored files, as a download of several containers is.
fn zip_of(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(*name, stored).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn directories_and_downloads_are_judged_container_by_container() {
    let Some(root) = vectors() else { return };
    let conf = root.join("captures/trust/verificationconf");
    let read = |name: &str| std::fs::read(root.join("captures/evidence").join(name)).unwrap();
    let (get, post) = (read("rest-204/ss0-request.asice"), read("rest-post-1k/ss0-request.asice"));
    let folder = tempfile::tempdir().unwrap();
    let download = zip_of(&[("a-request-1.asice", get.clone()), ("a-response-2.asice", post.clone())]);
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::fs::write(folder.path().join("inner/a.zip"), &download).unwrap();
    std::fs::write(folder.path().join("b.asice"), &get).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
    let output = verify(&conf, &[folder.path()], &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let got = lines(&output);
    assert_eq!(got.len(), 4, "{got:?}");
    assert!(got[..3].iter().all(|line| line["valid"] == true && line["signer"] == "LAB/GOV/100/consumer"));
    assert!(got[0]["file"].as_str().unwrap().ends_with("b.asice") && got[0].get("entry").is_none());
    assert_eq!(
        (&got[1]["entry"], &got[2]["entry"]),
        (&"a-request-1.asice".into(), &"a-response-2.asice".into())
    );
    assert!(got[3]["archive"].as_str().unwrap().ends_with("inner/a.zip"));
    assert_eq!((&got[3]["containers"], &got[3]["chained"]), (&2.into(), &false.into()));
    let text = String::from_utf8(verify(&conf, &[folder.path()], &[]).stdout).unwrap();
    assert!(text.contains("a.zip/a-response-2.asice: valid") && text.contains("no chain"), "{text}");
    // One changed container makes all of it not valid, and what nothing vouches for is refused.
    let mut broken = post.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    for (files, code) in [
        (vec![("a.asice", get.clone()), ("b.asice", broken)], None),
        (vec![("a.asice", get.clone()), ("readme.txt", b"x".to_vec())], Some("invalid_reference")),
    ] {
        std::fs::write(folder.path().join("inner/a.zip"), zip_of(&files)).unwrap();
        let output = verify(&conf, &[&folder.path().join("inner/a.zip")], &["--json"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(lines(&output).last().unwrap()["code"].as_str(), code);
    }
    std::fs::write(folder.path().join("inner/c.zip.gpg"), "encrypted").unwrap();
    let output = verify(&conf, &[folder.path()], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("decrypt it first"));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(verify(&conf, &[empty.path()], &[]).status.code(), Some(2));
}

#[test]
fn official_archives_are_whole_and_continue_each_other() {
    let Some(root) = vectors() else { return };
    let conf = root.join("captures/trust/verificationconf");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(root.join("archives/expected.json")).unwrap()).unwrap();
    for case in expected["archives"].as_array().unwrap() {
        let file = root.join(case["file"].as_str().unwrap());
        let previous = case["previous_digest_argument"].as_str().unwrap();
        let previous = if previous == "-f" { "first" } else { previous };
        let lines = lines(&verify(&conf, &[&file], &["--json", "--previous", previous]));
        let archive = lines.iter().find(|line| line.get("archive").is_some());
        // Without containers and chain it is no archive at all.
        let is_valid = archive.is_some_and(|archive| archive["valid"] == true && archive["chained"] == true);
        assert_eq!(is_valid, case["verdict"] == "valid", "{case}: {archive:?}");
        if let Some(digest) = case.get("last_digest") {
            assert_eq!(&archive.unwrap()["last_digest"], digest);
        }
    }
    let archives =
        ["message-archive-0.zip", "message-archive-1.zip"].map(|name| root.join("archives").join(name));
    let notes = |files: &[&Path]| -> Vec<Value> {
        let lines = lines(&verify(&conf, files, &["--json"]));
        let archives = lines.into_iter().filter(|line| line.get("archive").is_some());
        archives.map(|line| serde_json::json!([line["valid"], line["note"].is_null()])).collect()
    };
    assert_eq!(
        notes(&[&archives[0], &archives[1]]),
        [serde_json::json!([true, true]), serde_json::json!([true, true])]
    );
    assert_eq!(notes(&[&archives[1]]), [serde_json::json!([true, false])], "what came before is not given");
}
