//! XML: what is canonical stays so.
#![no_main]

use hermod::xml::{C14n, Document, Limits, canonicalize};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits::bytes(1 << 20);
    let Ok(document) = Document::parse(data, &limits) else { return };
    let once = canonicalize(document.root(), C14n::Inclusive10, &[]);
    let again = Document::parse(&once, &Limits::bytes(1 << 24)).expect("canonical XML is XML");
    assert_eq!(once, canonicalize(again.root(), C14n::Inclusive10, &[]));
});
