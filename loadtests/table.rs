//! The report for people, as text.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use crate::recorder::Latency;
use crate::report::{PhaseReport, Report, ServerReport};
use crate::streaming::Side;

/// The whole text.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let machine = &report.machine;
    let _ = writeln!(
        out,
        "\n{} — {}\n  {}, commit {}\n  {} × {}, Linux {}, fdatasync {:.0} µs (worst {:.0} µs), {} at {:.0} µs a signature\n  {}   seed {}",
        report.scenario,
        report.about,
        machine.build,
        machine.commit,
        machine.cpus,
        machine.cpu,
        machine.kernel,
        machine.fdatasync_us_p50,
        machine.fdatasync_us_max,
        report.runtime,
        report.signature_us,
        machine.command,
        report.seed,
    );
    let _ = writeln!(
        out,
        "\n{:<24}{:>10}{:>10}{:>7}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "phase", "offered/s", "right/s", "late", "errors", "p50 ms", "p90", "p99", "p99.9", "p99.99"
    );
    for phase in &report.phases {
        phase_line(&mut out, phase);
    }
    if let Some(phase) = report.phases.iter().rev().find(|phase| phase.measured) {
        details(&mut out, report, phase);
    }
    if let Some(knee) = report.knee_per_second {
        let _ = writeln!(out, "\nknee: {knee:.0} exchanges/s");
    }
    if let Some(alone) = &report.one_caller {
        let _ = writeln!(
            out,
            "\none caller: p50 {:.2} ms; crypto and four fdatasyncs must take {:.2} ms: {:.2} of that",
            alone.p50_ms, alone.floor_ms, alone.ratio
        );
    }
    if let Some(start_ms) = report.start_ms {
        let _ =
            writeln!(out, "\nfrom a server's start until it is ready, configuration at hand: {start_ms} ms");
    }
    if report.changes.any() {
        let changes = &report.changes;
        let _ = writeln!(
            out,
            "\nunder load: {} restarts and {} upgrades, {} of them failed; the longest took {} ms; {} exchanges failed",
            changes.restarts,
            changes.upgrades,
            changes.failures.len(),
            changes.longest_ms,
            report.errors
        );
    }
    out.push('\n');
    crate::null_table::text(&mut out, report);
    out.push('\n');
    if let Some(proof) = &report.proof {
        let _ = writeln!(
            out,
            "proof: {} of {} right answers verified from {} log records in {:.1} s{}",
            proof.verified,
            proof.required,
            proof.records,
            proof.seconds,
            match (proof.without_bodies, proof.presence_only) {
                (_, true) => " (bodies are not logged: presence only)",
                (true, false) => " (bodies are not logged: by the digests of what was sent)",
                (false, false) => "",
            }
        );
        if proof.members.len() > report.servers.len() {
            for member in &proof.members {
                let _ = writeln!(
                    out,
                    "  {:<30}{:>8} requests and {:>8} responses of its own proved",
                    member.member, member.asked, member.answered
                );
            }
        }
    } else {
        let _ = writeln!(out, "proof: none, the logs are not at hand");
    }
    verdict(&mut out, report);
    out
}

fn phase_line(out: &mut String, phase: &PhaseReport) {
    let (figures, latency) = (&phase.figures, &phase.figures.latency_ms);
    let offered = phase.offered_per_second.map_or("callers".to_owned(), |rate| format!("{rate:.0}"));
    let _ = writeln!(
        out,
        "{:<24}{offered:>10}{:>10.0}{:>7}{:>7} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        phase.name,
        figures.achieved_per_second,
        figures.late,
        figures.failed + figures.wrong + figures.refused,
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p999,
        latency.p9999
    );
}

fn details(out: &mut String, report: &Report, phase: &PhaseReport) {
    let _ = writeln!(out, "\nin \"{}\":", phase.name);
    if report.classes.len() > 1 {
        for (name, latency) in report.classes.iter().zip(&phase.figures.by_class) {
            class_line(out, name, latency);
        }
    }
    let _ = write!(out, "{:<46}", "");
    phase.servers.iter().for_each(|server| {
        let _ = write!(out, "{:>12}", server.name);
    });
    out.push('\n');
    type Line = (&'static str, fn(&ServerReport) -> f64);
    let lines: [Line; 18] = [
        ("CPU µs per exchange", |s| s.cpu_us_per_exchange),
        ("  of which crypto and system calls must cost", |s| s.floor_us_per_exchange),
        ("messages per signature", |s| s.messages_per_signature),
        ("per 10k messages: private-key operations", |s| s.private_key_operations),
        ("  public-key checks (without TLS)", |s| s.rsa_verifications),
        ("  fdatasyncs", |s| s.fsyncs),
        ("  OCSP calls", |s| s.ocsp_calls),
        ("  TSA calls", |s| s.tsa_calls),
        ("  full handshakes", |s| s.handshakes_full),
        ("  resumed handshakes", |s| s.handshakes_resumed),
        ("messages whose signature was known, %", |s| s.known_documents_percent),
        ("saved per 10k messages: signatures", |s| s.signatures_saved),
        ("  public-key checks (at least)", |s| s.rsa_verifications_saved),
        ("log bytes per record", |s| s.bytes_per_record),
        ("fdatasync, mean µs", |s| s.fsync_us),
        ("read and write calls per exchange", |s| s.reads_and_writes_per_exchange),
        ("context switches per exchange", |s| s.switches_per_exchange),
        ("peak RSS, MiB", |s| s.peak_rss_bytes as f64 / 1_048_576.0),
    ];
    for (name, value) in lines {
        let _ = write!(out, "{name:<46}");
        phase.servers.iter().for_each(|server| {
            let _ = write!(out, "{:>12.1}", value(server));
        });
        out.push('\n');
    }
    let _ = write!(out, "{:<46}", "system calls per message");
    for server in &phase.servers {
        let calls = server.system_calls_per_message;
        let _ = write!(out, "{:>12}", calls.map_or("-".to_owned(), |calls| format!("{calls:.1}")));
    }
    out.push('\n');
    if phase.servers.iter().any(|server| server.system_calls_per_message.is_none()) {
        let _ = writeln!(out, "  {}", crate::calls::UNAVAILABLE);
    }
    streaming(out, report, phase);
    floor(out, phase);
    breakdown(out, phase);
    let _ = writeln!(
        out,
        "generator {:.0} µs, echo service {:.0} µs of CPU per exchange; peak RSS of both with the trust services {:.1} MiB",
        phase.generator_cpu_us,
        phase.service_cpu_us,
        report.own_peak_rss_bytes as f64 / 1_048_576.0
    );
}

fn streaming(out: &mut String, report: &Report, phase: &PhaseReport) {
    if phase.streaming.is_empty() {
        return;
    }
    let sha512 = report.sha512_mib_per_second;
    let _ = writeln!(out, "\nMiB/s of a large body; SHA-512 on one core here: {sha512:.0} MiB/s");
    for hop in &phase.streaming {
        let side = match hop.side {
            Side::Intake => "intake",
            Side::Delivery => "delivery",
        };
        let _ = writeln!(
            out,
            "  {:<44}{side:<10}{:>8.0}{:>8.2} of SHA-512",
            hop.hop, hop.mib_per_second, hop.of_sha512
        );
    }
}

fn floor(out: &mut String, phase: &PhaseReport) {
    let _ = writeln!(out, "\nCPU µs per exchange that crypto and system calls must cost");
    let Some(first) = phase.servers.first() else { return };
    for (place, part) in first.floor.iter().enumerate() {
        let _ = write!(out, "  {:<52}", part.what);
        for server in &phase.servers {
            let _ = write!(out, "{:>12.1}", server.floor.get(place).map_or(0.0, |part| part.us));
        }
        out.push('\n');
    }
    let _ = write!(out, "  {:<52}", "servers / this");
    for server in &phase.servers {
        let _ = write!(out, "{:>12.2}", server.cpu_us_per_exchange / server.floor_us_per_exchange.max(0.1));
    }
    out.push('\n');
}

const NAMES: [&str; 10] = [
    "read",
    "batch_wait",
    "sign",
    "log_append",
    "fdatasync_wait",
    "connect",
    "peer",
    "service",
    "verify",
    "reply",
];

fn breakdown(out: &mut String, phase: &PhaseReport) {
    let _ = writeln!(out, "\nmean ms of a phase × times per exchange (~: difference of two means)");
    for name in NAMES {
        let _ = write!(out, "  {name:<44}");
        for server in &phase.servers {
            let cell = server.phases.iter().find(|time| time.name == name).map(|time| {
                let about = if time.derived { "~" } else { "" };
                format!("{about}{:.2}×{:.1}", time.us / 1000.0, time.per_exchange)
            });
            let _ = write!(out, " {:>11}", cell.unwrap_or_default());
        }
        out.push('\n');
    }
    let _ = writeln!(out, "  (hash: not told by itself, part of read; its CPU time is in the floor)");
}

fn class_line(out: &mut String, name: &str, latency: &Latency) {
    if latency.count > 0 {
        let _ = writeln!(
            out,
            "  {name:<10} {:>9} answers, p50 {:.2} ms, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, p99.99 {:.2}, max {:.2}",
            latency.count, latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max
        );
    }
}

fn verdict(out: &mut String, report: &Report) {
    let (green, red, plain) = match std::io::stderr().is_terminal() {
        true => ("\x1b[1;32m", "\x1b[1;31m", "\x1b[0m"),
        false => ("", "", ""),
    };
    if report.valid {
        let _ = write!(out, "{green}VALID{plain}");
        if report.refused > 0 {
            let _ = write!(out, " ({} messages were refused, which this scenario accepts)", report.refused);
        }
    } else {
        let _ = write!(out, "{red}INVALID{plain}");
        for reason in &report.invalid_because {
            let _ = write!(out, "\n  {red}{reason}{plain}");
        }
    }
}
