//! Canonical octets of official signatures.

use std::io::Read as _;
use std::path::Path;

use hermod::xml::{C14n, Document, Limits, canonicalize};

use crate::common::vectors;

/// An entry of a container, read with a library of its own.
pub fn entry(container: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(container).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

const CASES: [&str; 6] = [
    "sign-0",
    "valid-signed-message",
    "valid-signed-hashchain",
    "valid-batch-ts",
    "valid-non-batch-rest",
    "valid-non-batch-soap-attachments",
];

#[test]
fn signed_info_and_signed_properties_have_the_expected_octets() {
    let Some(root) = vectors() else { return };
    for name in CASES {
        let bytes = match name {
            "sign-0" => std::fs::read(root.join("signatures/common-test/sign-0.xml")).unwrap(),
            _ => entry(&root.join(format!("asic/verifier/{name}.asice")), "META-INF/signatures.xml"),
        };
        let document = Document::parse(&bytes, &Limits::default()).unwrap();
        let find = |local: &str| document.root().descendants().find(|node| node.local() == local).unwrap();
        let uri = find("CanonicalizationMethod").attribute("Algorithm").unwrap();
        let expected =
            |what: &str| std::fs::read(root.join(format!("signatures/c14n/{name}.{what}.c14n"))).unwrap();
        let signed_info = canonicalize(find("SignedInfo"), C14n::from_uri(uri).unwrap(), &[]);
        assert!(signed_info == expected("signedinfo"), "{name}");
        let transform = document.root().descendants().find(|node| node.local() == "Transform");
        let method = transform.and_then(|t| t.attribute("Algorithm")).and_then(C14n::from_uri);
        let properties = canonicalize(find("SignedProperties"), method.unwrap_or(C14n::Inclusive10), &[]);
        assert!(properties == expected("signedproperties"), "{name}");
    }
}
