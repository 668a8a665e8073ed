//! Certificates, OCSP responses and time-stamps.
#![no_main]

use hermod::crypto::Certificate;
use hermod::evidence::timestamp::{TimestampRequest, TimestampToken};
use hermod::trust::OcspResponse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::from_der_or_pem(data) {
        let _ = (certificate.subject().to_string(), certificate.serial_decimal());
    }
    let _ = OcspResponse::from_der(data);
    let _ = TimestampToken::parse(data);
    let _ = TimestampRequest::parse(data);
});
