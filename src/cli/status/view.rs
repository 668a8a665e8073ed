//! The page that `hermod status` shows.

use std::fmt::Write as _;

use serde_json::Value;

use crate::control::countdown::in_words;

const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// The page for a state, with rates since `before`.
pub fn page(now: &Value, before: Option<&Value>, colours: bool) -> String {
    let mut out = String::new();
    head(&mut out, now, colours);
    traffic(&mut out, now, before);
    countdowns(&mut out, now, colours);
    errors(&mut out, now);
    out
}

fn paint(text: &str, colour: &str, colours: bool) -> String {
    if colours { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value, path: &[&str]) -> u64 {
    path.iter().fold(value, |value, key| &value[*key]).as_u64().unwrap_or_default()
}

fn head(out: &mut String, now: &Value, colours: bool) {
    let up = in_words(now["uptime_secs"].as_i64().unwrap_or_default());
    let _ = writeln!(
        out,
        "Security server {}   hermod {}, pid {}, up {up}   {}",
        text(now, "server"),
        text(now, "version"),
        number(now, &["pid"]),
        text(now, "time"),
    );
    let state = match (now["maintenance"].as_bool(), now["healthy"].as_bool(), text(now, "words")) {
        (Some(true), ..) => paint("in maintenance", YELLOW, colours),
        (_, Some(true), "") => paint("messages pass", GREEN, colours),
        (_, Some(true), words) => paint(&format!("messages pass, but {words}"), YELLOW, colours),
        _ => paint(&format!("messages do NOT pass: {}", text(now, "reason")), RED, colours),
    };
    let _ = writeln!(out, "{state}\n");
}

fn traffic(out: &mut String, now: &Value, before: Option<&Value>) {
    let secs = before.map(|before| {
        let uptime = |value: &Value| value["uptime_secs"].as_i64().unwrap_or_default();
        (uptime(now) - uptime(before)).max(1) as f64
    });
    let rate = |path: &[&str]| match (before, secs) {
        (Some(before), Some(secs)) => {
            let more = number(now, path).saturating_sub(number(before, path));
            format!("{:>9.1}/s", more as f64 / secs)
        }
        _ => String::new(),
    };
    let rows: [(&str, &[&str]); 5] = [
        ("exchanges, consumer", &["exchanges", "consumer"]),
        ("exchanges, provider", &["exchanges", "provider"]),
        ("refused", &["refused"]),
        ("signed messages", &["signatures", "messages"]),
        ("logged messages", &["log", "messages"]),
    ];
    for (name, path) in rows {
        let _ = writeln!(out, "  {name:<22}{:>12} {}", number(now, path), rate(path));
    }
    let ratio = |above: &[&str], below: &[&str]| match number(now, below) {
        0 => 0.0,
        below => number(now, above) as f64 / below as f64,
    };
    let mib = |path: &[&str]| number(now, path) as f64 / f64::from(1 << 20);
    let _ = writeln!(
        out,
        "  {:.1} messages a signature, {:.1} a commit; {} unstamped; {:.0} MiB, of which {:.1} MiB messages; {} clients\n",
        ratio(&["signatures", "messages"], &["signatures", "operations"]),
        ratio(&["log", "messages"], &["log", "commits"]),
        number(now, &["log", "unstamped"]),
        mib(&["memory", "process"]),
        mib(&["memory", "messages"]),
        number(now, &["clients"]),
    );
}

fn countdowns(out: &mut String, now: &Value, colours: bool) {
    let _ = writeln!(out, "  Messages stop             because");
    for stop in now["stops"].as_array().into_iter().flatten() {
        let left = match (stop["left_secs"].as_i64(), text(stop, "left")) {
            (None, _) => "not".to_owned(),
            (Some(0), _) => "NOW".to_owned(),
            (Some(_), left) => format!("in {left}"),
        };
        // What is renewed all the time shows its time without alarm.
        let alarm = stop["running"].as_bool().unwrap_or_default()
            && !text(stop, "cause").ends_with("certificate")
            && text(stop, "cause") != "disk";
        let colour = match stop["left_secs"].as_i64() {
            Some(0) => RED,
            Some(_) if alarm => YELLOW,
            _ => PLAIN,
        };
        let detail = text(stop, "detail");
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        let left = paint(&format!("{left:<24}"), colour, colours);
        let _ = writeln!(out, "  {left}  {}{detail}", text(stop, "words"));
    }
}

fn errors(out: &mut String, now: &Value) {
    let Some(errors) = now["errors"].as_object().filter(|errors| !errors.is_empty()) else { return };
    let mut errors: Vec<_> = errors.iter().map(|(code, count)| (count.as_u64().unwrap_or(0), code)).collect();
    errors.sort_by(|one, other| other.cmp(one));
    let _ = writeln!(out, "\n  Refused since the start, by code");
    for (count, code) in errors.into_iter().take(8) {
        let _ = writeln!(out, "  {count:>12}  {code}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stops_messages_is_said_first_and_rates_are_shown() {
        let state = |consumer: u64, uptime: u64| {
            json!({
                "server": "LAB/GOV/300/ss2", "uptime_secs": uptime, "healthy": true, "maintenance": false,
                "words": "messages stop in 5 min 0 s: time-stamping fails",
                "exchanges": { "consumer": consumer, "provider": 0 },
                "errors": { "server.clientproxy.network_error": 3 },
                "stops": [
                    { "cause": "timestamping", "words": "time-stamping fails", "left_secs": 300, "left": "5 min 0 s",
                      "running": true, "detail": "failing since noon" },
                    { "cause": "disk", "words": "disk is full", "left_secs": null, "running": false, "detail": "" },
                ],
            })
        };
        let page = page(&state(500, 20), Some(&state(100, 10)), false);
        for part in [
            "messages pass, but messages stop in 5 min 0 s",
            "     40.0/s",
            "in 5 min 0 s              time-stamping fails (failing since noon)",
            "not                       disk is full",
            "3  server.clientproxy.network_error",
        ] {
            assert!(page.contains(part), "{part}:\n{page}");
        }
    }
}
