use std::collections::BTreeMap;

use super::*;
use crate::control::backup::{FORMAT, Manifest};
use crate::crypto::{sha256, to_hex};
use crate::log::begin_behind;

const CONFIGURATION: &str = "root = \"state\"\n[server]\ninstance = \"LAB\"\nmember_class = \"GOV\"\nmember_code = \"1\"\n\
                             server_code = \"ss1\"\n";

/// A backup of a server whose archives have come to a record.
fn backup(configuration: &str, log_last_id: u64, archived_below: u64) -> Vec<u8> {
    let files = BTreeMap::from([
        ("hermod.toml".to_owned(), configuration.as_bytes().to_vec()),
        ("archive-position".to_owned(), position(archived_below)),
    ]);
    let hashes = files.iter().map(|(name, bytes)| (name.clone(), to_hex(&sha256(bytes)))).collect();
    let manifest = Manifest {
        format: FORMAT,
        version: "0".into(),
        server: "LAB/GOV/1/ss1".into(),
        made: "2026-01-01T00:00:00Z".into(),
        log_last_id,
        audit_entries: 100,
        files: hashes,
    };
    Backup { manifest, files }.to_bytes().unwrap()
}

fn position(done_below: u64) -> Vec<u8> {
    let line = format!(
        r#"{{"done_below":{done_below},"grouping":"","groups":{{}},"moving":null,"left_out":[],"last_run_ms":0}}"#
    );
    format!("{line}\n{}\n", to_hex(&sha256(line.as_bytes()))).into_bytes()
}

struct Machine {
    folder: tempfile::TempDir,
    into: Vec<PathBuf>,
}

impl Machine {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), into: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it says when it refuses; nothing when it is done.
    fn restore(&self, backup: &[u8], only: &[Part]) -> String {
        let file = self.path("backup");
        std::fs::write(&file, backup).unwrap();
        let args = RestoreArgs {
            file,
            config: self.path("server/hermod.toml"),
            identity: None,
            into: self.into.clone(),
            only: only.to_vec(),
            replace: true,
        };
        restore(&args).map_or_else(|error| error.to_string(), |()| String::new())
    }
}

#[test]
fn a_whole_restore_that_would_take_archives_or_ids_back_is_refused_and_changes_nothing() {
    let machine = Machine::new();
    let log = machine.path("server/state/log");
    assert_eq!(machine.restore(&backup(CONFIGURATION, 7, 5), &[]), "");
    assert_eq!(std::fs::read(log.join("archive-position")).unwrap(), position(5));
    assert_eq!(machine.restore(&backup(CONFIGURATION, 7, 5), &[]), "", "the same once more");

    // Archives have gone on, without a message.
    std::fs::write(log.join("archive-position"), position(8)).unwrap();
    let said = machine.restore(&backup(CONFIGURATION, 7, 5), &[]);
    assert!(said.contains("records before 8 are archived"), "{said}");
    assert_eq!(std::fs::read(log.join("archive-position")).unwrap(), position(8));
    assert_eq!(machine.restore(&backup(CONFIGURATION, 7, 5), &[Part::Configuration]), "");
    assert_eq!(machine.restore(&backup(CONFIGURATION, 7, 8), &[]), "");

    // A later backup was restored here, and nothing was logged since.
    begin_behind(&log, 0, 9, RECORD_IDS_SKIPPED).unwrap();
    let said = machine.restore(&backup(CONFIGURATION, 7, 8), &[]);
    assert!(said.contains("goes on behind record 1000000009"), "{said}");
    assert_eq!(machine.restore(&backup(CONFIGURATION, 9, 8), &[]), "");
}

#[test]
fn a_backups_configuration_puts_files_only_where_the_operator_has_named_a_folder() {
    let mut machine = Machine::new();
    let elsewhere = machine.path("elsewhere");
    let absolute = CONFIGURATION.replace("\"state\"", &format!("{elsewhere:?}"));
    let back = CONFIGURATION.replace("\"state\"", "\"state/../../elsewhere\"");
    let audit = format!("audit = \"../../elsewhere/audit.log\"\n{CONFIGURATION}");
    for configuration in [&absolute, &back, &audit] {
        let said = machine.restore(&backup(configuration, 0, 0), &[]);
        assert!(said.contains(elsewhere.to_str().unwrap()) && said.contains("--into"), "{said}");
        assert!(!elsewhere.exists() && !machine.path("server").exists(), "nothing is written");
    }
    let inside = CONFIGURATION.replace("\"state\"", "\"state/../other\"");
    assert_eq!(machine.restore(&backup(&inside, 0, 0), &[]), "");
    machine.into = vec![elsewhere.clone()];
    assert_eq!(machine.restore(&backup(&absolute, 0, 0), &[]), "");
    assert!(elsewhere.join("log/archive-position").exists());
    // Now it is where the configuration that is there has it.
    machine.into.clear();
    assert_eq!(machine.restore(&backup(&absolute, 0, 0), &[]), "");
    assert_eq!(machine.restore(&backup(&absolute, 0, 0), &[Part::Registry]), "");
}
