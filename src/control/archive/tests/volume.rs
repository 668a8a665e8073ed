//! A measurement, not a test: run it by name with `--ignored --nocapture`, in release.

use std::time::Instant;

use super::*;

/// Records under one signature document, and under one time-stamp.
const SIGNED_TOGETHER: usize = 64;
const STAMPED_TOGETHER: usize = 10_000;
const MEMORY_MIB_MAX: u64 = 256;
const LOOK_UP_MICROS_MAX: u128 = 1000;

/// A log of ten million records (`HERMOD_LOG_RECORDS` says another number) in `HERMOD_LOG_DIRECTORY`, or a temporary
/// directory: written, time-stamped, found, archived, removed. Archives are removed as they are finished.
#[test]
#[ignore = "a measurement"]
fn many_records_are_written_found_archived_and_removed_in_little_memory() {
    let number = std::env::var("HERMOD_LOG_RECORDS").ok().and_then(|value| value.parse::<usize>().ok());
    let count = number.unwrap_or(10_000_000);
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("HERMOD_LOG_DIRECTORY").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let log = open_with(&folder.join("log"), 256 << 20);
    let phase = |name: &str, begun: Instant, done: usize| {
        let secs = begun.elapsed().as_secs_f64();
        println!(
            "{name}: {secs:.1} s, {:.0} a second; memory {} MiB at most",
            done as f64 / secs,
            peak_mib()
        );
        reset_peak();
    };

    let begun = Instant::now();
    block_on(async {
        for start in (0..count).step_by(1024) {
            let records = (start..count.min(start + 1024)).map(record);
            log.append_all(records).await;
        }
    });
    phase("written", begun, count);

    let begun = Instant::now();
    let stamper = Timestamper::new(log.clone(), DigestAlgorithm::Sha512, STAMPED_TOGETHER);
    block_on(stamper.run_until_none_waits(&Authority)).unwrap();
    phase("time-stamped", begun, count);
    log.close();

    let begun = Instant::now();
    let log = open_with(&folder.join("log"), 256 << 20);
    assert_eq!(log.reader().counts().0, count as u64);
    phase("opened", begun, count);
    assert!(log.reader().find_all("no such id").unwrap().is_empty());
    let mut times = Vec::new();
    for at in 0..1000 {
        let id = query_id(at * 7_919_993 % count);
        let begun = Instant::now();
        assert_eq!(log.reader().find_all(&id).unwrap().len(), 1);
        times.push(begun.elapsed().as_micros());
    }
    times.sort_unstable();
    println!(
        "look-up: {} us in the middle, {} us at p99, {} us the slowest ({LOOK_UP_MICROS_MAX} us aimed at)",
        times[500], times[990], times[999]
    );

    let begun = Instant::now();
    let mut archiver = archiver(&folder, Grouping::None, 32 << 20);
    archiver.log = log.reader().clone();
    archiver.transfer_command = Some(format!("rm -f '{}'/*.zip", folder.join("archive").display()));
    let status = archiver.status();
    let outcome = run(&archiver);
    assert_eq!((outcome.records, outcome.left_out.len()), (count, 0));
    phase("archived", begun, count);
    let figures = status.figures(log.reader(), NOW).unwrap();
    println!("{} archives of {} bytes a record", figures.archives, figures.bytes / count as u64);
    assert_eq!((figures.waiting, figures.records), (0, count as u64));

    let (begun, before) = (Instant::now(), log.reader().bytes().unwrap());
    let everything = Retention { keep_ms: Some(0), bytes_max: None, archived_only: true };
    let position = Position::load(log.reader().directory()).unwrap();
    let cleaned = everything.clean(&log, &position, None, NOW.plus_secs(1), &status).unwrap();
    phase("removed", begun, count);
    println!("{} segments of {} bytes a record removed", cleaned.removed, before / count as u64);
    // What is in the newest segment stays.
    assert!(log.reader().bytes().unwrap() < (257 << 20) + (16 << 20));
    log.close();
}

fn query_id(number: usize) -> String {
    format!("01234567-89ab-cdef-0123-{number:012}")
}

/// A REST request of one of some members' subsystems, one of a batch.
fn record(number: usize) -> Record {
    let batch = number / SIGNED_TOGETHER;
    Record {
        query_id: query_id(number),
        message: Bytes::from(format!(
            "GET\r\n/r1/LAB/GOV/200/provider/echo?number={number}\r\n{}",
            "h".repeat(300)
        )),
        signature: SignatureData {
            signature: Bytes::from(format!("{batch:020}{}", "s".repeat(7000))),
            hash_chain_result: Some(Bytes::from(format!("{batch:020}{}", "r".repeat(300)))),
            hash_chain: Some(Bytes::from("c".repeat(900))),
            chain_path: None,
        },
        direction: if number.is_multiple_of(2) { Direction::Request } else { Direction::Response },
        client: ClientId::new("LAB", "GOV", "100", Some(if number.is_multiple_of(3) { "a" } else { "b" }))
            .unwrap(),
        consumer: None,
        service: None,
        x_request_id: None,
        attachments: Vec::new(),
        metadata_only: false,
    }
}

/// The largest resident size since the last reset.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let mib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024;
    assert!(mib <= MEMORY_MIB_MAX, "{mib} MiB");
    mib
}

fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
