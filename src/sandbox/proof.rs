//! The code of `hermod verify` on the sandbox's own evidence.

use std::path::Path;

use axum::body::Bytes;

use super::ecosystem::Ecosystem;
use super::error::SandboxError;
use super::plan::INSTANCE;
use crate::evidence::{Verdict, conf, judge};
use crate::log::StoredRecord;
use crate::trust::{GlobalConf, Part, PartKind, Policy};

/// What containers are judged by.
pub struct Conf {
    global_conf: GlobalConf,
    policy: Policy,
}

impl Conf {
    /// What the sandbox's configuration source publishes now.
    ///
    /// # Errors
    /// When it is no global configuration.
    pub fn of(ecosystem: &Ecosystem) -> Result<Self, SandboxError> {
        let parts = ecosystem.source().parts();
        let part = |kind, content: String| Part {
            kind,
            instance: INSTANCE.to_owned(),
            bytes: content.into_bytes(),
            version: 6,
            expires: None,
        };
        let parts = [part(PartKind::Shared, parts.shared), part(PartKind::Private, parts.private)];
        let global_conf = GlobalConf::from_parts(INSTANCE, &parts, None)
            .map_err(|e| SandboxError::Evidence(e.to_string()))?;
        Ok(Self { global_conf, policy: Policy::default() })
    }

    /// What `GET /verificationconf` delivered.
    ///
    /// # Errors
    /// When the file cannot be read or holds no global configuration.
    pub fn load(path: &Path) -> Result<Self, SandboxError> {
        let global_conf = conf::load(path).map_err(|e| SandboxError::Evidence(e.to_string()))?;
        Ok(Self { global_conf, policy: Policy::default() })
    }
}

/// Judges a record of a message log as the container that `GET /asic` would deliver.
///
/// # Errors
/// Why it is not valid.
pub fn judge_record(record: &StoredRecord, conf: &Conf) -> Result<Verdict, String> {
    let container = record.container().map_err(|e| e.to_string())?;
    judge_bytes(container.to_bytes(record.summary.time).into(), conf)
}

/// Judges a downloaded container and says what it proves, in one paragraph.
///
/// # Errors
/// When a file cannot be read or the container is not valid.
pub fn judge_files(container: &Path, conf: &Path) -> Result<String, SandboxError> {
    let conf = Conf::load(conf)?;
    let bytes = std::fs::read(container).map_err(SandboxError::file("read", container))?;
    let verdict = judge_bytes(bytes.into(), &conf).map_err(|reason| {
        SandboxError::Evidence(format!("{} is not valid: {reason}", container.display()))
    })?;
    let attachments = match (verdict.attachments.verified.len(), verdict.attachments.absent.len()) {
        (0, 0) => String::new(),
        (there, 0) => format!(", with {there} attachments"),
        (there, absent) => {
            format!(", with {there} attachments and the digests of {absent} that the log does not keep")
        }
    };
    Ok(format!(
        "{} is valid evidence: signed by {}, time-stamped {}{attachments}.",
        container.display(),
        verdict.signer.map(|signer| signer.to_string()).unwrap_or_default(),
        verdict.time.map(|time| time.to_string()).unwrap_or_default(),
    ))
}

fn judge_bytes(container: Bytes, conf: &Conf) -> Result<Verdict, String> {
    let verdict = judge(&container, &conf.global_conf, &conf.policy);
    match &verdict.error {
        None => Ok(verdict),
        Some(error) => Err(error.to_string()),
    }
}
