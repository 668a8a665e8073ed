//! `hermod-load` as its users run it: a run counts only when every answer is proved.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(scenario: &str) -> (Output, Value) {
    run_sized("[[9, 1000], [1, 100000]]\nanswer_timeout_ms = 5000", scenario)
}

fn run_sized(sizes: &str, scenario: &str) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let page = folder.path().join("report.html");
    let head = format!("name = \"test\"\n[load]\nsizes = {sizes}\n");
    std::fs::write(&file, format!("{head}{scenario}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hermod-load"))
        .args([file.as_os_str(), "--json".as_ref(), "--html".as_ref(), page.as_os_str()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_self_contained(&page);
    (output, report)
}

fn assert_self_contained(page: &Path) {
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("<svg") && text.ends_with("</html>"));
    assert!(!text.contains(" src=") && !text.contains(" href="));
}

const WITHOUT_MORE: &str = "[null]\nmeasure = false\n[system]\ncount_calls = false\n";

fn phase(seconds: f64) -> String {
    format!("[[phase]]\nname = \"steady\"\nrate = 20\nseconds = {seconds}\n")
}

fn reasons(report: &Value) -> String {
    report["invalid_because"].to_string()
}

#[test]
fn a_run_whose_answers_are_all_proved_is_valid_and_carries_its_figures() {
    let (output, report) = run(&phase(2.0));
    assert_eq!(report["valid"], true, "{report}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["errors"], 0);
    let proof = &report["proof"];
    assert!(proof["required"].as_u64().unwrap() > 10);
    assert_eq!(proof["verified"], proof["required"]);
    assert_eq!(proof["records"].as_u64().unwrap(), 4 * proof["required"].as_u64().unwrap());
    for figure in ["exchanges_per_second", "messages_per_signature", "bytes_per_record", "signature_us"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    assert!(report["start_ms"].is_u64(), "{}", report["start_ms"]);
    for figure in ["p50", "p90", "p99", "p999", "p9999"] {
        assert!(report["latency_ms"][figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    for figure in [
        "private_key_operations",
        "rsa_verifications",
        "fsyncs",
        "ocsp_calls",
        "tsa_calls",
        "handshakes_full",
    ] {
        assert!(report["per_10k_messages"][figure].is_f64(), "{figure}");
        assert_eq!(report["per_10k_messages"][figure], report[figure]);
    }
    let servers = report["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 2);
    for server in servers {
        for figure in ["cpu_us_per_exchange", "floor_us_per_exchange", "peak_rss_bytes", "fsyncs"] {
            assert!(server[figure].as_f64().unwrap() > 0.0, "{figure}");
        }
        let phases: Vec<_> = server["phases"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
        for phase in ["read", "batch_wait", "sign", "log_append", "fdatasync_wait", "verify"] {
            assert!(phases.contains(&phase.into()), "{phase} is not in {phases:?}");
        }
    }
    assert!(report["saved_per_10k_messages"]["signatures"].is_f64());
    assert!(report["latency_ms_by_class"].as_object().unwrap().len() == 2);
    assert_null_column(&report);
}

/// The relays' figures where nginx is installed, and else the reason why there are none.
fn assert_null_column(report: &Value) {
    let null = &report["null"];
    if null["measured"] == false {
        assert_eq!(null["reason"], "not measured: nginx is not installed");
        assert!(report["ratio_to_null"].is_null());
        return;
    }
    let phase = &null["phases"][1];
    assert_eq!((&phase["name"], &phase["failed"], &phase["wrong"]), (&"steady".into(), &0.into(), &0.into()));
    assert!(phase["right"].as_u64().unwrap() > 10);
    for relay in null["relays"].as_array().unwrap() {
        assert!(relay["cpu_us_per_exchange"].as_f64().unwrap() > 0.0, "{relay}");
    }
    assert!(report["ratio_to_null"].as_f64().unwrap() > 0.0);
    assert!(null["ratios"]["cpu_us_per_exchange"].as_f64().unwrap() > 0.0);
}

#[test]
fn members_of_one_server_each_sign_and_answer_their_own_messages() {
    let system = "[null]\nmeasure = false\n[system]\ncount_calls = false\nkey_type = \"ec\"\n\
                  members = 3\nservices = 2\n";
    let (output, report) = run(&format!("{}{system}", phase(4.0)));
    assert_eq!(report["valid"], true, "{}\n{}", reasons(&report), String::from_utf8_lossy(&output.stderr));
    let (proof, right) = (&report["proof"], report["proof"]["required"].as_u64().unwrap());
    assert_eq!(proof["records"].as_u64().unwrap(), 4 * right);
    let members = proof["members"].as_array().unwrap();
    let of = |word: &str| -> Vec<(&str, u64)> {
        let counted = members.iter().map(|m| (m["member"].as_str().unwrap(), m[word].as_u64().unwrap()));
        counted.filter(|(_, count)| *count > 0).collect()
    };
    for (word, first) in [("asked", "SANDBOX/GOV/1"), ("answered", "SANDBOX/GOV/2")] {
        let counted = of(word);
        assert_eq!(counted.len(), 3, "{members:?}");
        assert!(counted.iter().all(|(member, _)| member.starts_with(first)), "{members:?}");
        assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), right);
    }
}

#[test]
fn killing_a_server_in_mid_run_makes_the_run_invalid() {
    let (output, report) =
        run(&format!("{}{WITHOUT_MORE}[[event]]\nat_seconds = 1\ndo = \"kill-provider\"\n", phase(2.0)));
    assert_eq!(report["valid"], false);
    assert_eq!(output.status.code(), Some(2));
    assert!(reasons(&report).contains("ss2 was killed"), "{}", reasons(&report));
    assert!(report["errors"].as_u64().unwrap() > 0);
}

#[test]
fn an_answer_altered_on_its_way_makes_the_run_invalid() {
    let (output, report) =
        run(&format!("{}{WITHOUT_MORE}[[event]]\nat_seconds = 0\ndo = \"tamper-bodies\"\n", phase(2.0)));
    assert_eq!(report["valid"], false);
    assert_eq!(output.status.code(), Some(2));
    assert!(reasons(&report).contains("another body"), "{}", reasons(&report));
}

#[test]
fn an_answer_that_only_the_log_can_contradict_makes_the_run_invalid() {
    let (output, report) =
        run(&format!("{}{WITHOUT_MORE}[[event]]\nat_seconds = 0\ndo = \"tamper-hashes\"\n", phase(2.0)));
    assert_eq!(report["errors"], 0, "{report}");
    assert_eq!(report["valid"], false);
    assert_eq!(output.status.code(), Some(2));
    assert!(reasons(&report).contains("another answer than was logged"), "{}", reasons(&report));
}

#[test]
fn records_without_bodies_still_contradict_an_answer_to_another_request() {
    let system =
        "[null]\nmeasure = false\n[system]\ncount_calls = false\nlog_bodies = false\nkey_type = \"ec\"\n";
    let event = "[[event]]\nat_seconds = 0\ndo = \"tamper-hashes\"\n";
    let (output, report) = run(&format!("{}{system}{event}", phase(1.0)));
    assert_eq!(report["errors"], 0, "{report}");
    assert_eq!(output.status.code(), Some(2));
    for reason in ["answer to another request than was logged", "another answer than was logged"] {
        assert!(reasons(&report).contains(reason), "{}", reasons(&report));
    }
}

#[test]
fn restarts_and_upgrades_of_held_servers_lose_no_exchange() {
    let system =
        "[null]\nmeasure = false\n[system]\ncount_calls = false\nhold_sockets = true\nkey_type = \"ec\"\n";
    let events = "[[event]]\nat_seconds = 0.5\ndo = \"restart-consumer\"\n\
                  [[event]]\nat_seconds = 2.0\ndo = \"restart-provider\"\n\
                  [[event]]\nat_seconds = 3.5\ndo = \"upgrade-consumer\"\n";
    let (output, report) = run(&format!("{}{system}{events}", phase(6.0)));
    assert_eq!(report["valid"], true, "{}\n{}", reasons(&report), String::from_utf8_lossy(&output.stderr));
    let changes = &report["changes"];
    assert_eq!((changes["restarts"].as_u64(), changes["upgrades"].as_u64()), (Some(2), Some(1)), "{changes}");
    assert_eq!((report["errors"].as_u64(), report["refused"].as_u64()), (Some(0), Some(0)));
}

/// Bodies that no part of the run may hold.
const LARGE: u64 = 128 << 20;

#[test]
fn a_large_body_passes_through_everybodys_memory_in_pieces_and_is_proved_by_its_digest() {
    let system =
        "[null]\nmeasure = false\n[system]\ncount_calls = false\nlog_bodies = false\nkey_type = \"ec\"\n";
    let one = "[[phase]]\nname = \"one\"\narrivals = \"constant\"\nrate = 10\nseconds = 0.1\n";
    let (output, report) = run_sized(&format!("[[1, {LARGE}]]"), &format!("{one}{system}"));
    assert_eq!(report["valid"], true, "{}\n{}", reasons(&report), String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["classes"][0], "128 MiB");
    let proof = &report["proof"];
    assert_eq!((&proof["verified"], &proof["records"]), (&1.into(), &4.into()));
    assert_eq!((&proof["without_bodies"], &proof["presence_only"]), (&true.into(), &false.into()));
    assert!(report["sha512_mib_per_second"].as_f64().unwrap() > 0.0);
    let hops = report["streaming"].as_array().unwrap();
    for (number, side) in ["intake", "delivery", "intake", "delivery"].iter().enumerate() {
        assert_eq!(hops[number]["side"], *side);
        assert!(hops[number]["mib_per_second"].as_f64().unwrap() > 0.0);
    }
    assert!(hops.iter().any(|hop| hop["hop"] == "ss2 reads a message"), "{hops:?}");
    for server in report["servers"].as_array().unwrap() {
        let peak = server["peak_rss_bytes"].as_u64().unwrap();
        assert!(peak > 0 && peak < LARGE, "{peak}");
    }
    assert!(report["own_peak_rss_bytes"].as_u64().unwrap() < LARGE, "{}", report["own_peak_rss_bytes"]);
}

#[test]
fn large_and_small_bodies_that_are_logged_are_proved_alike() {
    let system = "[system]\ncount_calls = false\nkey_type = \"ec\"\n";
    let (output, report) = run_sized("[[1, 1000], [1, 3000000]]", &format!("{}{system}", phase(1.0)));
    assert_eq!(report["valid"], true, "{}\n{}", reasons(&report), String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["proof"]["without_bodies"], false);
    assert_eq!(report["streaming"].as_array().unwrap().len(), 4);
    assert_null_column(&report);
}

#[test]
fn a_large_answer_altered_on_its_way_makes_the_run_invalid() {
    let callers = "[[phase]]\nname = \"two\"\narrivals = \"callers\"\ncallers = 2\nseconds = 1\n";
    let event = "[[event]]\nat_seconds = 0\ndo = \"tamper-bodies\"\n";
    let (output, report) = run_sized("[[1, 2000000]]", &format!("{callers}{WITHOUT_MORE}{event}"));
    assert_eq!(output.status.code(), Some(2));
    assert!(reasons(&report).contains("another body"), "{}", reasons(&report));
}
