//! Altered containers: none that says something else is accepted, whatever was done to it.
//!
//! `HERMOD_MUTATIONS` sets how many random alterations each container suffers (60 by default).

use std::path::PathBuf;

use bytes::Bytes;
use hermod::evidence::asic::{Container, Entry, read_archive};
use hermod::evidence::{Verdict, judge};
use hermod::trust::{GlobalConf, Policy};

use super::builder::{Record, build};
use super::read;
use crate::common::vectors;

const SEEDS: [&str; 11] = [
    "captures/evidence/rest-get-forced-stamp/ss0-request.asice",
    "captures/evidence/rest-get-forced-stamp/ss0-response.asice",
    "captures/evidence/rest-post-1k/ss0-request.asice",
    "captures/evidence/rest-204/ss0-response.asice",
    "captures/evidence/soap-attachment/ss0-request.asice",
    "captures/evidence/soap-two-attachments/ss0-response.asice",
    "captures/evidence/soap-forced-stamp/ss0-response.asice",
    "captures/batch/batch-0021/ss0-request.asice",
    "captures/batch/batch-0007/ss0-request.asice",
    "captures/batch/batch-0084/ss1-response.asice",
    "captures/batch/batch-0037/ss0-request.asice",
];
const MESSAGE: &str = "message.xml";
pub const SIGNATURE: &str = "META-INF/signatures.xml";

/// A valid container of an official server.
pub struct Seed {
    name: &'static str,
    bytes: Bytes,
    pub entries: Vec<Entry>,
    container: Container,
    verdict: Verdict,
}

pub struct Bench {
    pub seeds: Vec<Seed>,
    conf: GlobalConf,
}

impl Bench {
    pub fn new() -> Option<Self> {
        let root: PathBuf = vectors()?;
        let conf = GlobalConf::load_dir(&root.join("captures/trust/verificationconf")).unwrap();
        let seeds = SEEDS.map(|name| {
            let bytes = read(&root.join(name));
            let verdict = judge(&bytes, &conf, &Policy::STRICT);
            assert!(verdict.is_valid(), "{name}: {:?}", verdict.error);
            let (entries, container) = (read_archive(&bytes).unwrap(), Container::parse(&bytes).unwrap());
            Seed { name, bytes, entries, container, verdict }
        });
        Some(Self { seeds: seeds.into(), conf })
    }

    fn judge(&self, bytes: Vec<u8>) -> Verdict {
        judge(&Bytes::from(bytes), &self.conf, &Policy::STRICT)
    }

    /// Whatever is accepted must say exactly what the untouched container says.
    pub fn check(&self, seed: &Seed, what: &str, bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        let verdict = judge(&bytes, &self.conf, &Policy::STRICT);
        if !verdict.is_valid() {
            assert!(verdict.signer.is_none() && verdict.time.is_none(), "{} {what}", seed.name);
            return;
        }
        let container = Container::parse(&bytes).unwrap();
        let context = format!("{} {what}", seed.name);
        assert_eq!(container.message, seed.container.message, "{context}");
        assert_eq!(verdict.signer, seed.verdict.signer, "{context}");
        assert_eq!(verdict.time, seed.verdict.time, "{context}");
        assert_eq!(verdict.signing_certificate, seed.verdict.signing_certificate, "{context}");
        for (number, data) in &container.attachments {
            assert_eq!(Some(data), seed.container.attachments.get(number), "{context}");
            assert!(verdict.attachments.verified.contains(number), "{context}");
        }
        let covered = |verdict: &Verdict| {
            let mut all = [verdict.attachments.verified.clone(), verdict.attachments.absent.clone()].concat();
            all.sort_unstable();
            all
        };
        assert_eq!(covered(&verdict), covered(&seed.verdict), "{context}");
    }

    pub fn refuse(&self, seed: &Seed, what: &str, bytes: Vec<u8>) {
        assert!(!self.judge(bytes).is_valid(), "{}: accepted with {what}", seed.name);
    }

    fn accept(&self, seed: &Seed, what: &str, bytes: Vec<u8>) -> Verdict {
        let verdict = self.judge(bytes);
        assert!(verdict.is_valid(), "{}: refused with {what}: {:?}", seed.name, verdict.error);
        verdict
    }
}

impl Seed {
    pub fn records(&self) -> Vec<Record> {
        self.entries.iter().map(|entry| Record::deflated(&entry.name, &entry.data)).collect()
    }

    /// The container with one entry replaced, everything else as it was.
    pub fn with(&self, name: &str, data: &[u8]) -> Vec<u8> {
        let mut records = self.records();
        for record in &mut records {
            if record.name == name {
                *record = Record::deflated(name, data);
            }
        }
        build(&records, b"")
    }

    pub fn entry(&self, name: &str) -> Option<&[u8]> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| entry.data.as_ref())
    }

    pub fn text(&self, name: &str) -> &str {
        self.entry(name).map_or("", |data| std::str::from_utf8(data).unwrap())
    }
}

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One random alteration of one entry's content.
fn alter(data: &mut Vec<u8>, random: &mut Random) -> String {
    let at = random.below(data.len());
    match random.below(8) {
        0 | 1 => {
            let bit = random.below(8);
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << bit;
            }
            format!("bit {bit} of byte {at} flipped")
        }
        2 => {
            let length = random.below(40).min(data.len() - at);
            data.drain(at..at + length);
            format!("{length} bytes removed at {at}")
        }
        3 => {
            let piece = data[at..(at + random.below(200)).min(data.len())].to_vec();
            data.splice(at..at, piece);
            format!("a piece doubled at {at}")
        }
        4 => {
            let pieces: [&[u8]; 9] =
                [b" ", b"<!---->", b"<?x?>", b"&#65;", b"\0", b"<![CDATA[]]>", b"A", b"=", b"\r\n"];
            let piece = pieces[random.below(pieces.len())];
            data.splice(at..at, piece.iter().copied());
            format!("{:?} inserted at {at}", String::from_utf8_lossy(piece))
        }
        5 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = b'A' + random.below(26) as u8;
            }
            format!("a letter put at {at}")
        }
        6 => {
            data.truncate(at);
            format!("cut at {at}")
        }
        _ => {
            let other = random.below(data.len());
            if at < data.len() && other < data.len() {
                data.swap(at, other);
            }
            format!("bytes {at} and {other} exchanged")
        }
    }
}

#[test]
fn accepts_no_randomly_altered_container_that_says_something_else() {
    let Some(bench) = Bench::new() else { return };
    let count: usize = std::env::var("HERMOD_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    for (number, seed) in bench.seeds.iter().enumerate() {
        let mut random = Random(number as u64);
        for round in 0..count {
            if round % 4 == 3 {
                let mut bytes = seed.bytes.to_vec();
                let what = alter(&mut bytes, &mut random);
                bench.check(seed, &format!("file: {what}"), bytes);
                continue;
            }
            let candidates: Vec<&Entry> = seed
                .entries
                .iter()
                .filter(|entry| !entry.name.to_lowercase().ends_with("manifest.xml"))
                .collect();
            let entry = candidates[random.below(candidates.len())];
            let mut data = entry.data.to_vec();
            let what = alter(&mut data, &mut random);
            bench.check(seed, &format!("{}: {what}", entry.name), seed.with(&entry.name, &data));
        }
    }
}

#[test]
fn accepts_no_entry_of_another_container() {
    let Some(bench) = Bench::new() else { return };
    for seed in &bench.seeds {
        for other in &bench.seeds {
            for entry in other.entries.iter().filter(|entry| seed.entry(&entry.name).is_some()) {
                let what = format!("{} of {}", entry.name, other.name);
                bench.check(seed, &what, seed.with(&entry.name, &entry.data));
            }
        }
    }
}

#[test]
fn accepts_no_container_without_one_of_its_parts() {
    let Some(bench) = Bench::new() else { return };
    for seed in &bench.seeds {
        for index in 0..seed.entries.len() {
            let mut records = seed.records();
            let removed = records.remove(index);
            let bytes = build(&records, b"");
            if removed.name.starts_with("attachment") {
                let verdict = bench.accept(seed, "an attachment taken out", bytes);
                assert_eq!(verdict.attachments.absent, [1]);
                assert!(verdict.attachments.verified.is_empty());
            } else if removed.name.to_lowercase().ends_with("manifest.xml") {
                bench.accept(seed, "a manifest taken out", bytes);
            } else {
                bench.refuse(seed, &format!("{} taken out", removed.name), bytes);
            }
        }
    }
}

#[test]
fn accepts_no_archive_that_can_be_read_in_two_ways() {
    let Some(bench) = Bench::new() else { return };
    type Change = fn(&mut Vec<Record>);
    let changes: [(&str, Change); 27] = [
        ("a second message", |r| r.push(Record::deflated(MESSAGE, b"other"))),
        ("the same message twice", |r| r.push(r[1].clone())),
        ("a second message before", |r| r.insert(0, Record::deflated(MESSAGE, b"other"))),
        ("a message in other letters", |r| r.push(Record::deflated("MESSAGE.xml", b"other"))),
        ("a message in a folder up", |r| r.push(Record::deflated("x/../message.xml", b"other"))),
        ("a second signature file", |r| r.push(Record::deflated("META-INF/signatures1.xml", b"<x/>"))),
        ("a signature of another kind", |r| r.push(Record::deflated("META-INF/mysignature.p7s", b"x"))),
        ("a second time-stamp file", |r| r.push(Record::deflated("META-INF/timestamp2.tst", b"x"))),
        ("a second name in an extra field", |r| r[1].extra = b"\x75\x70\x06\0\x01\0\0\0\0x".to_vec()),
        ("zip64 sizes in an extra field", |r| r[1].extra = [&[1, 0, 16, 0][..], &[9; 16]].concat()),
        ("an extra field that is cut off", |r| r[1].extra = vec![0xfe, 0xca, 9, 0]),
        ("an uncovered attachment", |r| r.push(Record::deflated("attachment7", b"other"))),
        ("an attachment without number", |r| r.push(Record::deflated("attachmentx", b"other"))),
        ("an uncovered file", |r| r.push(Record::deflated("invoice.pdf", b"other"))),
        ("a record that the directory does not list", |r| {
            r.insert(1, Record { in_directory: false, ..Record::deflated(MESSAGE, b"other") });
        }),
        ("another local name", |r| r[1].local_name = "message.xmk".to_owned()),
        ("another local method", |r| r[1].local_method = 0),
        ("another local flag", |r| r[1].local_flags &= !0x0800),
        ("a missing descriptor", |r| r[1].local_flags &= !8),
        ("encryption", |r| (r[1].flags, r[1].local_flags) = (0x0809, 0x0809)),
        ("bytes before a record", |r| r[1].gap = b"gap".to_vec()),
        ("bytes after compressed data", |r| {
            r[1].packed.extend_from_slice(b"tail");
            r[1].packed_size += 4;
        }),
        ("a wrong checksum", |r| r[1].crc ^= 1),
        ("a wrong size", |r| r[1].size += 1),
        ("an unknown method", |r| (r[1].method, r[1].local_method) = (12, 12)),
        ("a huge declared size", |r| r[1].size = 0xffff_fff0),
        ("a zip64 size", |r| (r[1].size, r[1].packed_size) = (u32::MAX, u32::MAX)),
    ];
    for seed in &bench.seeds {
        for (what, change) in changes {
            let mut records = seed.records();
            change(&mut records);
            bench.refuse(seed, what, build(&records, b""));
        }
        bench.refuse(seed, "bytes at the end", [&seed.bytes, b"x".as_slice()].concat());
        let mark = build(&seed.records(), b"PK\x05\x06 that some readers find first");
        bench.refuse(seed, "an end mark in the comment", mark);
        bench.refuse(seed, "bytes at the start", [b"x".as_slice(), &seed.bytes].concat());
        bench.refuse(seed, "itself appended", [&seed.bytes[..], &seed.bytes[..]].concat());
    }
}

#[test]
fn accepts_other_archives_of_the_same_content() {
    let Some(bench) = Bench::new() else { return };
    for seed in &bench.seeds {
        let stored: Vec<Record> = seed.entries.iter().map(|e| Record::stored(&e.name, &e.data)).collect();
        bench.accept(seed, "stored entries", build(&stored, b"any comment"));
        let mut reversed = seed.records();
        reversed.reverse();
        bench.accept(seed, "entries in another order", build(&reversed, b""));
        let mut free = seed.records();
        free.iter_mut().for_each(|record| {
            record.extra = vec![0xfe, 0xca, 2, 0, 1, 2];
            record.descriptor_signature = false;
        });
        free.insert(2, Record::stored("META-INF/", b""));
        bench.accept(seed, "extra fields, a folder, bare descriptors", build(&free, b""));
    }
}
