//! `hermod tune`: what of the recommended settings a host has. It changes nothing.

mod machine;
mod process;
mod setting;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use machine::Machine;
use setting::{Setting, State};

/// A file of the repository's `tuning` folder: its name, where it belongs, its text.
struct TuningFile {
    name: &'static str,
    belongs: &'static str,
    text: &'static str,
}

const FILES: [TuningFile; 4] = [
    TuningFile {
        name: "90-hermod-sysctl.conf",
        belongs: "/etc/sysctl.d",
        text: include_str!("../../../tuning/90-hermod-sysctl.conf"),
    },
    TuningFile {
        name: "hermod-host.conf",
        belongs: "/etc/tmpfiles.d",
        text: include_str!("../../../tuning/hermod-host.conf"),
    },
    TuningFile {
        name: "hermod-limits.conf",
        belongs: "/etc/systemd/system/hermod.service.d",
        text: include_str!("../../../tuning/hermod-limits.conf"),
    },
    TuningFile {
        name: "hermod-cores.toml",
        belongs: "lines for hermod.toml",
        text: include_str!("../../../tuning/hermod-cores.toml"),
    },
];

/// Arguments of `hermod tune`.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["check", "print"])]
pub struct TuneArgs {
    /// Say what is set, what is not and what would be changed: 0 when all is set, 1 otherwise
    #[arg(long)]
    check: bool,
    /// Print the files of the tuning folder, filled in for this machine
    #[arg(long)]
    print: bool,
    /// With --check: one JSON object
    #[arg(long, requires = "check")]
    json: bool,
    /// Read /proc and /sys below this directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What was found about one setting.
#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    file: &'static str,
    state: State,
    current: Option<String>,
    wanted: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Verdict {
    all_set: bool,
    findings: Vec<Finding>,
}

/// Checks or prints.
pub fn run(args: &TuneArgs) -> ExitCode {
    if args.print {
        say!("{}", print(&args.root));
        return ExitCode::SUCCESS;
    }
    let verdict = check(&args.root);
    if args.json {
        // The type has nothing that could fail to be written.
        say!("{}", serde_json::to_string(&verdict).unwrap_or_default());
    } else {
        tell(&verdict);
    }
    if verdict.all_set { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(root: &Path) -> String {
    let machine = Machine::look(root);
    let parts = FILES.iter().map(|file| {
        let text = machine.fill_in(file.text);
        format!("### {} ({})\n\n{text}", file.name, file.belongs)
    });
    parts.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn check(root: &Path) -> Verdict {
    let machine = Machine::look(root);
    let mut findings = Vec::new();
    for file in FILES {
        let text = machine.fill_in(file.text);
        let settings: Vec<Setting> = match file.name {
            "90-hermod-sysctl.conf" => setting::of_sysctl(&text),
            "hermod-host.conf" => setting::of_tmpfiles(&text),
            "hermod-limits.conf" => {
                findings.extend(process::limits(root, &text, file.name));
                Vec::new()
            }
            _ => {
                findings.extend(process::cores(root, &text, file.name));
                Vec::new()
            }
        };
        findings.extend(settings.into_iter().map(|setting| {
            let (state, current) = setting.look(root);
            Finding {
                name: setting.name,
                file: file.name,
                state,
                current,
                wanted: setting.wanted,
                why: setting.why,
            }
        }));
    }
    let all_set = findings.iter().all(|finding| finding.state != State::Differs);
    Verdict { all_set, findings }
}

fn tell(verdict: &Verdict) {
    let of = |state| verdict.findings.iter().filter(move |finding| finding.state == state);
    for finding in of(State::Set) {
        say!("set      {} is {}", finding.name, finding.current.as_deref().unwrap_or_default());
    }
    for finding in of(State::Absent) {
        say!("absent   {}: this machine has none, nothing to do", finding.name);
    }
    for finding in of(State::Unknown) {
        say!("unknown  {}: no server runs here; wanted is {}", finding.name, finding.wanted);
    }
    for finding in of(State::Differs) {
        let current = finding.current.as_deref().unwrap_or_default();
        say!("change   {} is {current}, would be {} ({})", finding.name, finding.wanted, finding.file);
        say!("         {}", finding.why);
    }
    match of(State::Differs).count() {
        0 => say!("nothing would be changed"),
        1 => say!("1 setting would be changed; `hermod tune --print` prints the files"),
        more => say!("{more} settings would be changed; `hermod tune --print` prints the files"),
    }
}
