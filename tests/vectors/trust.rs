//! Global configuration, chains, OCSP.

mod certificates;
mod configuration;
mod directories;

use std::path::{Path, PathBuf};

use hermod::crypto::Certificate;
use hermod::time::UnixTime;

use crate::common::vectors;

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn globalconf() -> Option<PathBuf> {
    Some(vectors()?.join("globalconf"))
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn certificate(path: impl AsRef<Path>) -> Certificate {
    let path = path.as_ref();
    Certificate::from_der_or_pem(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// Rows of a table of verdicts: id, kind, input, context, expected, detail.
fn cases(root: &Path, kind: &str) -> Vec<[String; 5]> {
    let table = String::from_utf8(read(root.join("cases/expected-verdicts.tsv"))).unwrap();
    let rows = table.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let rows = rows.filter(|row| row[1] == kind);
    rows.map(|row| [0, 2, 3, 4, 5].map(|at| row.get(at).cloned().unwrap_or_default())).collect()
}

#[test]
fn every_kind_of_verdict_in_the_table_has_a_test_that_runs_it() {
    let Some(root) = globalconf() else { return };
    let table = String::from_utf8(read(root.join("cases/expected-verdicts.tsv"))).unwrap();
    let counts = [
        ("anchor", 12),
        ("cert-chain", 5),
        ("extension", 9),
        ("ocsp-url-order", 5),
        ("signed-directory", 25),
        ("source-urls", 4),
        ("stored-gc", 9),
    ];
    for (kind, count) in counts {
        assert_eq!(cases(&root, kind).len(), count, "{kind}");
    }
    assert_eq!(table.lines().skip(1).count(), counts.iter().map(|(_, count)| count).sum::<usize>());
}
