//! `hermod verify`: judges containers and archives against a configuration, offline.

mod archives;
mod files;
mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;

use self::archives::{Archive, check_order};
use crate::evidence::asic::Container;
use crate::evidence::message_archive::{EvidenceFile, MessageArchive};
use crate::evidence::{Judge, Verdict, conf};
use crate::limits;
use crate::message::{ErrorCode, XRoadError};
use crate::trust::Policy;

/// Verifies evidence: who signed each container, when, and whether everything in it is what was signed; and whether
/// archives of the message log are whole and follow each other.
///
/// Opens nothing but the files given to it. Ends with 0 if everything is valid, 1 if something is not, 2 if a file or
/// the configuration cannot be read.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Containers (.asice), archives of the message log and downloads of several containers (.zip), or directories of
    /// them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What GET /verificationconf delivers, zipped or unpacked, or a server's global configuration directory; its
    /// expiry does not matter here
    #[arg(long, value_name = "PATH")]
    pub conf: PathBuf,
    /// Last digest (hex) of the archive before the first one given, or "first" if that is the first of all; by default
    /// it is not asked what came before
    #[arg(long, value_name = "DIGEST")]
    pub previous: Option<String>,
    /// Print one JSON object per container and line, then one per archive
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

/// Standard output is gone: nobody reads any more.
struct NobodyReads;

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
    let judge = Judge::new(Arc::new(global_conf), policy);
    let session = Session { judge, json: args.json, worst: 0, archives: Vec::new() };
    let previous = args.previous.as_deref().map(|digest| if digest == "first" { "" } else { digest });
    match session.run(&args.files, previous) {
        Ok(worst) => ExitCode::from(worst),
        Err(NobodyReads) => ExitCode::from(UNREADABLE),
    }
}

struct Session {
    judge: Judge,
    json: bool,
    worst: u8,
    archives: Vec<Archive>,
}

impl Session {
    fn run(mut self, paths: &[PathBuf], previous: Option<&str>) -> Result<u8, NobodyReads> {
        for path in paths {
            match files::evidence_in(path) {
                Ok(found) => found.iter().try_for_each(|file| self.file(file))?,
                Err(error) => self.unreadable(path, &error.to_string())?,
            }
        }
        let mut archives = std::mem::take(&mut self.archives);
        check_order(&mut archives, previous);
        for archive in &archives {
            self.worst = self.worst.max(if archive.error.is_none() { 0 } else { INVALID });
            self.say(&match self.json {
                true => format!("{}\n", report::archive_json_line(archive)),
                false => report::archive_paragraph(archive),
            })?;
        }
        Ok(self.worst)
    }

    fn file(&mut self, file: &Path) -> Result<(), NobodyReads> {
        if file.extension().is_some_and(|ending| ending == "gpg") {
            return self.unreadable(file, "it is encrypted; decrypt it first (gpg --decrypt)");
        }
        let bytes = match conf::read_bounded(file, limits::ARCHIVE_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let text = "the file is too large to be a container or an archive";
                let verdict = Verdict::invalid(XRoadError::new(ErrorCode::IoError, text));
                return self.verdict(file, None, &verdict);
            }
            Err(error) => return self.unreadable(file, &error.to_string()),
        };
        match EvidenceFile::read(&bytes) {
            Ok(EvidenceFile::Container) => {
                let verdict = self.judge(&bytes);
                self.verdict(file, None, &verdict)
            }
            Ok(EvidenceFile::Archive(archive)) => self.archive(file, &archive),
            Err(error) => self.verdict(file, None, &Verdict::invalid(error)),
        }
    }

    fn archive(&mut self, file: &Path, archive: &MessageArchive) -> Result<(), NobodyReads> {
        for (name, bytes) in &archive.containers {
            let verdict = self.judge(bytes);
            self.verdict(file, Some(name), &verdict)?;
        }
        let (links, error) = match archive.verify_links() {
            Ok(links) => (links, None),
            Err(error) => (None, Some(error)),
        };
        let containers = archive.containers.len();
        self.archives.push(Archive { file: file.to_owned(), containers, links, error, note: None });
        Ok(())
    }

    fn judge(&mut self, bytes: &Bytes) -> Verdict {
        let judged = Container::parse(bytes).map(|container| self.judge.judge(&container));
        judged.unwrap_or_else(Verdict::invalid)
    }

    fn verdict(&mut self, file: &Path, entry: Option<&str>, verdict: &Verdict) -> Result<(), NobodyReads> {
        self.worst = self.worst.max(if verdict.is_valid() { 0 } else { INVALID });
        self.say(&match self.json {
            true => format!("{}\n", report::json_line(file, entry, verdict)),
            false => report::paragraph(file, entry, verdict),
        })
    }

    fn unreadable(&mut self, file: &Path, reason: &str) -> Result<(), NobodyReads> {
        let text = format!("{} cannot be read: {reason}", file.display());
        eprintln!("hermod verify: {text}");
        self.worst = UNREADABLE;
        if !self.json {
            return Ok(());
        }
        let verdict = Verdict::invalid(XRoadError::new(ErrorCode::IoError, text));
        self.say(&format!("{}\n", report::json_line(file, None, &verdict)))
    }

    fn say(&self, text: &str) -> Result<(), NobodyReads> {
        std::io::stdout().lock().write_all(text.as_bytes()).map_err(|_| NobodyReads)
    }
}
