use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::*;

/// A log of twenty records in segments of a few, the last not complete.
fn sample(directory: &Path) -> LogConfig {
    let config = small(directory);
    let log = open_with(config.clone(), Arc::new(Disk));
    for at in 0..20 {
        append(&log, numbered(at));
    }
    log.close();
    config
}

fn small(directory: &Path) -> LogConfig {
    let mut config = config(directory);
    config.segment_bytes_max = 800;
    config
}

fn numbered(at: usize) -> Record {
    let direction = if at.is_multiple_of(2) { Direction::Request } else { Direction::Response };
    let service = ServiceId::new(&client("provider"), &format!("service{}", at % 3), Some("v1")).unwrap();
    let client = client(if at < 12 { "consumer" } else { "other" });
    Record {
        service: Some(service),
        consumer: Some(client.clone()),
        client,
        ..record(&format!("q{}", at / 2), direction)
    }
}

fn indexes(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut indexes: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "idx")).collect();
    indexes.sort();
    indexes
}

/// Everything that a reader can say of the sample.
fn told(reader: &LogReader) -> String {
    let mut told =
        format!("{:?} {} {:?}\n", reader.counts(), reader.unstamped_count(), reader.unstamped(100));
    for record in reader.iter() {
        let record = record.unwrap();
        let found = reader.find(&record.summary.client, &record.summary.query_id, None).unwrap();
        told +=
            &format!("{:?} {:?} {:?}\n", record.summary, found, reader.summary(record.summary.id).unwrap());
    }
    told
}

#[test]
fn complete_segments_are_read_by_their_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let config = sample(directory.path());
    let segments = segment::list(directory.path()).unwrap().len();
    assert!(segments > 3);
    assert_eq!(indexes(directory.path()).len(), segments - 1, "all but the last");
    let reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(query_ids(&reader).len(), 20);
    let as_it_was = told(&reader);
    let log = open_with(config, Arc::new(Disk));
    assert_eq!(told(log.reader()), as_it_was);
    log.close();

    // Without indexes the same is found by a scan, which changes nothing for a reader and writes them for a writer.
    for index in indexes(directory.path()) {
        std::fs::remove_file(index).unwrap();
    }
    assert_eq!(told(&LogReader::open(directory.path()).unwrap()), as_it_was);
    assert!(indexes(directory.path()).is_empty(), "reading writes nothing");
    open_with(small(directory.path()), Arc::new(Disk)).close();
    assert_eq!(indexes(directory.path()).len(), segments - 1);
    assert_eq!(told(&LogReader::open(directory.path()).unwrap()), as_it_was);
}

/// The digest is made of what a scan reads: of many frames at once, and of ones that a scan steps over.
#[test]
fn the_digest_of_a_segment_is_that_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.segment_bytes_max = 3 << 20;
    let log = open_with(config.clone(), Arc::new(Disk));
    for at in 0..36 {
        let bytes = match at % 12 {
            0 => 700 << 10,
            5 | 6 => 300 << 10,
            _ => 20 << 10,
        };
        let attachments = vec![Body::Bytes(Bytes::from(vec![at; bytes]))];
        append(&log, Record { attachments, ..numbered(at.into()) });
    }
    log.close();
    let made_beside = indexes(directory.path());
    assert!(!made_beside.is_empty());
    let check = || {
        for number in 1..=made_beside.len() as u32 {
            let index = directory.path().join(super::super::sealed::file_name(number));
            let sealed = super::super::sealed::Sealed::open(&index).unwrap().unwrap();
            let bytes = std::fs::read(directory.path().join(segment::file_name(number))).unwrap();
            assert_eq!(sealed.head.segment_len, bytes.len() as u64);
            assert_eq!(sealed.head.segment_sha256, crate::crypto::sha256(&bytes));
        }
        let reader = LogReader::open(directory.path()).unwrap();
        for summary in reader.segments().unwrap() {
            assert!(reader.check_segment(summary).unwrap().faults.is_empty());
        }
    };
    check();
    made_beside.iter().for_each(|index| std::fs::remove_file(index).unwrap());
    open_with(config, Arc::new(Disk)).close();
    check();
}

/// A flipped byte of an index never hides a record or shows another one: the index is made again.
#[test]
fn a_damaged_index_is_noticed_wherever_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let as_it_was = told(&LogReader::open(directory.path()).unwrap());
    let index = indexes(directory.path()).remove(1);
    let bytes = std::fs::read(&index).unwrap();
    let looked_at = |at: &usize| bytes[*at] != 0 || at.is_multiple_of(97);
    for at in (0..bytes.len()).filter(looked_at).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&index, damaged).unwrap();
        let reader = LogReader::open(directory.path()).unwrap();
        assert_eq!(told(&reader), as_it_was, "byte {at}");
        let check = reader.check_segment(reader.segments().unwrap().remove(1)).unwrap();
        assert!(!check.faults.is_empty(), "byte {at}");
    }
    std::fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(told(&LogReader::open(directory.path()).unwrap()), as_it_was);
}

/// The index trusts its segment, the check does not.
#[test]
fn a_byte_that_rots_in_a_complete_segment_costs_its_record_and_is_told_by_a_check() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let path = directory.path().join(segment::file_name(2));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reader = LogReader::open(directory.path()).unwrap();
    let unreadable = reader.iter().filter(Result::is_err).count();
    assert!((1..=3).contains(&unreadable), "{unreadable}");
    let check = reader.check_segment(reader.segments().unwrap().remove(1)).unwrap();
    assert_eq!(check.faults, ["it is not what it was when it was sealed"]);
    assert_eq!(check.damages.len(), 1);
    let sound = reader.check_segment(reader.segments().unwrap().remove(0)).unwrap();
    assert!(sound.faults.is_empty() && sound.damages.is_empty());

    // Indexed again, the damage is known from then on.
    std::fs::remove_file(&indexes(directory.path())[1]).unwrap();
    for _ in 0..2 {
        let log = open_with(small(directory.path()), Arc::new(Disk));
        assert_eq!(log.reader().damages().len(), 1);
        log.close();
    }
}

#[test]
fn an_index_that_cannot_be_written_stays_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let as_it_was = told(&LogReader::open(directory.path()).unwrap());
    let index = indexes(directory.path()).remove(0);
    std::fs::remove_file(&index).unwrap();
    let in_the_way = index.with_extension("idx-new");
    std::fs::create_dir(&in_the_way).unwrap();
    let log = open_with(small(directory.path()), Arc::new(Disk));
    assert_eq!(told(log.reader()), as_it_was);
    log.close();
    assert!(!index.exists());
    std::fs::remove_dir(in_the_way).unwrap();
    open_with(small(directory.path()), Arc::new(Disk)).close();
    assert!(index.exists());
}

/// Time-stamps come later than their records, often in another segment.
#[test]
fn what_waits_for_a_time_stamp_is_known_from_the_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let log = open_with(small(directory.path()), Arc::new(Disk));
    let mut waiting = BTreeMap::new();
    for at in 0..40 {
        waiting.insert(append(&log, numbered(at)).id(), ());
        if at % 7 == 6 {
            // All but the newest and an early one.
            let stamped: Vec<u64> = waiting.keys().copied().filter(|id| *id != 3).take(6).collect();
            let digest = |id: &u64| crate::crypto::DigestAlgorithm::Sha512.digest(&id.to_be_bytes());
            let leaves: Vec<_> = stamped.iter().map(|id| (*id, digest(id))).collect();
            let digests: Vec<_> = leaves.iter().map(|(_, digest)| *digest).collect();
            let batch = crate::evidence::timestamp::TimestampBatch::new(&digests).unwrap();
            let covered = record::Covered::Batch { root: *batch.root(), leaves };
            let stamp = record::TimestampRecord { token: Bytes::from(format!("token {at}")), covered };
            block_on(log.append_timestamp(stamp)).unwrap();
            waiting.retain(|id, ()| !stamped.contains(id));
        }
    }
    let waiting: Vec<u64> = waiting.into_keys().collect();
    assert_eq!(log.reader().unstamped(100), waiting);
    let as_it_was = told(log.reader());
    log.close();
    for _ in 0..2 {
        let reader = LogReader::open(directory.path()).unwrap();
        assert_eq!(told(&reader), as_it_was);
        assert_eq!(reader.unstamped(100), waiting);
        for record in reader.iter() {
            let record = record.unwrap();
            assert_eq!(record.stamp.is_none(), waiting.contains(&record.summary.id));
        }
        open_with(small(directory.path()), Arc::new(Disk)).close();
    }
}

#[test]
fn a_segment_that_is_sealed_during_a_search_is_searched() {
    let directory = tempfile::tempdir().unwrap();
    let log = open_with(small(directory.path()), Arc::new(Disk));
    let until = |done: &dyn Fn(&crate::log::catalog::Catalog) -> bool| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !log.reader().with_catalog(done) {
            assert!(std::time::Instant::now() < deadline, "a full segment is sealed");
            std::thread::yield_now();
        }
    };
    for at in 0..20 {
        append(&log, numbered(at));
    }
    until(&|catalog| !catalog.sealed_from(0).is_empty());
    let mut found = Vec::new();
    let search = log.reader().search(&Query::default(), |record| {
        found.push(record.unwrap().id);
        if found.len() == 1 {
            let live: Vec<u32> =
                log.reader().with_catalog(|catalog| catalog.lives().map(|live| live.number).collect());
            for at in 20..40 {
                append(&log, numbered(at));
            }
            until(&|catalog| catalog.lives().all(|now| !live.contains(&now.number)));
        }
        ControlFlow::Continue(())
    });
    search.unwrap();
    assert_eq!(found.get(..20), Some(&(1..=20).collect::<Vec<u64>>()[..]));
}

#[test]
fn records_are_found_by_who_called_what_and_when() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = LogHandle::open_on(small(directory.path()), clock.clone(), Arc::new(Disk)).unwrap();
    log.timestamp_status().set_provider_configured(true);
    let start = clock.now();
    for at in 0..20 {
        // The clock jumps back once.
        clock.set(start.plus_secs(if at == 10 { -100 } else { at as i64 }));
        append(&log, numbered(at));
    }
    let found = |reader: &LogReader, query: &Query| {
        let mut found = Vec::new();
        reader
            .search(query, |record| {
                found.push(record.unwrap().id);
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    };
    let ids =
        |of: &dyn Fn(usize) -> bool| (0..20).filter(|at| of(*at)).map(|at| at as u64 + 1).collect::<Vec<_>>();
    let time = |at: usize| if at == 10 { -100 } else { at as i64 };
    let check = |reader: &LogReader| {
        let all = Query::default();
        assert_eq!(found(reader, &all), ids(&|_| true));
        let other = Query { client: Some(client("other")), ..all.clone() };
        assert_eq!(found(reader, &other), ids(&|at| at >= 12));
        let member = Query { client: Some(ClientId::new("LAB", "GOV", "100", None).unwrap()), ..all.clone() };
        assert_eq!(found(reader, &member), ids(&|_| true));
        let service = ServiceId::new(&client("provider"), "service1", None).unwrap();
        let service = Query { service: Some(service), direction: Some(Direction::Response), ..all.clone() };
        assert_eq!(found(reader, &service), ids(&|at| at % 3 == 1 && at % 2 == 1));
        let version = ServiceId::new(&client("provider"), "service1", Some("v2")).unwrap();
        assert!(found(reader, &Query { service: Some(version), ..all.clone() }).is_empty());
        let (from, until) = (Some(start.plus_secs(5)), Some(start.plus_secs(15)));
        assert_eq!(
            found(reader, &Query { from, until, ..all.clone() }),
            ids(&|at| (5..15).contains(&time(at)))
        );
        let early = Query { until: Some(start), ..all.clone() };
        assert_eq!(found(reader, &early), [11], "found although the clock had jumped");
        let id = Query { message_id: Some("q3".into()), direction: Some(Direction::Request), ..all };
        assert_eq!(found(reader, &id), [7]);
    };
    check(log.reader());
    log.close();
    check(&LogReader::open(directory.path()).unwrap());
}
