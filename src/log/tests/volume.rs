//! Measurements, not tests: run them by name with `--ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::crypto::{Certificate, DigestAlgorithm, SignatureAlgorithm, SoftwareKey};
use crate::evidence::{SignatureTemplate, sign_batch};

/// Bytes of a record of a REST request of 1 KiB in batches of several sizes, RSA-3072, time-stamped.
#[test]
#[ignore = "a measurement"]
fn bytes_per_record() {
    let key = SoftwareKey::generate_rsa(3072).unwrap();
    let pair = rcgen::KeyPair::try_from(key.pkcs8_der()).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
    let certificate = Certificate::from_der(certificate.der()).unwrap();
    let ocsp = [Bytes::from(vec![7; 2000])];
    let template = SignatureTemplate::new(&certificate, &[], &ocsp, SignatureAlgorithm::RsaSha512);
    let body = Bytes::from(vec![b'b'; 1024]);
    for batch in [1, 4, 16, 64, 256] {
        let directory = tempfile::tempdir().unwrap();
        let log = open(directory.path());
        let mut records = Vec::new();
        while records.len() < 512 {
            let now = clock().now().plus_secs(records.len() as i64 / 100);
            let messages = (records.len()..records.len() + batch).map(|at| Bytes::from(format!("{at:0400}")));
            let messages: Vec<Bytes> = messages.collect();
            let digest = |part: &Bytes| DigestAlgorithm::Sha512.digest(part);
            let digests: Vec<_> =
                messages.iter().map(|message| vec![digest(message), digest(&body)]).collect();
            let signatures = sign_batch(&template, &key, now, &digests).unwrap();
            for (message, signature) in messages.into_iter().zip(signatures) {
                let attachments = vec![Body::Bytes(body.clone())];
                let id = format!("01234567-89ab-cdef-0123-{:012}", records.len());
                records.push(Record {
                    message,
                    attachments,
                    signature,
                    x_request_id: Some(id.clone()),
                    ..request(&id)
                });
            }
        }
        let (count, xml) =
            (records.len(), records.iter().map(|r| r.signature.signature.len()).max().unwrap());
        let before = log.statistics();
        let (cpu, began) = (thread_cpu("message-log"), Instant::now());
        block_on(async {
            for some in records.chunks(256) {
                log.append_all(some.iter().cloned()).await;
            }
        });
        let (took, cpu) = (began.elapsed(), thread_cpu("message-log") - cpu);
        let messages = log.statistics().bytes - before.bytes;
        let stamper = Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 10_000);
        block_on(stamper.run_until_none_waits(&Stamped)).unwrap();
        let stamped = log.statistics().bytes - before.bytes;
        log.close();
        println!(
            "batches of {batch:3}: {} bytes a record, {} of them time-stamp; signature document {xml}; \
             writer {:.1} us of CPU a record, {:.1} us of time",
            stamped / count as u64,
            (stamped - messages) / count as u64,
            cpu as f64 / count as f64,
            took.as_micros() as f64 / count as f64,
        );
    }
}

struct Stamped;

impl TimestampClient for Stamped {
    async fn stamp(&self, _: &crate::crypto::Digest) -> Result<Bytes, crate::message::XRoadError> {
        Ok(Bytes::from(vec![0; 4000]))
    }
}

/// CPU time of the thread with this name, in microseconds.
fn thread_cpu(name: &str) -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            sum += read("schedstat").split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum / 1000
}

/// A log of ten million records (`HERMOD_LOG_RECORDS` says another number) in the directory `HERMOD_LOG_DIRECTORY`,
/// or a temporary one: written, opened, searched.
#[test]
#[ignore = "a measurement"]
fn many_records() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    let count = number("HERMOD_LOG_RECORDS").unwrap_or(10_000_000);
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("HERMOD_LOG_DIRECTORY").map(std::path::PathBuf::from);
    let directory = directory.unwrap_or_else(|| temporary.path().to_owned());
    let id = |at: usize| format!("01234567-89ab-cdef-0123-{at:012}");
    if segment::list(&directory).unwrap_or_default().is_empty() {
        let began = Instant::now();
        let log = open(&directory);
        block_on(async {
            for start in (0..count).step_by(1024) {
                let records = (start..count.min(start + 1024)).map(|at| numbered(&id(at)));
                log.append_all(records).await;
            }
        });
        log.close();
        println!("written in {:.1} s, resident {} MiB", began.elapsed().as_secs_f64(), resident());
    }
    let before = resident();
    let began = Instant::now();
    let reader = LogReader::open(&directory).unwrap();
    let opened = began.elapsed();
    let (messages, _) = reader.counts();
    let segments = segment::list(&directory).unwrap().len();
    println!("{messages} records in {segments} segments opened in {opened:?}");
    let began = Instant::now();
    assert!(reader.find_all("no such id").unwrap().is_empty());
    println!("first lookup, which reads the filters: {:?}", began.elapsed());
    let mut times = Vec::new();
    for at in 0..1000 {
        let id = id((at * 7_919_993) % messages as usize);
        let began = Instant::now();
        assert_eq!(reader.find(&client("consumer"), &id, None).unwrap().len(), 1);
        times.push(began.elapsed());
    }
    times.sort();
    println!("lookup: p50 {:?}, p99 {:?}, slowest {:?}", times[500], times[990], times[999]);
    let began = Instant::now();
    (0..1000).for_each(|at| assert!(reader.find_all(&format!("missing {at}")).unwrap().is_empty()));
    println!("lookup of what is not there: {:?}", began.elapsed() / 1000);
    println!("resident: {before} MiB before, {} MiB after", resident());
}

fn numbered(id: &str) -> Record {
    Record { attachments: Vec::new(), x_request_id: None, ..request(id) }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
