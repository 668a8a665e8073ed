//! Hash trees and chains: reproduced and verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermod::crypto::{Digest, DigestAlgorithm, to_hex};
use hermod::evidence::hash_chain::{
    ChainError, ChainInput, ChainRequest, CoveredPart, DigestList, HashTree, InputValue, Leaf, verify_chain,
};
use serde_json::Value;

use super::canonical::entry;
use crate::common::vectors;

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn trap_signature_14_steps_are_der_with_uris_as_text() {
    let Some(root) = vectors() else { return };
    let text = std::fs::read_to_string(root.join("hashchain/derived-merkle.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let example = &json["der_examples"]["sha256_bytes_00_01"];
    let mut list = DigestList::default();
    list.push_value(DigestAlgorithm::Sha256, &[0]);
    list.push_value(DigestAlgorithm::Sha256, &[1]);
    assert_eq!(to_hex(&list.to_der()), example["der_hex"].as_str().unwrap());
    assert_eq!(list.digest(DigestAlgorithm::Sha256).to_hex(), example["step_digest_hex"].as_str().unwrap());
    let example = &json["der_examples"]["valid-signed-hashchain.asice"];
    for input in example["inputs_base64"].as_array().unwrap() {
        list.push_value(DigestAlgorithm::Sha512, &decode(input));
    }
    assert_eq!(to_hex(&list.to_der()), example["der_hex"].as_str().unwrap());
    assert_eq!(
        list.digest(DigestAlgorithm::Sha512).to_base64(),
        example["step_digest_base64"].as_str().unwrap()
    );
}

#[test]
fn trees_of_every_shape_are_written_as_expected() {
    let Some(root) = vectors() else { return };
    let text = std::fs::read_to_string(root.join("hashchain/derived-merkle.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let (mut written, mut verified) = (0, 0);
    for case in json["cases"].as_array().unwrap() {
        let algorithm = DigestAlgorithm::from_name(case["digest"].as_str().unwrap()).unwrap();
        let digest = |value: &Value| Digest::from_bytes(algorithm, &decode(value));
        let leaves: Option<Vec<Leaf>> = case["leaves_base64"]
            .as_array()
            .and_then(|l| l.iter().map(|l| digest(l).map(Leaf::Single)).collect());
        // Most cases have digests of a single byte, which no tree of ours accepts; but their chains verify.
        let Some(leaves) = leaves else {
            let result = format!(
                "<h:HashChainResult xmlns:h='http://cyber.ee/hashchain' xmlns='http://www.w3.org/2000/09/xmldsig#' \
                 URI='/c#STEP0'><DigestMethod Algorithm='{}'/><DigestValue>{}</DigestValue></h:HashChainResult>",
                algorithm.uri(),
                case["root_base64"].as_str().unwrap()
            );
            for chain in case["chains"].as_array().into_iter().flatten() {
                let chain = chain.as_str().unwrap().as_bytes();
                verify(result.as_bytes(), &[("/c", chain)], &[], true).unwrap();
                verified += 1;
            }
            continue;
        };
        let tree = HashTree::new(leaves).unwrap();
        assert_eq!(tree.root().to_base64(), case["root_base64"].as_str().unwrap(), "{}", case["name"]);
        let data_uri = if case["result_for_chain_file_foo"].is_string() { "foo.xml" } else { "/message.xml" };
        for (index, chain) in case["chains"].as_array().into_iter().flatten().enumerate() {
            let ours = String::from_utf8(tree.chain_xml(index, data_uri)).unwrap();
            assert_eq!(ours, chain.as_str().unwrap());
            written += 1;
        }
        for (key, uri) in
            [("result_for_chain_file_foo", "foo"), ("result_for_chain_file_sig", "/sig-hashchain.xml")]
        {
            if let Some(result) = case[key].as_str() {
                assert_eq!(String::from_utf8(tree.result_xml(uri)).unwrap(), result);
            }
        }
    }
    assert!(written == 4 && verified > 10, "{written} {verified}");
}

#[test]
fn the_twenty_time_stamp_chains_of_an_archive_are_reproduced() {
    let Some(root) = vectors() else { return };
    let text = std::fs::read_to_string(root.join("hashchain/derived-merkle.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> = json["archive-2023-batch-timestamp"]["order_of_leaves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    let folder = root.join("asic/archive-2023");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    let path = |name: &str| {
        let suffix = name.rsplit_once("ID1234").map_or(name, |(_, suffix)| suffix);
        let found = |p: &&std::path::PathBuf| p.file_name().unwrap().to_string_lossy().ends_with(suffix);
        // Two containers end alike; the one of this batch has a time-stamp chain.
        let has_chain = |p: &&std::path::PathBuf| {
            let mut zip = zip::ZipArchive::new(std::fs::File::open(p).unwrap()).unwrap();
            zip.by_name("META-INF/../ts-hashchain.xml").is_ok() || zip.by_name("ts-hashchain.xml").is_ok()
        };
        files.iter().filter(found).find(has_chain).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let signature = |name: &&str| entry(&path(name), "META-INF/signatures.xml");
    let leaves = names.iter().map(|n| Leaf::Single(DigestAlgorithm::Sha512.digest(&signature(n)))).collect();
    let tree = HashTree::new(leaves).unwrap();
    for (index, name) in names.iter().enumerate() {
        let chain = entry(&path(name), "ts-hashchain.xml");
        assert!(tree.chain_xml(index, "/META-INF/signatures.xml") == chain, "{name}");
        let result = entry(&path(name), "ts-hashchainresult.xml");
        assert!(tree.result_xml("/ts-hashchain.xml") == result, "{name}");
        let data = signature(name);
        let inputs = [ChainInput { uri: "/META-INF/signatures.xml", value: InputValue::Data(&data) }];
        assert_eq!(verify(&result, &[("/ts-hashchain.xml", &chain)], &inputs, false).unwrap().len(), 1);
    }
    assert_eq!(names.len(), 20);
}

fn verify(
    result: &[u8],
    chains: &[(&str, &[u8])],
    inputs: &[ChainInput],
    allow_absent: bool,
) -> Result<Vec<CoveredPart>, ChainError> {
    verify_chain(&ChainRequest { result, chains, inputs, allow_absent, allow_sha1: false })
}

#[test]
fn chains_have_the_verdicts_of_the_official_verifier() {
    let Some(root) = vectors() else { return };
    let read = |name: &str| std::fs::read(root.join(format!("hashchain/hc-verifier{name}.xml"))).unwrap();
    let message = |value| ChainInput { uri: "/message.xml", value };
    let sha256 = |data: &[u8]| DigestAlgorithm::Sha256.digest(data);

    let (result, chain, data) = (read("1-hashchainresult"), read("1-hashchain"), read("1-message"));
    let chains: [(&str, &[u8]); 1] = [("/hashchain.xml", &chain)];
    assert!(verify(&result, &chains, &[message(InputValue::Data(&data))], false).is_ok());
    let digest = sha256(&data);
    let by_digest = message(InputValue::Digest(DigestAlgorithm::Sha256, digest.as_ref()));
    assert!(verify(&result, &chains, &[by_digest], false).is_ok());
    let more =
        [by_digest, ChainInput { uri: "/unused1", ..by_digest }, ChainInput { uri: "/unused2", ..by_digest }];
    assert!(matches!(verify(&result, &chains, &more, false), Err(ChainError::Unused(_))));
    let digest = sha256(&chain);
    let wrong = message(InputValue::Digest(DigestAlgorithm::Sha256, digest.as_ref()));
    assert_eq!(verify(&result, &chains, &[wrong], false), Err(ChainError::Root));

    let (result, chain) = (read("2-hashchainresult"), read("2-hashchain"));
    let chains: [(&str, &[u8]); 1] = [("/hashchain.xml", &chain)];
    let part = |uri, value| ChainInput { uri, value: InputValue::Digest(DigestAlgorithm::Sha256, value) };
    let all = [
        part("/message.xml", &[0x0b]),
        part("/attachment1", &[0x0c]),
        part("/attachment2", &[0x0d]),
        part("/attachment3", &[0x0e]),
    ];
    assert!(verify(&result, &chains, &all, false).unwrap().iter().all(|part| part.present));
    let covered = verify(&result, &chains, &all[..1], true).unwrap();
    assert_eq!(covered.iter().filter(|part| part.present).count(), 1);
    assert!(matches!(verify(&result, &chains, &all[..1], false), Err(ChainError::Reference(_))));

    let (result, chain, data) = (read("3-hashchainresult"), read("3-hashchain"), read("3-message"));
    let input = [message(InputValue::Data(&data))];
    assert!(verify(&result, &[("/hashchain.xml", &chain)], &input, false).is_ok());
    let untransformed = read("3-hashchain-invalid");
    let verdict = verify(&result, &[("/hashchain.xml", &untransformed)], &input, false);
    assert!(matches!(verdict, Err(ChainError::Data(_))));
    let unknown_element = read("5-hashchain-invalid-schema");
    let verdict = verify(&result, &[("/hashchain.xml", &unknown_element)], &input, false);
    assert!(matches!(verdict, Err(ChainError::Malformed(_))));

    let (first, second) = (read("4-hashchain1"), read("4-hashchain2"));
    let split: [(&str, &[u8]); 2] = [("/hashchain.xml", &first), ("/hashchain2.xml", &second)];
    let data = read("4-message");
    let input = [message(InputValue::Data(&data))];
    assert!(verify(&read("4-hashchainresult"), &split, &input, false).is_ok());
}
