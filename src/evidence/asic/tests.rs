use super::*;

fn container() -> Container {
    Container {
        message: Bytes::from_static(b"GET\r\n/r1/X\r\n"),
        signature: Bytes::from_static(b"<signature/>"),
        attachments: BTreeMap::from([(1, Bytes::from(vec![b'a'; 100_000])), (2, Bytes::new())]),
        ..Container::default()
    }
}

fn time() -> UnixTime {
    UnixTime::parse_rfc3339("2026-11-23T22:58:07Z").unwrap()
}

fn refused(bytes: Vec<u8>) -> bool {
    Container::parse(&Bytes::from(bytes)).is_err()
}

#[test]
fn reads_what_it_writes() {
    let bytes = container().to_bytes(time());
    let again = Container::parse(&Bytes::from(bytes)).unwrap();
    assert_eq!(again.message, container().message);
    assert_eq!(again.signature, container().signature);
    assert_eq!(again.attachments, container().attachments);
    assert!(again.other_entries.is_empty());
}

#[test]
fn writes_flags_method_and_times_of_official_servers() {
    let bytes = container().to_bytes(time());
    // Version 20, flags 0x0808, deflated, time and date, no sizes, name of 8 bytes, extra field of 9.
    assert_eq!(&bytes[..14], b"PK\x03\x04\x14\x00\x08\x08\x08\x00\x43\xb7\x77\x5d");
    assert_eq!(&bytes[14..26], &[0; 12]);
    assert_eq!(&bytes[26..30], &[8, 0, 9, 0]);
    assert_eq!(&bytes[38..43], b"UT\x05\x00\x01");
    assert!(bytes.ends_with(b"mimetype=application/vnd.etsi.asic-e+zip"));
}

#[test]
fn refuses_every_single_flipped_bit_outside_of_free_fields() {
    let bytes = container().to_bytes(time());
    let parsed = Container::parse(&Bytes::from(bytes.clone())).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(container) = Container::parse(&Bytes::from(flipped)) {
            // Times, versions, attributes, extra fields and the comment are free; contents are not.
            assert_eq!(container.message, parsed.message, "{at}");
            assert_eq!(container.signature, parsed.signature, "{at}");
            assert_eq!(container.attachments, parsed.attachments, "{at}");
        }
    }
}

#[test]
fn refuses_every_cut_and_every_appended_or_prepended_byte() {
    let bytes = container().to_bytes(time());
    for length in 0..bytes.len() {
        assert!(refused(bytes[..length].to_vec()), "{length}");
    }
    assert!(refused([bytes.as_slice(), b"x"].concat()));
    assert!(refused([b"x", bytes.as_slice()].concat()));
    assert!(refused([bytes.as_slice(), bytes.as_slice()].concat()));
}

#[test]
fn refuses_names_that_occur_twice_or_are_almost_right() {
    let almost: [&[(&str, &[u8])]; 7] = [
        &[("message.xml", b"other")],
        &[("Message.xml", b"other")],
        &[("META-INF/signatures2.xml", b"<other/>")],
        &[("attachment01", b"other")],
        &[("attachmentx", b"other")],
        &[("../message.xml", b"other")],
        &[("meta-inf/TIMESTAMP.TST", b"other")],
    ];
    let base: [(&str, &[u8]); 3] =
        [(MIMETYPE, MEDIA_TYPE.as_bytes()), (MESSAGE, b"message"), (SIGNATURE, b"<signature/>")];
    let archive = |more: &[(&str, &[u8])]| {
        let entries: Vec<(String, &[u8])> =
            base.iter().chain(more).map(|(name, data)| ((*name).to_owned(), *data)).collect();
        writer::write(&entries, time())
    };
    assert!(!refused(archive(&[])));
    for more in almost {
        assert!(refused(archive(more)), "{more:?}");
    }
    assert!(!refused(archive(&[("META-INF/", b"")])), "an empty directory is ignored");
    assert!(refused(archive(&[("META-INF/", b"content")])));
}

#[test]
fn refuses_a_declared_size_that_deflate_cannot_reach() {
    let mut bytes = container().to_bytes(time());
    let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&60_000_000_u32.to_le_bytes());
    assert!(refused(bytes));
}

#[test]
fn trap_signature_31_reads_a_container_whose_mimetype_is_stored_or_deflated() {
    let deflated = container().to_bytes(time());
    assert_eq!(deflated[8], 8);
    let mut stored = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, data) in [(MIMETYPE, MEDIA_TYPE), (MESSAGE, "message"), (SIGNATURE, "<signature/>")] {
        stored.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut stored, data.as_bytes()).unwrap();
    }
    let stored = stored.finish().unwrap().into_inner();
    assert!(!refused(deflated));
    assert!(!refused(stored));
}
