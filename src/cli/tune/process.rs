//! Settings of a process are read from the server that runs.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use super::machine::cpu_list;
use super::setting::{State, lines};

// Lines of the unit and of `/proc/PID/limits`.
const LIMITS: [(&str, &str); 2] = [("LimitNOFILE", "Max open files"), ("LimitMEMLOCK", "Max locked memory")];

/// Findings for the limits of the unit.
pub(super) fn limits(root: &Path, text: &str, file: &'static str) -> Vec<Finding> {
    let server = server(root);
    let limits = server.map(|server| fs::read_to_string(server.join("limits")).unwrap_or_default());
    let findings = lines(text).into_iter().filter_map(|(line, why)| {
        let (name, wanted) = line.split_once('=')?;
        let (_, told) = LIMITS.into_iter().find(|(own, _)| *own == name)?;
        let current = limits.as_deref().and_then(|limits| limit(limits, told));
        let enough = |current: &str| {
            let wanted = wanted.parse::<u64>().unwrap_or(u64::MAX);
            current == "unlimited" || current.parse::<u64>().is_ok_and(|current| current >= wanted)
        };
        let state = match current.as_deref() {
            None => State::Unknown,
            Some(current) if enough(current) => State::Set,
            Some(_) => State::Differs,
        };
        Some(Finding { name: name.to_owned(), file, state, current, wanted: wanted.to_owned(), why })
    });
    findings.collect()
}

/// The finding for the layout of the cores: every worker on one core, no two on the same.
pub(super) fn cores(root: &Path, text: &str, file: &'static str) -> Vec<Finding> {
    let workers: Option<Vec<Vec<usize>>> = server(root).map(|server| {
        let Ok(tasks) = fs::read_dir(server.join("task")) else { return Vec::new() };
        let folders = tasks.flatten().map(|task| task.path());
        let workers = folders.filter(|task| read(&task.join("comm")).starts_with("worker-"));
        workers.map(|task| cpu_list(&status(&task, "Cpus_allowed_list:"))).collect()
    });
    let (state, current) = match workers.as_deref() {
        None | Some([]) => (State::Unknown, None),
        Some(workers) => {
            let mut used: Vec<usize> = workers.concat();
            used.sort_unstable();
            let all = used.len();
            used.dedup();
            let pinned = workers.iter().all(|cpus| cpus.len() == 1) && used.len() == all;
            let told = format!(
                "{} workers on {} cores{}",
                workers.len(),
                used.len(),
                if pinned { "" } else { ", not pinned to one each" }
            );
            (if pinned { State::Set } else { State::Differs }, Some(told))
        }
    };
    let why = lines(text).into_iter().find(|(line, _)| line.starts_with("pin")).map(|(_, why)| why);
    let (name, wanted) = ("worker threads".to_owned(), "each worker on a core of its own".to_owned());
    vec![Finding { name, file, state, current, wanted, why: why.unwrap_or_default() }]
}

/// The folder of the first process that was started as `hermod run`.
fn server(root: &Path) -> Option<PathBuf> {
    let processes = fs::read_dir(root.join("proc")).ok()?.flatten().map(|entry| entry.path());
    let mut servers: Vec<PathBuf> = processes
        .filter(|folder| {
            let command = fs::read(folder.join("cmdline")).unwrap_or_default();
            let mut words = command.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            program.rsplit(|byte| *byte == b'/').next() == Some(b"hermod") && words.next() == Some(b"run")
        })
        .collect();
    servers.sort();
    servers.into_iter().next()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn status(task: &Path, name: &str) -> String {
    let text = read(&task.join("status"));
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

// The soft limit: the first column behind the name.
fn limit(limits: &str, name: &str) -> Option<String> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next().map(str::to_owned)
}
