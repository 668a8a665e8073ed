//! Messages: an accepted REST part is canonical, an accepted envelope takes a request hash.
#![no_main]

use bytes::Bytes;
use hermod::message::{RestRequest, RestResponse, Soap};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(request) = RestRequest::parse(bytes.clone()) {
        assert_eq!(request.part(), &bytes);
    }
    if let Ok(response) = RestResponse::parse(bytes.clone()) {
        assert_eq!(response.part(), &bytes);
    }
    if let Ok(Soap::Message(message)) = Soap::parse(bytes) {
        let hashed = message.with_request_hash("AAAA");
        assert!(matches!(Soap::parse(hashed), Ok(Soap::Message(_))));
    }
});
