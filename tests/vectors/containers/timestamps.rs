//! Time-stamps of official servers and of the authorities they asked.

use std::path::Path;

use hermod::crypto::{Certificate, Digest, DigestAlgorithm};
use hermod::evidence::SIGNATURE_HASH_CHAIN;
use hermod::evidence::asic::Container;
use hermod::evidence::hash_chain::{ChainInput, ChainRequest, InputValue, verify_chain};
use hermod::evidence::timestamp::{
    TimestampBatch, TimestampToken, embedded_token, insert_token, parse_response, signature_value,
    single_imprint,
};
use hermod::trust::{GlobalConf, Policy};
use hermod::xml::{Document, Limits};

use super::{capture_conf, containers_below, read};
use crate::common::vectors;

fn conf_2012(root: &Path) -> GlobalConf {
    GlobalConf::load_dir(&root.join("globalconf-for-verification/globalconf_good_v2")).unwrap()
}

#[test]
fn trap_signature_28_reads_tokens_in_ber_and_keeps_der() {
    let Some(root) = vectors() else { return };
    let ber = read(&root.join("ocsp-tsp/timestamps/valid"));
    let token = TimestampToken::parse(&ber).unwrap();
    assert_eq!(ber[1], 0x80, "indefinite length");
    assert_eq!(token.der()[..2], [0x30, 0x82]);
    let again = TimestampToken::parse(token.der()).unwrap();
    assert_eq!(again.der(), token.der());
    assert_eq!(token.claimed_time().to_rfc3339(), "2012-11-29T13:10:04Z");
}

#[test]
fn gives_every_token_of_the_official_tests_its_verdict() {
    let Some(root) = vectors() else { return };
    let conf = conf_2012(&root);
    let folder = root.join("ocsp-tsp/timestamps");
    let token = |name: &str| TimestampToken::parse(&read(&folder.join(name))).unwrap();
    let mut data = read(&folder.join("stamped-data")).to_vec();
    let verify = |name: &str, data: &[u8], authorities: &[Certificate], policy: &Policy| {
        token(name).verify(data, authorities, policy).map_err(|error| error.code())
    };
    let verified = verify("valid", &data, conf.tsa_certificates(), &Policy::LEGACY);
    assert!(verified.is_ok_and(|verified| verified.is_legacy));
    // RSA of 1024 bits needs its switch.
    let refusal = "mlog.timestamp_signer_verification_failed";
    assert_eq!(verify("valid", &data, conf.tsa_certificates(), &Policy::STRICT).unwrap_err(), refusal);
    let wrong = verify("invalid-signature", &data, conf.tsa_certificates(), &Policy::LEGACY);
    assert_eq!(wrong.unwrap_err(), refusal);
    let responders = conf.ocsp_responder_certificates();
    let foreign = verify("valid", &data, responders, &Policy::LEGACY);
    assert_eq!(foreign.unwrap_err(), "mlog.tsp_certificate_not_found");
    assert_eq!(
        verify("valid", &data, &[], &Policy::LEGACY).unwrap_err(),
        "mlog.no_timestamping_provider_found"
    );
    data[42] = 1;
    let changed = verify("valid", &data, conf.tsa_certificates(), &Policy::LEGACY);
    assert_eq!(changed.unwrap_err(), "malformed_signature");
}

#[test]
fn reads_the_responses_of_a_time_stamping_authority() {
    let Some(root) = vectors() else { return };
    for name in ["messagelog-tsp.response", "proxy-core-tsp.response"] {
        let token = parse_response(&read(&root.join("ocsp-tsp").join(name))).unwrap();
        assert_eq!(token.imprint().algorithm(), DigestAlgorithm::Sha256);
    }
}

#[test]
fn trap_signature_27_official_servers_store_the_authority_certificate_as_we_do() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    let tsa = conf.tsa_certificates().first().unwrap();
    let container =
        Container::parse(&read(&root.join("captures/batch/batch-0021/ss0-request.asice"))).unwrap();
    let stored = container.timestamp.unwrap();
    let token = TimestampToken::parse(&stored).unwrap();
    assert_eq!(token.der(), &stored[..]);
    assert_eq!(token.with_certificate(tsa).unwrap(), stored);
    assert!(stored.windows(tsa.der().len()).any(|window| window == tsa.der()));
}

#[test]
fn trap_signature_26_single_stamps_cover_the_decoded_signature_value() {
    let Some(root) = vectors() else { return };
    let conf = capture_conf(&root);
    for name in ["rest-get-forced-stamp/ss0-request", "soap-forced-stamp/ss1-response"] {
        let path = root.join(format!("captures/evidence/{name}.asice"));
        let container = Container::parse(&read(&path)).unwrap();
        let document = Document::parse(&container.signature, &Limits::default()).unwrap();
        let token = TimestampToken::parse(&embedded_token(&document).unwrap().unwrap()).unwrap();
        let value = signature_value(&document).unwrap();
        token.verify(&value, conf.tsa_certificates(), &Policy::STRICT).unwrap();
        let imprint = single_imprint(&container.signature, DigestAlgorithm::Sha512).unwrap();
        assert_eq!(imprint, *token.imprint());
        // Taken out and put in again, it is the same document.
        let text = std::str::from_utf8(&container.signature).unwrap();
        let (start, end) = ("<xades:SignatureTimeStamp>", "</xades:SignatureTimeStamp>");
        let (before, rest) = text.split_once(start).unwrap();
        let after = rest.split_once(end).unwrap().1;
        let again = insert_token(format!("{before}{after}").as_bytes(), token.der()).unwrap();
        assert_eq!(again, container.signature);
    }
}

#[test]
fn trap_signature_29_batch_stamps_cover_complete_signature_documents() {
    let Some(root) = vectors() else { return };
    // Twenty records of one batch, in the order of their base-32 record ids 3 to m.
    let mut records: Vec<(usize, Container)> = Vec::new();
    for path in containers_below(&root.join("asic/archive-2023")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let id = usize::from_str_radix(name.rsplit('-').next().unwrap(), 32).unwrap();
        if (3..=22).contains(&id) {
            records.push((id, Container::parse(&read(&path)).unwrap()));
        }
    }
    records.sort_by_key(|record| record.0);
    assert_eq!(records.len(), 20);
    let digests: Vec<Digest> =
        records.iter().map(|(_, record)| DigestAlgorithm::Sha512.digest(&record.signature)).collect();
    let batch = TimestampBatch::new(&digests).unwrap();
    for (index, (id, record)) in records.iter().enumerate() {
        let files = record.timestamp_chain.as_ref().unwrap();
        assert_eq!(*batch.result(), files.result, "{id}");
        assert_eq!(batch.chain(index).unwrap(), files.chain, "{id}");
        let token = TimestampToken::parse(record.timestamp.as_ref().unwrap()).unwrap();
        assert_eq!(batch.imprint(token.imprint().algorithm()), *token.imprint(), "{id}");
    }
    assert!(batch.chain(20).is_none());
}

#[test]
fn follows_the_chains_of_archived_containers_whose_trust_is_not_known() {
    let Some(root) = vectors() else { return };
    let (mut singles, mut batches) = (0, 0);
    for path in containers_below(&root.join("asic/archive-2023")) {
        let container = Container::parse(&read(&path)).unwrap();
        let document = Document::parse(&container.signature, &Limits::default()).unwrap();
        let name = path.display();
        if let Some(files) = &container.signature_chain {
            let request = ChainRequest {
                result: &files.result,
                chains: &[(SIGNATURE_HASH_CHAIN, &files.chain)],
                inputs: &[ChainInput { uri: "/message.xml", value: InputValue::Data(&container.message) }],
                allow_absent: true,
                allow_sha1: false,
            };
            let covered = verify_chain(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(covered.len() > 1, "{name}");
        }
        let embedded = embedded_token(&document).unwrap();
        let token = container.timestamp.as_deref().or(embedded.as_deref()).unwrap();
        let token = TimestampToken::parse(token).unwrap();
        let algorithm = token.imprint().algorithm();
        if let Some(files) = &container.timestamp_chain {
            assert_eq!(algorithm.digest(&files.result), *token.imprint(), "{name}");
            batches += 1;
        } else {
            assert_eq!(single_imprint(&container.signature, algorithm).unwrap(), *token.imprint(), "{name}");
            singles += 1;
        }
    }
    assert_eq!((singles, batches), (1, 20));
}
