//! The report as one self-contained page.

use std::fmt::Write as _;

use crate::plot::{Line, plot};
use crate::report::{PhaseReport, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:920px;margin:2em auto;padding:0 1em;color:#111}\
h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse;width:100%;font-size:13px}\
td,th{padding:.2em .5em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
svg{width:100%;font:11px system-ui,sans-serif}svg .grid{stroke:#e5e7eb}pre{background:#f6f6f6;padding:1em;overflow:auto;\
font-size:12px}.valid{color:#047857}.invalid{color:#b91c1c;font-weight:bold}";

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style>\
         <h1>{0}</h1><p>{1}</p>",
        escape(&format!("hermod-load: {}", report.scenario)),
        escape(&report.about)
    );
    verdict(&mut out, report);
    machine(&mut out, report);
    let _ = write!(out, "<h2>Phases</h2>{}", phases_table(report));
    let shown: Vec<&PhaseReport> = report.phases.iter().filter(|phase| phase.figures.right > 0).collect();
    let measured: Vec<&PhaseReport> = shown.iter().copied().filter(|phase| phase.measured).collect();
    latency_plot(&mut out, if measured.is_empty() { &shown } else { &measured });
    if report.knee_per_second.is_some() {
        sweep_plot(&mut out, &shown);
    }
    time_plots(&mut out, &shown);
    crate::null_table::html(&mut out, report);
    let _ = write!(out, "<h2>All figures</h2><pre>{}</pre>", escape(&crate::table::render(report)));
    let json = serde_json::to_string(report).unwrap_or_default().replace("</", "<\\/");
    let _ = write!(out, "<script type=\"application/json\" id=\"report\">{json}</script></html>");
    out
}

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn verdict(out: &mut String, report: &Report) {
    if report.valid {
        out.push_str("<p class=\"valid\">Valid: every right answer is proved.</p>");
        return;
    }
    out.push_str("<p class=\"invalid\">Invalid</p><ul class=\"invalid\">");
    for reason in &report.invalid_because {
        let _ = write!(out, "<li>{}</li>", escape(reason));
    }
    out.push_str("</ul>");
}

fn machine(out: &mut String, report: &Report) {
    let machine = &report.machine;
    let _ = write!(
        out,
        "<p>{} × {}, Linux {}, fdatasync {:.0} µs; {}, commit {}, {}; seed {}</p><pre>{}</pre>",
        machine.cpus,
        escape(&machine.cpu),
        escape(&machine.kernel),
        machine.fdatasync_us_p50,
        escape(&machine.build),
        escape(&machine.commit),
        escape(&report.runtime),
        report.seed,
        escape(&machine.command)
    );
}

fn phases_table(report: &Report) -> String {
    let mut out =
        "<table><tr><th>Phase<th>offered/s<th>right/s<th>late<th>errors<th>p50 ms<th>p90<th>p99<th>p99.9\
                   <th>p99.99</tr>"
            .to_owned();
    for phase in &report.phases {
        let (figures, latency) = (&phase.figures, &phase.figures.latency_ms);
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{:.0}<td>{}<td>{}",
            escape(&phase.name),
            phase.offered_per_second.map_or("callers".to_owned(), |rate| format!("{rate:.0}")),
            figures.achieved_per_second,
            figures.late,
            figures.failed + figures.wrong + figures.refused
        );
        for value in [latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999] {
            let _ = write!(out, "<td>{value:.2}");
        }
        out.push_str("</tr>");
    }
    out + "</table>"
}

fn latency_plot(out: &mut String, phases: &[&PhaseReport]) {
    let line = |phase: &&PhaseReport| Line {
        name: phase.name.clone(),
        // The scale of nines: each step to the right is ten times rarer.
        points: phase.figures.quantiles.iter().map(|(q, ms)| (-(1.0 - q).log10(), *ms)).collect(),
    };
    let lines: Vec<Line> = phases.iter().map(line).collect();
    let marks = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"];
    let marks: Vec<(f64, String)> = (0..).map(f64::from).zip(marks.map(str::to_owned)).collect();
    let _ =
        write!(out, "<h2>Latency from the intended time of sending</h2>{}", plot(&lines, &marks, "ms", true));
}

fn sweep_plot(out: &mut String, phases: &[&PhaseReport]) {
    let mut steps: Vec<_> = phases.iter().filter(|phase| phase.name.starts_with("step")).collect();
    steps.sort_by(|a, b| {
        a.offered_per_second.partial_cmp(&b.offered_per_second).unwrap_or(std::cmp::Ordering::Equal)
    });
    let line = |name: &str, value: fn(&PhaseReport) -> f64| Line {
        name: name.to_owned(),
        points: steps.iter().map(|step| (step.offered_per_second.unwrap_or(0.0), value(step))).collect(),
    };
    let marks: Vec<(f64, String)> = steps
        .iter()
        .map(|step| step.offered_per_second.unwrap_or(0.0))
        .map(|rate| (rate, format!("{rate:.0}")))
        .collect();
    let answered = line("answered/s", |step| step.figures.achieved_per_second);
    let latencies =
        [line("p50", |step| step.figures.latency_ms.p50), line("p99", |step| step.figures.latency_ms.p99)];
    let _ = write!(
        out,
        "<h2>Offered rate</h2>{}{}",
        plot(&[answered], &marks, "answered/s", false),
        plot(&latencies, &marks, "ms", true)
    );
}

fn time_plots(out: &mut String, phases: &[&PhaseReport]) {
    let (mut rate, mut errors, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut marks, mut offset) = (Vec::new(), 0.0);
    for phase in phases {
        marks.push((offset, format!("{offset:.0} s")));
        for slice in &phase.figures.slices {
            let at = offset + slice.at;
            rate.push((at, slice.per_second));
            errors.push((at, slice.errors_per_second));
            p50.push((at, slice.p50));
            p99.push((at, slice.p99));
        }
        offset += phase.figures.slices.len() as f64 * crate::recorder::SLICE.as_secs_f64();
    }
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    let _ = write!(
        out,
        "<h2>Over time</h2>{}{}",
        plot(&[line("right answers", rate), line("errors", errors)], &marks, "per second", false),
        plot(&[line("p50", p50), line("p99", p99)], &marks, "ms", true)
    );
}
