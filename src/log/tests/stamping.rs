use super::*;
use crate::crypto::{Certificate, Digest, DigestAlgorithm, SoftwareKey};
use crate::evidence::{SignatureTemplate, sign_batch, timestamp};
use crate::message::{ErrorCode, XRoadError};

const SHA512: DigestAlgorithm = DigestAlgorithm::Sha512;

/// An authority that stamps with the imprint itself, and notes what it was asked.
#[derive(Default)]
struct Authority {
    asked: Mutex<Vec<Digest>>,
    fails: AtomicBool,
}

impl TimestampClient for Authority {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        self.asked.lock().unwrap().push(*imprint);
        if self.fails.load(Ordering::SeqCst) {
            return Err(XRoadError::new(ErrorCode::TimestampingFailed, "out of order"));
        }
        Ok(Bytes::copy_from_slice(imprint.as_ref()))
    }
}

/// Records with real single signatures.
fn signed(count: usize) -> Vec<Record> {
    let key = SoftwareKey::generate_ec_p256().unwrap();
    let pair = rcgen::KeyPair::try_from(key.pkcs8_der()).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
    let certificate = Certificate::from_der(certificate.der()).unwrap();
    let ocsp = [Bytes::from_static(b"no answer")];
    let algorithm = crate::crypto::SignatureAlgorithm::EcdsaSha512;
    let template = SignatureTemplate::new(&certificate, &[], &ocsp, algorithm);
    let sign = |at: usize| {
        let record = request(&format!("q{at}"));
        let digests = vec![SHA512.digest(&record.message)];
        let signature = sign_batch(&template, &key, clock().now(), &[digests]).unwrap().remove(0);
        Record { signature, attachments: Vec::new(), ..record }
    };
    (0..count).map(sign).collect()
}

fn stamped_log(directory: &Path, count: usize) -> LogHandle {
    let log = open(directory);
    for record in signed(count) {
        append(&log, record);
    }
    log
}

#[test]
fn waiting_records_share_one_time_stamp_that_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 5);
    log.close();
    let log = open(directory.path());
    assert_eq!(log.reader().unstamped_count(), 5, "the queue survives a restart");
    let authority = Authority::default();
    let stamper = Timestamper::new(log.clone(), SHA512, 10_000);
    let outcome = block_on(stamper.run_once(&authority)).unwrap();
    assert_eq!(outcome, StampOutcome { stamped: 5, waiting: 0 });
    assert_eq!(authority.asked.lock().unwrap().len(), 1);
    log.close();

    let log = open(directory.path());
    assert_eq!(log.reader().unstamped_count(), 0);
    assert_eq!(log.reader().counts(), (5, 1));
    let imprint = authority.asked.lock().unwrap()[0];
    for record in log.reader().iter() {
        let record = record.unwrap();
        let Some(Stamp::Batch { hash_chain_result, .. }) = &record.stamp else { panic!("no batch stamp") };
        assert_eq!(SHA512.digest(hash_chain_result), imprint);
        let container = record.container().unwrap();
        assert!(container.timestamp.is_some() && container.timestamp_chain.is_some());
        assert_eq!(container.signature, record.signature.signature);
    }
    let nothing = Timestamper::new(log.clone(), SHA512, 10_000);
    assert_eq!(block_on(nothing.run_once(&authority)).unwrap(), StampOutcome::default());
    log.close();
}

/// A single time-stamp is over the decoded octets of the signature value.
#[test]
fn trap_signature_26_a_single_stamp_is_over_the_signature_value() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 1);
    let authority = Authority::default();
    let stamper = Timestamper::new(log.clone(), SHA512, 10_000);
    block_on(stamper.run_once(&authority)).unwrap();
    let record = log.reader().read(1).unwrap();
    let signature = String::from_utf8(record.signature.signature.to_vec()).unwrap();
    let start = signature.find("<ds:SignatureValue").unwrap();
    let value = &signature[start..signature.find("</ds:SignatureValue>").unwrap()];
    let value = value[value.find('>').unwrap() + 1..].replace(['\n', '\r'], "");
    let value = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value).unwrap();
    assert_eq!(*authority.asked.lock().unwrap(), [SHA512.digest(&value)]);
    log.close();
}

/// The logged signature never changes: a batch stamp is over its digest. A single stamp shows in the
/// container only.
#[test]
fn trap_signature_29_a_stamp_leaves_the_logged_signature_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 3);
    let before: Vec<Bytes> = log.reader().iter().map(|record| record.unwrap().signature.signature).collect();
    let authority = Authority::default();
    let stamper = Timestamper::new(log.clone(), SHA512, 10_000);
    block_on(stamper.stamp_now(&authority, 2)).unwrap();
    block_on(stamper.stamp_now(&authority, 2)).unwrap();
    assert_eq!(authority.asked.lock().unwrap().len(), 1, "a stamped record is not stamped again");
    assert_eq!(block_on(stamper.run_once(&authority)).unwrap().stamped, 2);
    for (record, before) in log.reader().iter().zip(before) {
        let record = record.unwrap();
        assert_eq!(record.signature.signature, before);
        let container = record.container().unwrap();
        match record.stamp.unwrap() {
            Stamp::Single { token } => {
                assert_eq!(record.summary.id, 2);
                assert_eq!(container.signature, timestamp::insert_token(&before, &token).unwrap());
                assert!(container.timestamp.is_none());
            }
            Stamp::Batch { hash_chain, .. } => {
                let leaf = SHA512.digest(&before).to_base64();
                assert!(String::from_utf8(hash_chain.to_vec()).unwrap().contains(&leaf));
            }
        }
    }
    log.close();
}

/// After a failure one record is tried; the first success brings the rest.
#[test]
fn trap_signature_30_retries_take_one_record() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 4);
    let authority = Authority::default();
    let stamper = Timestamper::new(log.clone(), SHA512, 10_000);
    authority.fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(block_on(stamper.run_once(&authority)).unwrap_err().code(), "timestamping_failed");
    }
    assert!(log.timestamp_status().failing_since().is_some());
    let single = timestamp::single_imprint(&log.reader().read(1).unwrap().signature.signature, SHA512);
    assert_eq!(authority.asked.lock().unwrap()[1], single.unwrap());
    authority.fails.store(false, Ordering::SeqCst);
    assert_eq!(block_on(stamper.run_once(&authority)).unwrap(), StampOutcome { stamped: 1, waiting: 3 });
    assert!(log.timestamp_status().failing_since().is_none());
    assert_eq!(block_on(stamper.run_once(&authority)).unwrap(), StampOutcome { stamped: 3, waiting: 0 });
    log.close();
}

#[test]
fn a_time_stamp_covers_at_most_the_configured_number_of_records() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 7);
    let authority = Authority::default();
    let stamper = Timestamper::new(log.clone(), SHA512, 3);
    assert_eq!(block_on(stamper.run_until_none_waits(&authority)).unwrap(), 7);
    assert_eq!(log.reader().counts(), (7, 3));
    log.close();
}

#[test]
fn a_record_without_time_stamp_makes_no_container() {
    let directory = tempfile::tempdir().unwrap();
    let log = stamped_log(directory.path(), 1);
    let error = log.reader().read(1).unwrap().container().unwrap_err();
    assert_eq!(error.code(), "asic_timestamp_not_found");
    log.close();
}
