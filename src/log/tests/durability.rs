use super::*;

/// While one commit waits for the disk, everything that arrives goes into the next one.
#[test]
fn records_that_arrive_together_share_one_sync() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let log = open_with(config(directory.path()), Arc::new(TestStorage(Arc::clone(&disk))));
    append(&log, request("first"));
    let before = disk.syncs.load(Ordering::SeqCst);
    block_on(async {
        disk.hold_syncs();
        // One poll queues a record; how many are queued must not be left to a scheduler.
        let mut waiting = vec![Box::pin(log.append(request("held")))];
        assert!(futures_poll(waiting[0].as_mut()).is_pending());
        disk.wait_for_held_sync();
        for at in 0..100 {
            let mut append = Box::pin(log.append(request(&format!("q{at}"))));
            assert!(futures_poll(append.as_mut()).is_pending());
            waiting.push(append);
        }
        disk.release_syncs();
        let mut ids = Vec::new();
        for append in waiting {
            ids.push(append.await.unwrap().id());
        }
        let expected: Vec<u64> = (2..103).collect();
        assert_eq!(ids, expected);
    });
    assert_eq!(disk.syncs.load(Ordering::SeqCst) - before, 2);
    let statistics = log.statistics();
    assert_eq!((statistics.messages, statistics.commits, statistics.largest_commit), (102, 3, 100));
    assert_eq!(query_ids(log.reader()).len(), 102);
    log.close();
}

/// The answer comes after the sync, so a signature is never sent before its record is safe.
#[test]
fn trap_signature_38_nothing_is_answered_before_it_is_durable() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let log = open_with(config(directory.path()), Arc::new(TestStorage(Arc::clone(&disk))));
    append(&log, request("first"));
    block_on(async {
        disk.hold_syncs();
        let mut waiting = std::pin::pin!(log.append(request("second")));
        assert!(futures_poll(waiting.as_mut()).is_pending());
        disk.wait_for_held_sync();
        assert!(futures_poll(waiting.as_mut()).is_pending());
        assert_eq!(query_ids(log.reader()), ["first"], "nobody sees what is not durable");
        disk.release_syncs();
        waiting.await.unwrap();
    });
    assert_eq!(query_ids(log.reader()), ["first", "second"]);
    log.close();
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn many_threads_append_and_every_record_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let log = log.clone();
            std::thread::spawn(move || {
                for at in 0..25 {
                    append(&log, request(&format!("{thread}-{at}")));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    log.close();
    let log = open(directory.path());
    let mut found = query_ids(log.reader());
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 200);
    log.close();
}

#[test]
fn a_signature_document_is_stored_once_for_its_batch() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let large = |text: &str| SignatureData {
        signature: Bytes::from(text.repeat(10_000)),
        hash_chain_result: Some(Bytes::from_static(b"result")),
        hash_chain: Some(Bytes::from_static(b"chain")),
        chain_path: None,
    };
    for at in 0..20 {
        // Equal bytes in other memory: the peer's document as it arrives with each message.
        let signature = large(if at % 2 == 0 { "a" } else { "b" });
        append(&log, Record { signature, ..request(&format!("q{at}")) });
    }
    log.close();
    let len = std::fs::metadata(only_segment(directory.path())).unwrap().len();
    assert!(len < 2 * 10_000 + 20 * 500, "{len}");
    let log = open(directory.path());
    for (at, record) in log.reader().iter().enumerate() {
        assert_eq!(record.unwrap().signature, large(if at % 2 == 0 { "a" } else { "b" }));
    }
    log.close();
}

#[test]
fn segments_are_sealed_and_followed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.segment_bytes_max = 1000;
    let log = open_with(config.clone(), Arc::new(Disk));
    for at in 0..20 {
        append(&log, request(&format!("q{at}")));
    }
    log.close();
    assert!(segment::list(directory.path()).unwrap().len() > 3);
    let log = open_with(config, Arc::new(Disk));
    assert_eq!(query_ids(log.reader()).len(), 20);
    assert!(log.reader().damages().is_empty());
    append(&log, request("after"));
    assert_eq!(query_ids(log.reader()).last().unwrap(), "after");
    log.close();
}

/// What is on disk while the server runs is what a killed server leaves.
#[test]
fn every_answered_record_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let killed = tempfile::tempdir().unwrap();
    for at in 0..10 {
        append(&log, request(&format!("q{at}")));
        std::fs::copy(only_segment(directory.path()), only_segment(killed.path())).unwrap();
        let after = open(killed.path());
        assert_eq!(query_ids(after.reader()).len(), at + 1);
        append(&after, request("again"));
        after.close();
    }
    log.close();
}

#[test]
fn two_processes_cannot_write_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let second = LogHandle::open(config(directory.path()), clock());
    assert!(matches!(second, Err(LogError::Locked { .. })));
    assert!(LogReader::open(directory.path()).is_ok(), "reading needs no lock");
    log.close();
    open(directory.path()).close();
}

#[test]
fn a_closed_log_refuses_records() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    log.close();
    let error = block_on(log.append(request("late"))).unwrap_err();
    assert_eq!(error.code(), "logging_failed");
}
