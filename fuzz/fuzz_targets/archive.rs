//! Archives of containers: the text of a chain that is read is written as it means, and nothing else is believed.
#![no_main]

use bytes::Bytes;
use hermod::evidence::message_archive::{EvidenceFile, LinkingInfo};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(info) = LinkingInfo::parse(data) {
        assert_eq!(LinkingInfo::parse(info.to_text().as_bytes()), Ok(info));
    }
    if let Ok(EvidenceFile::Archive(archive)) = EvidenceFile::read(&Bytes::copy_from_slice(data)) {
        let _ = archive.verify_links();
    }
});
