use super::*;
use crate::crypto::DigestAlgorithm;

fn archive(containers: &[(&str, &[u8])], linking: Option<&str>) -> MessageArchive {
    MessageArchive {
        containers: containers
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Bytes::copy_from_slice(bytes)))
            .collect(),
        linking: linking.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        others: Vec::new(),
    }
}

#[test]
fn trap_signature_35_nothing_is_a_dash_in_the_file_and_empty_in_the_computation() {
    let algorithm = DigestAlgorithm::Sha256;
    let first = link(algorithm, "", b"one");
    // Hex text is hashed, not the digest's bytes.
    let own = crate::crypto::to_hex(&crate::crypto::sha256(b"one"));
    assert_eq!(first, crate::crypto::to_hex(&crate::crypto::sha256(own.as_bytes())));
    let second = link(algorithm, &first, b"two");
    let text = format!("- - SHA-256\n{first} a.asice\n{second} b.asice\n");
    let info = LinkingInfo::parse(text.as_bytes()).unwrap();
    assert_eq!((info.previous_digest.as_str(), info.previous_file.as_str()), ("", ""));
    assert_eq!((info.last_digest(), info.to_text()), (second.as_str(), text.clone()));
    let links = archive(&[("a.asice", b"one"), ("b.asice", b"two")], Some(&text)).verify_links();
    assert_eq!(links.unwrap().unwrap().last_digest, second);
    // The next archive continues it.
    let third = link(algorithm, &second, b"three");
    let text = format!("{second} mlog-1.zip SHA-256\n{third} c.asice\n");
    let links = archive(&[("c.asice", b"three")], Some(&text)).verify_links().unwrap().unwrap();
    assert_eq!((links.previous_digest, links.previous_file.as_str()), (second, "mlog-1.zip"));
}

#[test]
fn every_container_is_in_the_chain_at_its_place_and_nothing_else_is_there() {
    let algorithm = DigestAlgorithm::Sha512;
    let (one, two) = (("a.asice", &b"one"[..]), ("b.asice", &b"two"[..]));
    let first = link(algorithm, "", b"one");
    let second = link(algorithm, &first, b"two");
    let good = format!("- - SHA-512\n{first} a.asice\n{second} b.asice\n");
    let code = |containers: &[(&str, &[u8])], text: &str| {
        archive(containers, Some(text)).verify_links().err().map(|error| error.code().to_owned())
    };
    assert_eq!(code(&[one, two], &good), None);
    let is = |code: &str| Some(code.to_owned());
    assert_eq!(code(&[("a.asice", b"eno"), two], &good), is("invalid_hash_chain"));
    assert_eq!(code(&[two, one], &good), is("invalid_hash_chain"));
    assert_eq!(code(&[one], &good), is("invalid_reference"));
    assert_eq!(code(&[one, two, ("c.asice", b"")], &good), is("hashchain_unused_inputs"));
    assert_eq!(code(&[], "- - SHA-512\n"), is("invalid_reference"));
    for malformed in [
        "",
        "- -\n",
        "- - SHA-1\n",
        "- - MD5\n",
        "- - SHA-512\nabc\n",
        &format!("- - SHA-512\n{first} a.asice\n{first} a.asice\n"),
    ] {
        assert_eq!(code(&[one], malformed), is("malformed_hash_chain"), "{malformed:?}");
    }
    let mut with_more = archive(&[one, two], Some(&good));
    with_more.others.push("readme.txt".to_owned());
    assert_eq!(with_more.verify_links().unwrap_err().code(), "invalid_reference");
    assert_eq!(archive(&[one], None).verify_links(), Ok(None), "a download");
}
