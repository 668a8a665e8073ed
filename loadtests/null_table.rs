//! The null column for people, as text and as part of the page.

use std::fmt::Write as _;

use crate::null::NullPhase;
use crate::page::escape;
use crate::report::Report;

const HEADS: [&str; 10] = [
    "null column",
    "offered/s",
    "right/s",
    "p50 ms",
    "p99",
    "CPU µs",
    "× right/s",
    "× p50",
    "× p99",
    "× CPU",
];

fn cells(phase: &NullPhase) -> [String; 10] {
    let latency = &phase.figures.latency_ms;
    let ratio = |of: fn(&crate::null::Ratios) -> f64| {
        phase.ratios.as_ref().map_or(String::new(), |ratios| format!("{:.2}", of(ratios)))
    };
    let cpu: f64 = phase.relays.iter().map(|relay| relay.cpu_us_per_exchange).sum();
    [
        phase.name.clone(),
        phase.offered_per_second.map_or("callers".to_owned(), |rate| format!("{rate:.0}")),
        format!("{:.0}", phase.figures.achieved_per_second),
        format!("{:.2}", latency.p50),
        format!("{:.2}", latency.p99),
        format!("{cpu:.0}"),
        ratio(|ratios| ratios.exchanges_per_second),
        ratio(|ratios| ratios.latency_p50),
        ratio(|ratios| ratios.latency_p99),
        ratio(|ratios| ratios.cpu_us_per_exchange),
    ]
}

fn headline(report: &Report) -> String {
    let null = &report.null;
    let mut out = String::new();
    if let Some(knee) = null.knee_per_second {
        let _ = write!(out, "the relays' knee: {knee:.0} exchanges/s; ");
    }
    if let Some(ratio) = report.ratio_to_null {
        let _ = write!(out, "servers / relays: {ratio:.2} ({})", report.ratio_to_null_of);
    }
    for relay in &null.relays {
        let mib = relay.peak_rss_bytes as f64 / 1_048_576.0;
        let _ = write!(
            out,
            "; the {}'s relay {:.0} µs of CPU per exchange, {mib:.0} MiB",
            relay.name, relay.cpu_us_per_exchange
        );
    }
    out
}

/// As text.
pub fn text(out: &mut String, report: &Report) {
    if !report.null.measured {
        let _ = writeln!(out, "null column: {}", report.null.reason);
        return;
    }
    let mut row = |cells: &[String]| {
        for (place, cell) in cells.iter().enumerate() {
            let _ = if place == 0 { write!(out, "{cell:<24}") } else { write!(out, "{cell:>10}") };
        }
        out.push('\n');
    };
    row(&HEADS.map(str::to_owned));
    report.null.phases.iter().for_each(|phase| row(&cells(phase)));
    let _ = writeln!(out, "{}", headline(report));
}

/// As HTML.
pub fn html(out: &mut String, report: &Report) {
    out.push_str("<h2>The same load through relays that neither sign nor log</h2>");
    if !report.null.measured {
        let _ = write!(out, "<p>{}</p>", escape(&report.null.reason));
        return;
    }
    let _ = write!(out, "<p>{}</p><table><tr>", escape(&headline(report)));
    HEADS.iter().for_each(|head| {
        let _ = write!(out, "<th>{}", escape(head));
    });
    out.push_str("</tr>");
    for phase in &report.null.phases {
        out.push_str("<tr>");
        cells(phase).iter().for_each(|cell| {
            let _ = write!(out, "<td>{}", escape(cell));
        });
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}
