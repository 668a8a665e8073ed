//! `hermod log` beside a running server.

use std::process::{Command, Output};

use hermod::sandbox::RuntimeChoice;
use serde_json::Value;

use super::http;
use super::world::{Cases, HERMOD, World, eventually, hermod};

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn the_log_is_searched_exported_and_checked_while_the_server_writes_it() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[timestamp]\ninterval_secs = 1\nretry_secs = 1\n";
    });
    for (id, path) in [("one", "random?size=10"), ("two", "echo"), ("three", "random?size=20")] {
        let answer = world.rest("GET", path, &format!("X-Road-Id: {id}\r\n"), b"");
        assert_eq!(answer.status(), 200);
    }
    let log = |server: usize, words: &[&str]| {
        let words = [&["log"], words].concat();
        hermod(&words, &["--config".as_ref()], world.ecosystem.server(server))
    };
    let found = |server: usize, words: &[&str]| {
        let output = log(server, &[&["find", "--json"], words].concat());
        let ids =
            lines(&output).into_iter().map(|line| line["message_id"].as_str().expect("an id").to_owned());
        (output.status.code(), ids.collect::<Vec<_>>())
    };
    let mut cases = Cases::default();
    for (server, words, expected) in [
        (0, &["two"][..], &["two", "two"][..]),
        (0, &["two", "--direction", "response"], &["two"]),
        (0, &["--direction", "request"], &["one", "two", "three"]),
        (0, &["--direction", "request", "--limit", "1"], &["one"]),
        (1, &["--client", "SANDBOX/GOV/100/consumer", "--direction", "request"], &["one", "two", "three"]),
        (1, &["--service", "SANDBOX/GOV/200/provider/random", "--direction", "request"], &["one", "three"]),
        (1, &["--client", "SANDBOX/GOV/200"], &["one", "one", "two", "two", "three", "three"]),
        (0, &["--until", "2020-01-01"], &[]),
        (0, &["four"], &[]),
    ] {
        cases.case(&format!("find {words:?}"), || {
            let code = Some(if expected.is_empty() { 1 } else { 0 });
            assert_eq!(found(server, words), (code, expected.iter().map(|id| (*id).to_owned()).collect()));
        });
    }
    cases.case("what cannot be read is told", || {
        let output = log(0, &["find", "--from", "yesterday"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("\"yesterday\" is no time"));
        let output = log(0, &["find", "--dir", "/nowhere"]);
        assert_eq!(output.status.code(), Some(2));
    });
    cases.case("find for people", || {
        let output = log(0, &["find", "two"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("SANDBOX/GOV/100/consumer -> SANDBOX/GOV/200/provider/echo"), "{text}");
    });
    let record =
        lines(&log(0, &["find", "one", "--direction", "request", "--json"]))[0]["record"].to_string();
    eventually("time-stamps", || {
        lines(&log(0, &["find", "--json"])).iter().all(|line| line["stamped"] == true)
    });
    cases.case("show", || {
        let shown = lines(&log(0, &["show", &record, "--json"]));
        assert_eq!((&shown[0]["message_id"], &shown[0]["headers_only"]), (&"one".into(), &false.into()));
        let message = log(0, &["show", &record, "--message"]).stdout;
        assert!(message.starts_with(b"GET\r\n/r1/SANDBOX/GOV/200/provider/random?size=10\r\n"));
        let text = String::from_utf8(log(0, &["show", &record]).stdout).expect("UTF-8");
        assert!(text.contains("  message id   one\n"), "{text}");
        assert_eq!(log(0, &["show", "999999"]).status.code(), Some(1));
    });
    let folder = tempfile::tempdir().expect("a directory");
    let conf = folder.path().join("verificationconf.zip");
    let answer = http::send(world.client_port(), b"GET /verificationconf HTTP/1.1\r\nHost: ss\r\n\r\n");
    std::fs::write(&conf, &answer.body).expect("a file");
    cases.case("export", || {
        let out = folder.path().join("out");
        let exported = log(0, &["export", "--out", out.to_str().expect("a path"), "--json"]);
        assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
        let files = lines(&exported);
        assert_eq!(files.len(), 6);
        for file in &files {
            let file = file["file"].as_str().expect("a file");
            let mut verify = Command::new(HERMOD);
            let output = verify.args(["verify", file, "--conf"]).arg(&conf).output().expect("the binary");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        let stored =
            log(0, &["export", "--records", "--record", &record, "--out", out.to_str().expect("a path")]);
        assert!(stored.status.success());
        let name = String::from_utf8(stored.stdout).expect("UTF-8");
        let stored: Value =
            serde_json::from_slice(&std::fs::read(name.trim()).expect("a file")).expect("JSON");
        assert_eq!(stored["service"], "SANDBOX/GOV/200/provider/random");
        assert!(stored["signature"].as_str().expect("base64").len() > 1000);
    });
    cases.case("archive", || {
        let archive =
            || hermod(&["archive", "run", "--json"], &["--config".as_ref()], world.ecosystem.server(0));
        let archived = archive();
        assert_eq!(archived.status.code(), Some(0), "{}", String::from_utf8_lossy(&archived.stderr));
        let told = lines(&archived);
        assert_eq!((&told[0]["records"], told[0]["archives"].as_array().map(Vec::len)), (&6.into(), Some(1)));
        let file = told[0]["archives"][0].as_str().expect("a file");
        let mut verify = Command::new(HERMOD);
        let verify = verify.args(["verify", file, "--json", "--previous", "first", "--conf"]).arg(&conf);
        let output = verify.output().expect("the binary");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let whole = lines(&output).pop().expect("the archive");
        assert_eq!(
            (&whole["valid"], &whole["containers"], &whole["chained"]),
            (&true.into(), &6.into(), &true.into())
        );
        assert_eq!(lines(&archive())[0]["records"], 0, "each record once");
    });
    cases.case("stat and verify", || {
        let stat = lines(&log(0, &["stat", "--json"]));
        assert_eq!((&stat[0]["messages"], &stat.last().expect("a sum")["waiting"]), (&6.into(), &0.into()));
        let conf = conf.to_str().expect("a path");
        let verified = log(0, &["verify", "--conf", conf, "--json"]);
        assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
        assert_eq!(lines(&verified)[0]["valid"], 6);
        // A copy of the log with a flipped bit in the message that was asked for.
        let copy = folder.path().join("copy");
        std::fs::create_dir(&copy).expect("a directory");
        let path = world.ecosystem.server(0).files().log().join("segment-0000000001.log");
        let mut bytes = std::fs::read(path).expect("the log");
        let at = bytes.windows(14).position(|bytes| bytes == b"random?size=10").expect("the message");
        bytes[at] ^= 1;
        std::fs::write(copy.join("segment-0000000001.log"), bytes).expect("a file");
        let verified = log(0, &["verify", "--dir", copy.to_str().expect("a path"), "--json"]);
        assert_eq!(verified.status.code(), Some(1));
        let told = lines(&verified);
        assert_eq!((told.len(), &told[1]["records"], &told[1]["faults"]), (2, &5.into(), &1.into()));
        assert_eq!(told[0]["what"], format!("segment 1, record {record}"));
    });
    cases.finish();
}
