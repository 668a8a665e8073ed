use super::*;
use crate::control::follow_status::FollowStatus;
use crate::log::SET_ASIDE;

const DAY_SECS: i64 = 86_400;
const RECORDS: usize = 150;
const EVERYTHING: Retention = Retention { keep_ms: Some(0), bytes_max: None, archived_only: true };

/// A log of segments with some records each.
fn small(directory: &Path, records: usize) -> LogHandle {
    let log = open_with(directory, 4096);
    (0..records).for_each(|number| append(&log, number));
    stamp(&log);
    // The index of the last complete segment is made beside the writer.
    log.close();
    open_with(directory, 4096)
}

fn clean(log: &LogHandle, retention: Retention, now: UnixTime) -> Cleaned {
    let position = Position::load(log.reader().directory()).unwrap();
    retention.clean(log, &position, None, now, &ArchiveStatus::default()).unwrap()
}

fn records(log: &LogHandle) -> usize {
    log.reader().iter().inspect(|record| assert!(record.is_ok())).count()
}

#[test]
fn nothing_leaves_the_log_before_it_is_archived() {
    let folder = tempfile::tempdir().unwrap();
    let log = small(&folder.path().join("log"), RECORDS);
    let later = NOW.plus_secs(DAY_SECS);
    assert_eq!(clean(&log, EVERYTHING, later), Cleaned::default());
    let too_large = Retention { keep_ms: None, bytes_max: Some(1), archived_only: true };
    let cleaned = clean(&log, too_large, later);
    assert_eq!((cleaned.removed, records(&log)), (0, RECORDS));
    assert!(cleaned.held_back > 10_000, "it is told how much too large the log is");
    // Unless that is what was asked for; the newest segment stays in any case.
    let anything = Retention { archived_only: false, ..EVERYTHING };
    assert!(clean(&log, anything, later).removed > 3);
    let left = records(&log);
    assert!((1..RECORDS / 2).contains(&left), "{left}");
    log.close();
    let log = open_with(&folder.path().join("log"), 4096);
    assert_eq!(records(&log), left);
    append(&log, RECORDS);
    let ids: Vec<u64> = log.reader().ids_from(0, 1000).unwrap();
    assert!(*ids.last().unwrap() > RECORDS as u64, "ids go on: {ids:?}");
    log.close();
}

#[test]
fn what_waits_for_a_time_stamp_stays_whatever_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(&folder.path().join("log"), 4096);
    (0..RECORDS).for_each(|number| append(&log, number));
    log.close();
    let log = open_with(&folder.path().join("log"), 4096);
    let anything = Retention { archived_only: false, ..EVERYTHING };
    assert_eq!(clean(&log, anything, NOW.plus_secs(DAY_SECS)), Cleaned::default());
    assert_eq!(records(&log), RECORDS);
    log.close();
}

#[test]
fn archived_records_leave_the_log_by_age_and_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = small(&folder.path().join("log"), RECORDS);
    run(&archiver(folder.path(), Grouping::Member, 1 << 20));
    let day = Retention { keep_ms: Some(DAY_SECS * 1000), bytes_max: None, archived_only: true };
    assert_eq!(clean(&log, day, NOW.plus_secs(DAY_SECS - 1)), Cleaned::default());
    // A clock that is set back makes nothing old.
    assert_eq!(clean(&log, day, NOW.plus_secs(-DAY_SECS)), Cleaned::default());
    let before = log.reader().bytes().unwrap();
    let half = Retention { keep_ms: None, bytes_max: Some(before / 2), archived_only: true };
    let cleaned = clean(&log, half, NOW);
    let after = log.reader().bytes().unwrap();
    assert!(after <= before / 2 && after > before / 4, "{after} of {before}");
    assert_eq!(cleaned.bytes, before - after);
    assert_eq!(clean(&log, half, NOW), Cleaned::default());
    assert!(clean(&log, day, NOW.plus_secs(DAY_SECS + 1)).removed > 0);
    // What is found, and what was waiting for whom, is the same after a restart.
    let left = (records(&log), log.reader().counts(), log.reader().find_all("message 149").unwrap());
    log.close();
    let log = open_with(&folder.path().join("log"), 4096);
    assert_eq!((records(&log), log.reader().counts(), log.reader().find_all("message 149").unwrap()), left);
    assert_eq!(log.reader().unstamped_count(), 0);
    assert!(log.reader().damages().is_empty());
    // And archiving goes on where it was.
    (RECORDS..RECORDS + 2).for_each(|number| append(&log, number));
    stamp(&log);
    assert_eq!(run(&archiver(folder.path(), Grouping::Member, 1 << 20)).records, 2);
    assert_eq!(containers(folder.path()).len(), RECORDS + 2);
    log.close();
}

#[test]
fn what_is_followed_into_a_database_stays_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let log = small(&folder.path().join("log"), RECORDS);
    run(&archiver(folder.path(), Grouping::None, 1 << 20));
    let position = Position::load(log.reader().directory()).unwrap();
    let (followed, status) = (FollowStatus::default(), ArchiveStatus::default());
    let clean = || EVERYTHING.clean(&log, &position, Some(&followed), NOW.plus_secs(1), &status).unwrap();
    assert_eq!(clean(), Cleaned::default());
    followed.passed(RECORDS as u64 / 2);
    let some = clean().removed;
    assert!(some > 1);
    followed.passed(u64::MAX);
    assert!(clean().removed > 1);
    log.close();
}

#[test]
fn a_segment_with_a_record_that_is_in_no_archive_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    small(&directory, RECORDS).close();
    let segment = directory.join("segment-0000000001.log");
    let mut bytes = fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"/r1/message-1").unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let log = open_with(&directory, 4096);
    assert_eq!(run(&archiver(folder.path(), Grouping::None, 1 << 20)).left_out.len(), 1);
    let cleaned = clean(&log, EVERYTHING, NOW.plus_secs(1));
    assert_eq!(cleaned.set_aside, 1);
    assert!(cleaned.removed > 3);
    log.close();
    // It is a log of its own, with everything in it that can be read.
    let aside = LogReader::open(&directory.join(SET_ASIDE)).unwrap();
    assert!(aside.iter().filter(Result::is_ok).count() >= 2);
}

#[test]
fn a_kill_between_the_files_of_a_segment_leaves_a_log_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("log");
    small(&directory, RECORDS).close();
    fs::remove_file(directory.join("segment-0000000001.log")).unwrap();
    let log = open_with(&directory, 4096);
    assert!(!directory.join("segment-0000000001.idx").exists());
    assert!(records(&log) < RECORDS);
    assert_eq!(log.reader().unstamped_count(), 0);
    log.close();
}
