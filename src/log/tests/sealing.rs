use super::*;
use crate::crypto::RecordKeys;

fn keys(current: Option<&str>) -> Option<Arc<RecordKeys>> {
    Some(Arc::new(RecordKeys::parse("old = one secret\nnew = another\n", current).unwrap()))
}

fn with_bodies(query_id: &str) -> Record {
    // One in memory, one in a file and longer than what is copied at a time.
    let large: Vec<u8> = (0..600_000_u32).map(|at| (at % 251) as u8).collect();
    let attachments = vec![Body::Bytes(Bytes::from_static(b"a body in memory")), spooled(&large)];
    Record { attachments, ..request(query_id) }
}

#[test]
fn encrypted_records_come_back_as_they_were_and_show_nothing_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let plain = with_bodies("q1");
    let log = open_with(LogConfig { keys: keys(Some("old")), ..config(directory.path()) }, Arc::new(Disk));
    let first = append(&log, with_bodies("q1")).id();
    log.close();
    // The key is changed, and then given up.
    let log = open_with(LogConfig { keys: keys(Some("new")), ..config(directory.path()) }, Arc::new(Disk));
    let second = append(&log, with_bodies("q2")).id();
    log.close();
    let log = open_with(LogConfig { keys: keys(None), ..config(directory.path()) }, Arc::new(Disk));
    let third = append(&log, request("q3")).id();
    for (id, query_id) in [(first, "q1"), (second, "q2")] {
        let record = log.reader().read(id).unwrap();
        assert_eq!(record.message, request(query_id).message);
        assert_eq!(record.signature.hash_chain, plain.signature.hash_chain);
        assert_eq!(&record.attachments[0][..], b"a body in memory");
        assert_eq!(record.attachments[1].len(), 600_000);
        assert!(record.attachments[1].iter().zip(0_u32..).all(|(byte, at)| u32::from(*byte) == at % 251));
    }
    assert_eq!(log.reader().read(third).unwrap().message, request("q3").message);
    log.close();
    let bytes = std::fs::read(only_segment(directory.path())).unwrap();
    let count = |what: &[u8]| memchr::memmem::find_iter(&bytes, what).count();
    let messages = ["q1", "q2", "q3"].map(|query_id| count(&request(query_id).message));
    assert_eq!((messages, count(b"a body in memory")), ([0, 0, 1], 0), "nothing but of the third");
    // Without the keys a record is found, and not read.
    let reader = LogReader::open(directory.path()).unwrap();
    assert_eq!(reader.find_all("q2").unwrap().len(), 1);
    let refused = reader.read(second).unwrap_err();
    assert!(matches!(&refused, LogError::NoKey { key, .. } if key == "new"), "{refused}");
    assert!(reader.read(third).is_ok());
}
