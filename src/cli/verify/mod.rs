//! `hermod verify`: judges containers against a configuration, offline.

mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::evidence::{Verdict, conf, judge};
use crate::limits;
use crate::message::{ErrorCode, XRoadError};
use crate::trust::{GlobalConf, Policy};

/// Verifies evidence: who signed each container, when, and whether everything in it is what was signed.
///
/// Opens nothing but the files given to it. Ends with 0 if all containers are valid, 1 if one is not, 2 if a file or
/// the configuration cannot be read.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Containers (.asice) to verify
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What GET /verificationconf delivers, zipped or unpacked, or a server's global configuration directory; its
    /// expiry does not matter here
    #[arg(long, value_name = "PATH")]
    pub conf: PathBuf,
    /// Print one JSON object per file and line
    #[arg(long)]
    pub json: bool,
    /// Accept evidence of the past that was signed or stamped with SHA-1
    #[arg(long)]
    pub allow_sha1: bool,
    /// Accept evidence of the past that was signed or stamped with RSA keys of 1024 bits and more
    #[arg(long)]
    pub allow_rsa1024: bool,
    /// Accept OCSP answers that were given after the time-stamp
    #[arg(long)]
    pub allow_future_ocsp: bool,
}

const INVALID: u8 = 1;
const UNREADABLE: u8 = 2;

/// Runs the sub-command. Verdicts go to standard output in the order of the files, trouble to standard error.
pub fn run(args: &VerifyArgs) -> ExitCode {
    let global_conf = match conf::load(&args.conf) {
        Ok(global_conf) => global_conf,
        Err(error) => {
            eprintln!("hermod verify: {error}");
            return ExitCode::from(UNREADABLE);
        }
    };
    for problem in global_conf.problems() {
        eprintln!("hermod verify: part of the configuration is not used: {problem}");
    }
    let policy = Policy {
        allow_sha1: args.allow_sha1,
        allow_rsa1024: args.allow_rsa1024,
        allow_future_ocsp: args.allow_future_ocsp,
        ..Policy::STRICT
    };
    let mut worst = 0;
    for file in &args.files {
        match verify_file(file, &global_conf, &policy) {
            Ok(verdict) => {
                worst = worst.max(if verdict.is_valid() { 0 } else { INVALID });
                let text = if args.json {
                    format!("{}\n", report::json_line(file, &verdict))
                } else {
                    report::paragraph(file, &verdict)
                };
                if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
                    return ExitCode::from(UNREADABLE);
                }
            }
            Err(error) => {
                let text = format!("{} cannot be read: {error}", file.display());
                eprintln!("hermod verify: {text}");
                worst = UNREADABLE;
                if args.json {
                    let verdict = Verdict::invalid(XRoadError::new(ErrorCode::IoError, text));
                    say!("{}", report::json_line(file, &verdict));
                }
            }
        }
    }
    ExitCode::from(worst)
}

fn verify_file(file: &Path, global_conf: &GlobalConf, policy: &Policy) -> std::io::Result<Verdict> {
    let Some(bytes) = conf::read_bounded(file, limits::ASIC_CONTAINER_BYTES_MAX)? else {
        return Ok(Verdict::invalid(XRoadError::new(
            ErrorCode::IoError,
            "the file is too large to be a container",
        )));
    };
    Ok(judge(&bytes, global_conf, policy))
}
