//! Containers and time-stamps of official servers.

mod builder;
mod timestamps;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hermod::evidence::asic::{Container, read_archive};
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
