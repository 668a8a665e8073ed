mod disk_full;
mod encrypted;
mod retention;
mod volume;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::SignatureData;
use crate::evidence::message_archive::{EvidenceFile, MessageArchive, VerifiedLinks};
use crate::log::{Direction, LogConfig, LogHandle, Record, TimestampClient, Timestamper};
use crate::message::{ClientId, SecurityServerId, XRoadError};
use crate::time::ManualClock;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

struct Authority;

impl TimestampClient for Authority {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        Ok(Bytes::copy_from_slice(imprint.as_ref()))
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open(directory: &Path) -> LogHandle {
    open_with(directory, 1 << 30)
}

fn open_with(directory: &Path, segment_bytes_max: u64) -> LogHandle {
    let server = SecurityServerId::new("LAB", "GOV", "100", "ss0").unwrap();
    let config = LogConfig { segment_bytes_max, ..LogConfig::new(directory.to_owned(), server) };
    let log = LogHandle::open(config, Arc::new(ManualClock::new(NOW))).unwrap();
    log.timestamp_status().set_provider_configured(true);
    log
}

fn append(log: &LogHandle, number: usize) {
    try_append(log, number).unwrap();
}

fn try_append(log: &LogHandle, number: usize) -> Result<(), XRoadError> {
    let (member, subsystem) = [("100", "a"), ("200", "a"), ("100", "b")][number % 3];
    let bytes = |what: &str| Bytes::from(format!("{what} {}", number / 3));
    let signature = SignatureData {
        signature: bytes("signature"),
        hash_chain_result: Some(bytes("result")),
        hash_chain: Some(bytes("chain")),
        chain_path: None,
    };
    let record = Record {
        query_id: format!("message {number}"),
        message: Bytes::from(format!("GET\r\n/r1/message-{number}\r\n")),
        signature,
        direction: Direction::Request,
        client: ClientId::new("LAB", "GOV", member, Some(subsystem)).unwrap(),
        consumer: None,
        service: None,
        x_request_id: None,
        attachments: Vec::new(),
        metadata_only: false,
    };
    block_on(log.append(record)).map(drop)
}

fn stamp(log: &LogHandle) {
    let stamper = Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 10_000);
    block_on(stamper.run_until_none_waits(&Authority)).unwrap();
}

/// A closed log with so many stamped records.
fn stamped(directory: &Path, records: usize) {
    let log = open(directory);
    (0..records).for_each(|number| append(&log, number));
    stamp(&log);
    log.close();
}

fn archiver(folder: &Path, grouping: Grouping, file_bytes_max: u64) -> Archiver {
    Archiver {
        log: LogReader::open(&folder.join("log")).unwrap(),
        directory: folder.join("archive"),
        grouping,
        file_bytes_max,
        transfer_command: None,
        encryption: None,
        core_percent: 100,
        status: Arc::default(),
        zone: TimeZone::UTC,
        watch: Arc::new(|_| Ok(())),
    }
}

fn run(archiver: &Archiver) -> ArchiveOutcome {
    archiver.run(NOW, &Stop::default()).unwrap()
}

fn read(path: &Path) -> (MessageArchive, VerifiedLinks) {
    let bytes = Bytes::from(fs::read(path).unwrap());
    let EvidenceFile::Archive(archive) = EvidenceFile::read(&bytes).unwrap() else { panic!("no archive") };
    let links = archive.verify_links().unwrap().expect("a chain");
    (archive, links)
}

/// Checks the chain of every group from its beginning to its end, and gives the names of all containers, chain by chain.
fn containers(folder: &Path) -> Vec<String> {
    let mut next: HashMap<String, Vec<(String, MessageArchive, VerifiedLinks)>> = HashMap::new();
    let mut files = 0;
    for entry in fs::read_dir(folder.join("archive")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".zip"), "{name} is left over");
        let (archive, links) = read(&folder.join("archive").join(&name));
        next.entry(links.previous_file.clone()).or_default().push((name, archive, links));
        files += 1;
    }
    let mut found = Vec::new();
    let mut ends = vec![(String::new(), String::new())];
    while let Some((file, digest)) = ends.pop() {
        for (name, archive, links) in next.remove(&file).unwrap_or_default() {
            assert_eq!(links.previous_digest, digest);
            found.extend(archive.containers.into_iter().map(|(name, _)| name));
            ends.push((name, links.last_digest));
            files -= 1;
        }
        // Only the beginning is continued more than once, by each group.
        assert!(file.is_empty() || ends.len() <= 3);
    }
    assert_eq!(files, 0, "archives that continue nothing");
    found
}

fn assert_each_once(folder: &Path, records: usize) {
    let mut found = containers(folder);
    found.sort();
    let mut expected: Vec<String> = LogReader::open(&folder.join("log"))
        .unwrap()
        .iter()
        .map(|record| record.unwrap().container_file_name())
        .collect();
    expected.sort();
    assert_eq!(expected.len(), records);
    assert_eq!(found, expected);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Fails at one step and at every one after it, as if the process were not there any more.
fn killed_at(step: usize) -> (Watch, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let watch = move |_| match count.fetch_add(1, Ordering::Relaxed) < step {
        true => Ok(()),
        false => Err(io::Error::other("killed")),
    };
    (Arc::new(watch), seen)
}

#[test]
fn trap_signature_35_archives_of_several_runs_are_one_chain_from_the_first_record_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    let mut files = Vec::new();
    for round in 0..3 {
        (0..10).for_each(|number| append(&log, round * 10 + number));
        // What waits for a time-stamp waits for the archiver too.
        assert_eq!(run(&archiver(folder.path(), Grouping::None, 8_000)).records, 0);
        stamp(&log);
        let outcome = run(&archiver(folder.path(), Grouping::None, 8_000));
        assert_eq!(outcome.records, 10);
        assert!(outcome.files.len() > 1, "files are closed at their size");
        files.extend(outcome.files);
    }
    log.close();
    let (mut digest, mut name, mut found) = (String::new(), String::new(), Vec::new());
    for file in &files {
        let (archive, links) = read(file);
        assert_eq!((&links.previous_digest, &links.previous_file), (&digest, &name));
        digest = links.last_digest;
        name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name.starts_with("mlog-2023") && name.ends_with(&format!("-{}.zip", &digest[..16])),
            "{name}"
        );
        found.extend(archive.containers.into_iter().map(|(name, _)| name));
    }
    assert_eq!(found.len(), 30);
    assert_eq!(found[0], "message+0-request-1.asice");
    assert_each_once(folder.path(), 30);
    let text = read(&files[0]).0.linking.unwrap();
    assert!(text.starts_with(b"- - SHA-512\n"));
}

#[test]
fn a_kill_at_any_step_neither_loses_nor_doubles_a_record() {
    let original = tempfile::tempdir().unwrap();
    stamped(original.path(), 7);
    for grouping in [Grouping::None, Grouping::Subsystem] {
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            copy(original.path(), &folder.path().join("log"));
            let mut first = archiver(folder.path(), grouping, 6_000);
            let (watch, _) = killed_at(step);
            first.watch = watch;
            let done = first.run(NOW, &Stop::default()).is_ok();
            // The next one does not come far either, and the configuration changes meanwhile.
            let mut second = archiver(folder.path(), Grouping::Member, 9_000);
            second.watch = killed_at(step * 7 % 11).0;
            let _ = second.run(NOW, &Stop::default());
            run(&archiver(folder.path(), grouping, 6_000));
            assert_each_once(folder.path(), 7);
            if done {
                assert!(step > 12, "only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn each_group_has_its_own_archives_and_chain() {
    let folder = tempfile::tempdir().unwrap();
    stamped(&folder.path().join("log"), 9);
    let outcome = run(&archiver(folder.path(), Grouping::Member, 1 << 20));
    let starts = |path: &PathBuf, start: &str| path.file_name().unwrap().to_string_lossy().starts_with(start);
    assert_eq!(outcome.files.len(), 2);
    assert!(starts(&outcome.files[0], "mlog-LAB_GOV_100-2"), "{:?}", outcome.files);
    assert!(starts(&outcome.files[1], "mlog-LAB_GOV_200-2"), "{:?}", outcome.files);
    assert_eq!(read(&outcome.files[0]).0.containers.len(), 6);
    for file in &outcome.files {
        assert_eq!(read(file).1.previous_file, "");
    }
    assert_each_once(folder.path(), 9);
    // Records that come later are grouped as the configuration says by then.
    let log = open(&folder.path().join("log"));
    (9..15).for_each(|number| append(&log, number));
    stamp(&log);
    log.close();
    let outcome = run(&archiver(folder.path(), Grouping::Subsystem, 1 << 20));
    assert_eq!((outcome.records, outcome.files.len()), (6, 3));
    assert!(starts(&outcome.files[2], "mlog-LAB_GOV_200_a-2"), "{:?}", outcome.files);
}

#[test]
fn a_damaged_record_is_told_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    stamped(&folder.path().join("log"), 6);
    let archiver = archiver(folder.path(), Grouping::None, 1 << 20);
    let segment = folder.path().join("log/segment-0000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"/r1/message-3").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let outcome = run(&archiver);
    assert_eq!((outcome.records, outcome.left_out), (5, vec![4]));
    assert_eq!(Position::load(&folder.path().join("log")).unwrap().left_out, [(4, 4)]);
    assert_eq!(containers(folder.path()).len(), 5);
    assert_eq!(run(&archiver), ArchiveOutcome::default(), "it is passed for good");
}

#[test]
fn a_run_that_is_told_to_stop_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    stamped(&folder.path().join("log"), 6);
    let stop = Stop::default();
    let mut stopped = archiver(folder.path(), Grouping::None, 1 << 20);
    let (told, seen) = (stop.clone(), AtomicUsize::new(0));
    stopped.watch = Arc::new(move |step| {
        if step == Step::AddContainer && seen.fetch_add(1, Ordering::Relaxed) == 2 {
            told.set();
        }
        Ok(())
    });
    assert_eq!(stopped.run(NOW, &stop).unwrap(), ArchiveOutcome::default());
    assert_eq!(fs::read_dir(folder.path().join("archive")).unwrap().count(), 0);
    run(&archiver(folder.path(), Grouping::None, 1 << 20));
    assert_each_once(folder.path(), 6);
}

#[test]
fn one_archiver_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    stamped(&folder.path().join("log"), 2);
    let archiver = archiver(folder.path(), Grouping::None, 1 << 20);
    let held = lock(&folder.path().join("log")).unwrap();
    assert!(matches!(archiver.run(NOW, &Stop::default()), Err(ArchiveError::Busy)));
    drop(held);
    assert_eq!(run(&archiver).records, 2);
}

#[test]
fn the_transfer_command_runs_after_each_archive_and_its_failure_is_no_failure_of_archiving() {
    let folder = tempfile::tempdir().unwrap();
    stamped(&folder.path().join("log"), 12);
    let mut archiver = archiver(folder.path(), Grouping::None, 4_000);
    let calls = folder.path().join("calls");
    archiver.transfer_command = Some(format!("echo >> '{}'; exit 3", calls.display()));
    let outcome = run(&archiver);
    assert_each_once(folder.path(), 12);
    // Once more at the end, because it had failed.
    assert_eq!(fs::read_to_string(calls).unwrap().lines().count(), outcome.files.len() + 1);
}
