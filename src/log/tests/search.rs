use super::*;

/// The client of a record is the local party, whoever sent the message.
#[test]
fn trap_signature_37_records_are_found_by_the_local_party() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let ids: Vec<u64> = [
        record("q1", Direction::Request),
        record("q1", Direction::Response),
        Record { client: client("other"), ..request("q1") },
        record("q2", Direction::Request),
        record("q1", Direction::Request),
    ]
    .into_iter()
    .map(|record| append(&log, record).id())
    .collect();
    let find = |reader: &LogReader, subsystem: &str, query_id: &str, direction| {
        let found = reader.find(&client(subsystem), query_id, direction).unwrap();
        found.into_iter().map(|summary| summary.id).collect::<Vec<u64>>()
    };
    let check = |reader: &LogReader| {
        assert_eq!(find(reader, "consumer", "q1", None), [ids[0], ids[1], ids[4]]);
        assert_eq!(find(reader, "consumer", "q1", Some(Direction::Response)), [ids[1]]);
        assert_eq!(find(reader, "other", "q1", None), [ids[2]]);
        assert!(find(reader, "other", "q2", None).is_empty());
        assert!(find(reader, "consumer", "q3", None).is_empty());
    };
    check(log.reader());
    log.close();
    check(&LogReader::open(directory.path()).unwrap());
}

/// CRLF, bytes that are no UTF-8, and empty parts come back as they were signed.
#[test]
fn trap_signature_32_messages_are_kept_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let full = Record {
        query_id: "ä b/c".into(),
        message: Bytes::from_static(b"POST\r\n/r1\r\nname:\xe4\xff\r\n"),
        attachments: vec![Body::Bytes(large.clone().into()), spooled(&large), spooled(b"x")],
        x_request_id: None,
        metadata_only: true,
        ..request("")
    };
    let bare = Record {
        signature: SignatureData { hash_chain: None, hash_chain_result: None, ..signature("single") },
        client: ClientId::new("LAB", "GOV", "100", None).unwrap(),
        attachments: Vec::new(),
        message: Bytes::new(),
        ..record("bare", Direction::Response)
    };
    let ids = [append(&log, full.clone()).id(), append(&log, bare.clone()).id()];
    log.close();
    let log = open(directory.path());
    let read = log.reader().read(ids[0]).unwrap();
    assert_eq!(read.message, full.message);
    assert_eq!(read.signature, full.signature);
    assert_eq!(read.attachments, [&large[..], &large[..], &b"x"[..]]);
    assert_eq!(read.summary.query_id, "ä b/c");
    assert_eq!(read.summary.time, clock().now());
    assert_eq!((read.summary.x_request_id, read.summary.metadata_only), (None, true));
    let read = log.reader().read(ids[1]).unwrap();
    assert_eq!((read.signature, read.summary.client), (bare.signature, bare.client));
    assert_eq!(read.summary.direction, Direction::Response);
    assert!(read.message.is_empty() && read.attachments.is_empty());
    log.close();
}

#[test]
fn a_record_that_is_not_there_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    assert!(matches!(log.reader().read(1), Err(LogError::NotFound { id: 1 })));
    log.close();
}
