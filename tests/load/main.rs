//! `hermod-load` as its users run it: a run counts only when every answer is proved.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(scenario: &str) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let page = folder.path().join("report.html");
    let head = "name = \"test\"\n[load]\nsizes = [[9, 1000], [1, 100000]]\nanswer_timeout_ms = 5000\n";
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
