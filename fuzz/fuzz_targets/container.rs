//! Containers: whatever is read can be written and read again.
#![no_main]

use bytes::Bytes;
use hermod::evidence::asic::Container;
use hermod::time::UnixTime;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(container) = Container::parse(&Bytes::copy_from_slice(data)) {
        let again = Container::parse(&Bytes::from(container.to_bytes(UnixTime::from_secs(0))));
        assert_eq!(again.expect("a written container is read").message, container.message);
    }
});
