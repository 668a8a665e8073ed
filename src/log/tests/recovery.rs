use super::*;

/// A log of five records in one segment, and where each of its frames ends.
fn sample(directory: &Path) -> Vec<u8> {
    let log = open(directory);
    for at in 0..5 {
        let signature = signature(if at < 3 { "one" } else { "two" });
        append(&log, Record { signature, ..request(&format!("q{at}")) });
    }
    log.close();
    std::fs::read(only_segment(directory)).unwrap()
}

fn frames(directory: &Path) -> Vec<(u64, FrameKind, u64)> {
    let segment = segment::Segment::open(&only_segment(directory)).unwrap().unwrap();
    let mut frames = Vec::new();
    segment
        .scan(None, |met| match met {
            segment::Met::Frame { offset, head, .. } => frames.push((offset, head.kind, head.frame_len())),
            segment::Met::Damaged { .. } => panic!("the sample is whole"),
        })
        .unwrap();
    frames
}

/// Cut anywhere, the log opens with exactly the records that were whole, and goes on.
#[test]
fn a_log_cut_at_any_byte_opens_and_continues() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(directory.path());
    let frames = frames(directory.path());
    let first_frame = frames[0].0 as usize;
    for cut in first_frame..bytes.len() {
        let whole = |(offset, kind, len): &(u64, FrameKind, u64)| {
            *kind == FrameKind::MessageRecord && offset + len <= cut as u64
        };
        let expected = frames.iter().filter(|frame| whole(frame)).count();
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(only_segment(copy.path()), &bytes[..cut]).unwrap();
        assert_eq!(query_ids(&LogReader::open(copy.path()).unwrap()).len(), expected, "cut {cut}");
        assert_eq!(std::fs::read(only_segment(copy.path())).unwrap().len(), cut, "reading changes nothing");
        let log = open(copy.path());
        assert!(log.reader().damages().is_empty(), "cut {cut}");
        let at_boundary = frames.iter().any(|(offset, _, _)| *offset == cut as u64);
        let saved = std::fs::read_dir(copy.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().contains("torn"));
        assert_eq!(saved, !at_boundary, "a torn tail is kept aside, cut {cut}");
        assert!(append(&log, request("after")).id() > 5);
        log.close();
        let log = open(copy.path());
        assert_eq!(query_ids(log.reader()).len(), expected + 1, "cut {cut}");
        assert!(log.reader().damages().is_empty());
        log.close();
    }
}

/// One flipped bit costs at most the records that depend on it, and never shows a record other than it was.
#[test]
fn a_flipped_byte_is_reported_and_isolated() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(directory.path());
    let reader = LogReader::open(directory.path()).unwrap();
    let originals: Vec<StoredRecord> = reader.iter().map(Result::unwrap).collect();
    let frames = frames(directory.path());
    let copy = tempfile::tempdir().unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(only_segment(copy.path()), &damaged).unwrap();
        let reader = LogReader::open(copy.path()).unwrap();
        let hit = frames.iter().position(|(offset, _, len)| (*offset..offset + len).contains(&(at as u64)));
        let mut lost = 0;
        for original in &originals {
            match reader.read(original.summary.id) {
                Ok(found) => {
                    assert_eq!(found.message, original.message, "byte {at}");
                    assert_eq!(found.signature, original.signature, "byte {at}");
                    assert_eq!(found.summary, original.summary, "byte {at}");
                    assert_eq!(found.attachments, original.attachments, "byte {at}");
                }
                Err(_) => lost += 1,
            }
        }
        match hit.map(|frame| frames[frame].1) {
            None => assert_eq!(lost, 0, "the header is there twice, byte {at}"),
            Some(FrameKind::SignatureDocument) => assert!((2..=3).contains(&lost), "byte {at}"),
            Some(_) => {
                assert_eq!(lost, 1, "byte {at}");
                assert!(!reader.damages().is_empty(), "it is reported, byte {at}");
            }
        }
    }
}

/// The last record is not cut off because it is damaged: it may have been answered.
#[test]
fn a_whole_record_is_never_cut_off() {
    for damaged_byte in [0, 10, 20] {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = sample(directory.path());
        let (offset, _, _) = *frames(directory.path()).last().unwrap();
        bytes[offset as usize + damaged_byte] ^= 1;
        std::fs::write(only_segment(directory.path()), &bytes).unwrap();
        let log = open(directory.path());
        assert_eq!(log.reader().damages().len(), 1);
        append(&log, request("after"));
        log.close();
        assert_eq!(std::fs::read(only_segment(directory.path())).unwrap(), bytes);
        let log = open(directory.path());
        assert_eq!(query_ids(log.reader()), ["q0", "q1", "q2", "q3", "after"]);
        log.close();
    }
}

/// Zeros at the end are what a power failure leaves of a write.
#[test]
fn zeros_at_the_end_are_a_torn_tail() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = sample(directory.path());
    std::fs::write(only_segment(directory.path()), [&bytes[..], &[0; 5000]].concat()).unwrap();
    let log = open(directory.path());
    assert!(log.reader().damages().is_empty());
    append(&log, request("after"));
    log.close();
    assert_eq!(query_ids(&LogReader::open(directory.path()).unwrap()).len(), 6);
    assert_eq!(segment::list(directory.path()).unwrap(), [1]);
}

#[test]
fn a_damaged_payload_at_the_end_stays_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = sample(directory.path());
    let (offset, _, len) = *frames(directory.path()).last().unwrap();
    bytes[offset as usize + 60] ^= 1;
    std::fs::write(only_segment(directory.path()), &bytes).unwrap();
    let log = open(directory.path());
    let damages = log.reader().damages();
    assert_eq!(damages.len(), 1);
    assert_eq!((damages[0].offset, damages[0].len, damages[0].record_id), (offset, len, Some(5)));
    append(&log, request("after"));
    log.close();
    let now = std::fs::read(only_segment(directory.path())).unwrap();
    assert_eq!(now[..bytes.len()], bytes[..]);
}

/// A message whose bytes look like a frame is not taken for one when the segment is damaged around it.
#[test]
fn bytes_of_a_message_never_pass_for_a_frame() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    append(&log, request("forged"));
    log.close();
    let bytes = std::fs::read(only_segment(directory.path())).unwrap();
    let (offset, _, len) = *frames(directory.path()).last().unwrap();
    let frame = bytes[offset as usize..(offset + len) as usize].to_vec();

    let other = tempfile::tempdir().unwrap();
    let log = open(other.path());
    for shift in 0..8 {
        let message = Bytes::from([vec![0; shift], frame.clone()].concat());
        append(&log, Record { message, ..request("carrier") });
    }
    log.close();
    let mut bytes = std::fs::read(only_segment(other.path())).unwrap();
    let all = frames(other.path());
    for (offset, _, _) in all {
        bytes[offset as usize] ^= 1;
    }
    std::fs::write(only_segment(other.path()), &bytes).unwrap();
    assert!(query_ids(&LogReader::open(other.path()).unwrap()).is_empty());
}

#[test]
fn a_segment_without_a_readable_header_is_reported_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    append(&log, request("q1"));
    log.close();
    std::fs::write(directory.path().join(segment::file_name(2)), b"torn").unwrap();
    let log = open(directory.path());
    assert_eq!(log.reader().damages().len(), 1);
    append(&log, request("q2"));
    assert_eq!(query_ids(log.reader()), ["q1", "q2"]);
    assert_eq!(segment::list(directory.path()).unwrap(), [1, 2, 3]);
    log.close();
}

/// A log in another version is neither read wrongly nor written on.
#[test]
fn a_segment_of_another_version_is_refused_in_clear_words() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = sample(directory.path());
    let half =
        segment::Segment::open(&only_segment(directory.path())).unwrap().unwrap().header.encoded_len() / 2;
    (bytes[8], bytes[half + 8]) = (1, 1);
    std::fs::write(only_segment(directory.path()), &bytes).unwrap();
    let error = LogHandle::open(config(directory.path()), clock()).err().unwrap();
    assert!(matches!(error, LogError::Version { found: 1, .. }));
    assert!(error.to_string().contains("is in version 1 of the message log's format"), "{error}");
    assert!(matches!(LogReader::open(directory.path()), Err(LogError::Version { .. })));
}

/// Documents of one signer depend on a first one, which is there twice: a flipped byte costs one batch.
#[test]
fn a_flipped_byte_costs_the_records_of_one_batch_even_where_documents_are_alike() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    for at in 0..6 {
        append(&log, Record { signature: long_signature(at / 2), ..request(&format!("q{at}")) });
    }
    log.close();
    let bytes = std::fs::read(only_segment(directory.path())).unwrap();
    assert!(bytes.len() < 3 * 4000 + 6 * 400, "only what differs is stored: {}", bytes.len());
    let kinds = frames(directory.path()).into_iter().map(|(_, kind, _)| kind);
    let documents = |kind: &FrameKind| *kind != FrameKind::MessageRecord;
    let (whole, similar) = (FrameKind::SignatureDocument, FrameKind::SimilarDocument);
    assert_eq!(kinds.filter(documents).collect::<Vec<_>>(), [whole, whole, similar, similar]);
    let copy = tempfile::tempdir().unwrap();
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        std::fs::write(only_segment(copy.path()), &damaged).unwrap();
        let reader = LogReader::open(copy.path()).unwrap();
        let whole = (1..=6).filter(|id| match reader.read(*id) {
            Ok(record) => {
                assert_eq!(record.signature, long_signature((*id as usize - 1) / 2), "byte {at}");
                true
            }
            Err(_) => false,
        });
        assert!(whole.count() >= 4, "byte {at}");
    }
}

/// A batch's signature in the usual proportions: much that is the same for its signer, some that is not.
fn long_signature(batch: usize) -> SignatureData {
    let certificate = format!("<ds:X509Certificate>{}</ds:X509Certificate>", "c".repeat(3500));
    let value = format!("{batch}").repeat(300);
    let text = format!("<ds:SignatureValue>{value}</ds:SignatureValue>{certificate}");
    SignatureData { signature: text.into(), ..signature("batch") }
}
