//! What the countdowns say, against what happens. Minutes long, so not part of `cargo test`:
//! `cargo test --test e2e countdowns -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use hermod::sandbox::source::Parts;
use hermod::sandbox::{Fault, RuntimeChoice};
use serde_json::Value;

use super::captures::error_code;
use super::world::{World, eventually, hermod};

/// Everything that can be away is missed after so many seconds.
const PERIOD_SECS: i64 = 90;
/// How long a countdown may take from its beginning to its end, and to be gone again.
const PATIENCE: Duration = Duration::from_secs(240);

fn status(world: &World) -> Value {
    let output = hermod(&["status", "--json"], &["--config".as_ref()], world.ecosystem.server(0));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Seconds left and whether it runs.
fn countdown(world: &World, cause: &str) -> (Option<i64>, bool) {
    let status = status(world);
    let stops = status["stops"].as_array().cloned().unwrap_or_default();
    let found = stops.iter().find(|stop| stop["cause"] == cause).expect("a countdown");
    (found["left_secs"].as_i64(), found["running"] == true)
}

fn refused(world: &World) -> Option<String> {
    let answer = world.rest("GET", "random?size=1", "", b"");
    (answer.status() != 200).then(|| error_code(&answer))
}

fn journal(world: &World, text: &str) -> usize {
    let output = std::fs::read_to_string(world.ecosystem.server(0).files().output()).unwrap();
    output.lines().filter(|line| line.contains(text)).count()
}

struct Course {
    cause: &'static str,
    /// When it began to run, after the fault.
    started: f64,
    /// After the fault, when it was said at its beginning that messages would stop.
    predicted: f64,
    /// After the fault, when they stopped.
    stopped: f64,
    code: String,
    warnings: usize,
    /// After the service was back.
    recovered: f64,
}

fn follow(world: &World, cause: &'static str, words: &str, switch: impl Fn(Fault)) -> Course {
    let warnings_before = journal(world, "messages will be refused in");
    let began = Instant::now();
    let since = || began.elapsed().as_secs_f64();
    switch(Fault::Unavailable);
    let (mut started, mut predicted) = (None, 0.0);
    let (stopped, code) = loop {
        assert!(began.elapsed() < PATIENCE, "{cause}: messages go on");
        if let (Some(left), true) = countdown(world, cause)
            && started.is_none()
        {
            started = Some(since());
            predicted = since() + left as f64;
        }
        if let Some(code) = refused(world) {
            break (since(), code);
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    eventually(&format!("{cause}: it is at 0"), || countdown(world, cause).0 == Some(0));
    eventually("the journal says so", || journal(world, &format!("messages are refused: {words}")) > 0);
    let warnings = journal(world, "messages will be refused in") - warnings_before;
    switch(Fault::None);
    let back = Instant::now();
    while refused(world).is_some() || countdown(world, cause).1 {
        assert!(back.elapsed() < PATIENCE, "{cause}: it does not recover");
        std::thread::sleep(Duration::from_millis(250));
    }
    let recovered = back.elapsed().as_secs_f64();
    eventually("the journal says so", || journal(world, &format!("no danger any more: {words}")) > 0);
    let started = started.expect("it ran before messages stopped");
    Course { cause, started, predicted, stopped, code, warnings, recovered }
}

#[test]
#[ignore = "takes five minutes"]
fn countdowns_start_warn_reach_zero_when_messages_stop_and_recover() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        // A configuration that expires sooner than the one before would look replayed.
        options.extra_config.insert_str(0, "rollback_allowed = true\n");
        options.extra_config += &format!(
            "\n[timestamp]\nretry_secs = 2\ninterval_secs = 2\nfailure_secs_max = {PERIOD_SECS}\n\n\
             [countdown]\nwarn_secs = [60, 30, 10]\n"
        );
    });
    let source = world.ecosystem.source();
    source.set_life(PERIOD_SECS);
    let Parts { shared, private } = source.parts();
    let freshness = |secs: i64| format!("<ocspFreshnessSeconds>{secs}</ocspFreshnessSeconds>");
    source.publish(Parts { shared: shared.replace(&freshness(3600), &freshness(PERIOD_SECS)), private });
    eventually("the short periods are in force", || {
        let soon = |cause| countdown(&world, cause).0.is_some_and(|left| left <= PERIOD_SECS);
        soon("global_conf") && soon("ocsp")
    });
    let stations = world.ecosystem.stations();
    let courses = [
        follow(&world, "timestamping", "time-stamping fails", |fault| stations.tsa.set_fault(fault)),
        follow(&world, "ocsp", "OCSP answers get too old", |fault| stations.ocsp.set_fault(fault)),
        follow(&world, "global_conf", "global configuration expires", |fault| {
            stations.source.set_fault(fault)
        }),
    ];
    eprintln!(
        "{:<14} {:>8} {:>10} {:>8} {:>9} {:>10}  code",
        "cause", "started", "predicted", "stopped", "warnings", "recovered"
    );
    for course in &courses {
        let Course { cause, started, predicted, stopped, code, warnings, recovered } = course;
        eprintln!(
            "{cause:<14} {started:>6.1} s {predicted:>8.1} s {stopped:>6.1} s {warnings:>9} {recovered:>8.1} s  {code}"
        );
        assert!(*warnings >= 3, "{cause}: {warnings} warnings");
    }
}
