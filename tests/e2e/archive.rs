//! Archives of a server's log, made by processes that are killed at random points.
//!
//! `HERMOD_KILLS=200 cargo test --test e2e archive::` is the long form; `HERMOD_KILL_SEED` repeats the points of a run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hermod::log::LogReader;
use hermod::sandbox::{RuntimeChoice, traffic};

use super::http;
use super::world::{HERMOD, World, eventually};

const RECORDS_MIN: usize = 120;

/// Numbers that look random and can be had again.
struct Points(u64);

impl Points {
    fn new() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let clock = || Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 20;
        let seed = number("HERMOD_KILL_SEED").unwrap_or_else(clock) | 1;
        println!("HERMOD_KILL_SEED={seed}");
        Self(seed)
    }

    /// A part of 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A folder with a log, the configuration that names it, and its archives.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(log: &Path, grouping: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        fs::create_dir(folder.path().join("log")).expect("a directory");
        for entry in fs::read_dir(log).expect("a log") {
            let entry = entry.expect("a file");
            let is_log = entry.file_name().to_string_lossy().starts_with("segment-");
            if is_log {
                fs::copy(entry.path(), folder.path().join("log").join(entry.file_name())).expect("a copy");
            }
        }
        let config = format!(
            "root = \".\"\n[server]\ninstance = \"SANDBOX\"\nmember_class = \"GOV\"\nmember_code = \"100\"\n\
             server_code = \"ss0\"\n[log]\narchive_grouping = \"{grouping}\"\narchive_file_bytes_max = 60000\n"
        );
        fs::write(folder.path().join("hermod.toml"), config).expect("a file");
        Self { folder }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(HERMOD);
        command.args(["archive", "run", "--config"]).arg(self.folder.path().join("hermod.toml"));
        command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("the binary")
    }

    fn archives(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// Every record of the log is in exactly one archive, the chains are whole, and every container is evidence.
    fn check(&self, conf: &Path) {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.archives()).expect("archives") {
            let path = entry.expect("a file").path();
            assert!(path.extension().is_some_and(|end| end == "zip"), "{} is left over", path.display());
            let archive =
                zip::ZipArchive::new(fs::File::open(&path).expect("an archive")).expect("a ZIP file");
            names.extend(archive.file_names().filter(|name| *name != "linkinginfo").map(str::to_owned));
        }
        let log = LogReader::open(&self.folder.path().join("log")).expect("a log");
        let expected: BTreeSet<String> =
            log.iter().map(|record| record.expect("a record").container_file_name()).collect();
        assert_eq!(names.len(), expected.len(), "a record was doubled or lost");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
        let mut verify = Command::new(HERMOD);
        let verify = verify.arg("verify").arg(self.archives()).arg("--conf").arg(conf);
        let output = verify.args(["--previous", "first"]).output().expect("the binary");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn archivers_that_are_killed_at_random_points_neither_lose_nor_double_a_record() {
    let kills = std::env::var("HERMOD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10);
    let mut points = Points::new();
    // The server archives too, and is killed while it does.
    let mut world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[timestamp]\ninterval_secs = 1\nretry_secs = 1\n\
             [log]\narchive_interval_secs = 1\narchive_file_bytes_max = 60000\n";
    });
    let plan = world.ecosystem.plan().clone();
    let files = world.ecosystem.server(0).files().clone();
    let archived = |files: &hermod::sandbox::files::ServerFiles| {
        fs::read_dir(files.root().join("archive")).map_or(0, |found| found.count())
    };
    for round in 0..3 {
        let before = archived(&files);
        let traffic = world.runtime.block_on(traffic::send(&plan, RECORDS_MIN / 2, |_| ()));
        assert_eq!(traffic.errors(), 0, "round {round}");
        if round < 2 {
            eventually("archives", || archived(&files) > before);
            std::thread::sleep(Duration::from_secs_f64(points.next() * 0.05));
            world.kill(0);
            world.start_again(0);
        }
    }
    let log = files.log();
    let stamped = || LogReader::open(&log).is_ok_and(|log| log.unstamped_count() == 0);
    eventually("time-stamps", stamped);
    let conf = files.directory().join("verificationconf.zip");
    let answer = http::send(world.client_port(), b"GET /verificationconf HTTP/1.1\r\nHost: ss\r\n\r\n");
    fs::write(&conf, &answer.body).expect("a file");
    let records = LogReader::open(&log).expect("a log").counts().0 as usize;
    assert!(records >= RECORDS_MIN);
    let in_archives = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(files.root().join("archive")).expect("archives").flatten() {
            if let Ok(Ok(archive)) = fs::File::open(entry.path()).map(zip::ZipArchive::new) {
                names.extend(archive.file_names().filter(|name| *name != "linkinginfo").map(str::to_owned));
            }
        }
        names
    };
    eventually("the rest is archived", || in_archives().len() >= records);
    world.runtime.block_on(world.ecosystem.server_mut(0).stop()).expect("a stop");
    let names = in_archives();
    assert_eq!(names.len(), records, "the server's own archiver doubled a record");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), records);

    // The same log archived again and again by processes that do not live long.
    let place = Place::new(&log, "none");
    let begun = Instant::now();
    assert!(place.start().wait().expect("an end").success());
    let whole = begun.elapsed();
    place.check(&conf);
    let (mut done, mut rounds) = (0, 0);
    while done < kills {
        let place = Place::new(&log, ["none", "member", "subsystem"][rounds % 3]);
        rounds += 1;
        // At each kill the next process goes on where the one before came to.
        loop {
            let mut child = place.start();
            std::thread::sleep(whole.mul_f64(points.next()));
            match child.try_wait().expect("a process") {
                Some(status) => {
                    assert!(status.success());
                    break;
                }
                None => {
                    child.kill().expect("a kill");
                    child.wait().expect("an end");
                    done += 1;
                }
            }
        }
        place.check(&conf);
    }
    println!("{done} kills in {rounds} rounds, {records} records each");
}
