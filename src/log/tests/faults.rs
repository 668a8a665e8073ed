use super::*;

/// An id that was used for a record that failed is not used for another one, in this run or in the next.
#[test]
fn trap_signature_39_ids_are_never_used_twice() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let storage = || Arc::new(TestStorage(Arc::clone(&disk)));
    let log = open_with(config(directory.path()), storage());
    assert_eq!(append(&log, request("q1")).id(), 1);
    disk.full.store(true, Ordering::SeqCst);
    block_on(log.append(request("lost"))).unwrap_err();
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(append(&log, request("q3")).id(), 3);
    disk.full.store(true, Ordering::SeqCst);
    block_on(log.append(request("lost"))).unwrap_err();
    log.close();
    disk.full.store(false, Ordering::SeqCst);
    let log = open_with(config(directory.path()), storage());
    assert!(append(&log, request("q5")).id() > 4);
    log.close();
}

#[test]
fn a_full_disk_refuses_messages_and_heals_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let log = open_with(config(directory.path()), Arc::new(TestStorage(Arc::clone(&disk))));
    append(&log, request("before"));
    let len = std::fs::metadata(only_segment(directory.path())).unwrap().len();
    disk.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = block_on(log.append(request("refused"))).unwrap_err();
        assert_eq!(error.code(), "logging_failed.io_error");
        assert_eq!(error.text(), "the message log's disk is full");
        assert_eq!(std::fs::metadata(only_segment(directory.path())).unwrap().len(), len, "taken back");
    }
    disk.full.store(false, Ordering::SeqCst);
    append(&log, request("after"));
    assert_eq!(query_ids(log.reader()), ["before", "after"]);
    assert_eq!(log.statistics().failures, 3);
    log.close();
    let log = open(directory.path());
    assert_eq!(query_ids(log.reader()), ["before", "after"]);
    assert!(log.reader().damages().is_empty());
    log.close();
}

#[test]
fn a_disk_that_is_full_from_the_start_heals_too() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    disk.full.store(true, Ordering::SeqCst);
    let log = open_with(config(directory.path()), Arc::new(TestStorage(Arc::clone(&disk))));
    assert_eq!(block_on(log.append(request("no"))).unwrap_err().code(), "logging_failed.io_error");
    disk.full.store(false, Ordering::SeqCst);
    append(&log, request("yes"));
    log.close();
    let log = open(directory.path());
    assert_eq!(query_ids(log.reader()), ["yes"]);
    log.close();
}

/// After a failed sync nobody knows what reached the disk: the segment is not written any more.
#[test]
fn a_failed_sync_ends_the_segment() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let log = open_with(config(directory.path()), Arc::new(TestStorage(Arc::clone(&disk))));
    append(&log, request("before"));
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert_eq!(block_on(log.append(request("no"))).unwrap_err().code(), "logging_failed.io_error");
    disk.sync_fails.store(false, Ordering::SeqCst);
    append(&log, request("after"));
    assert_eq!(segment::list(directory.path()).unwrap(), [1, 2]);
    log.close();
    let log = open(directory.path());
    assert_eq!(query_ids(log.reader()), ["before", "after"]);
    log.close();
}

#[test]
fn a_log_of_another_server_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    append(&log, request("q1"));
    log.close();
    let mut other = config(directory.path());
    other.server = SecurityServerId::new("LAB", "GOV", "100", "ss1").unwrap();
    assert!(matches!(LogHandle::open(other, clock()), Err(LogError::OtherServer { .. })));
}

#[test]
fn too_large_bodies_are_refused_cut_or_left_out_as_configured() {
    let body = |log: &LogHandle, bytes: &'static [u8]| {
        let attachments = vec![Body::Bytes(Bytes::from_static(bytes))];
        block_on(log.append(Record { attachments, ..request("q") }))
    };
    let attachments = |log: &LogHandle, id| log.reader().read(id).unwrap().attachments;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.body_bytes_max = 4;
    let log = open_with(config.clone(), Arc::new(Disk));
    assert_eq!(body(&log, b"12345").unwrap_err().code(), "logging_failed");
    let id = body(&log, b"1234").unwrap().id();
    assert_eq!(attachments(&log, id), ["1234"]);
    log.close();
    config.truncated_body_allowed = true;
    let log = open_with(config.clone(), Arc::new(Disk));
    let id = body(&log, b"12345").unwrap().id();
    assert_eq!(attachments(&log, id), ["1234"]);
    let cut = Record { attachments: vec![spooled(b"abcdefg")], ..request("q") };
    let id = append(&log, cut).id();
    assert_eq!(attachments(&log, id), ["abcd"]);
    log.close();
    config.body_bytes_max = 0;
    let log = open_with(config, Arc::new(Disk));
    let id = body(&log, b"12345").unwrap().id();
    assert!(attachments(&log, id).is_empty());
    log.close();
}

#[test]
fn without_time_stamping_no_message_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = LogHandle::open(config(directory.path()), clock.clone()).unwrap();
    let code =
        |log: &LogHandle| block_on(log.append(request("q"))).map(drop).map_err(|e| e.code().to_owned());
    assert_eq!(code(&log).unwrap_err(), "logging_failed.mlog.no_timestamping_provider_found");
    log.timestamp_status().set_provider_configured(true);
    assert!(code(&log).is_ok());
    log.timestamp_status().failed(clock.now());
    assert!(code(&log).is_ok());
    clock.set(clock.now().plus_secs(14_401));
    assert_eq!(code(&log).unwrap_err(), "logging_failed.timestamping_failed");
    log.close();
}
