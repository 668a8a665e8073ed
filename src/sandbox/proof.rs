//! The code of `hermod verify` on the sandbox's own evidence.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;

use super::ecosystem::Ecosystem;
use super::error::SandboxError;
use crate::crypto::Digest;
use crate::evidence::hash_chain::{ChainPath, Leaf};
use crate::evidence::{Judge, PartName, Verdict, conf, judge};
use crate::log::StoredRecord;
use crate::message::ClientId;
use crate::trust::{GlobalConf, Part, PartKind, Policy};

/// What containers are judged by. Cheap to clone.
#[derive(Clone)]
pub struct Conf {
    global_conf: Arc<GlobalConf>,
    policy: Policy,
}

impl Conf {
    /// What the sandbox's configuration source publishes now.
    ///
    /// # Errors
    /// When it is no global configuration.
    pub fn of(ecosystem: &Ecosystem) -> Result<Self, SandboxError> {
        let (parts, instance) = (ecosystem.source().parts(), &ecosystem.plan().instance);
        let part = |kind, content: String| Part {
            kind,
            instance: instance.clone(),
            bytes: content.into_bytes(),
            version: 6,
            expires: None,
        };
        let parts = [part(PartKind::Shared, parts.shared), part(PartKind::Private, parts.private)];
        let global_conf = GlobalConf::from_parts(instance, &parts, None)
            .map_err(|e| SandboxError::Evidence(e.to_string()))?;
        Ok(Self { global_conf: Arc::new(global_conf), policy: Policy::default() })
    }

    /// What `GET /verificationconf` delivered.
    ///
    /// # Errors
    /// When the file cannot be read or holds no global configuration.
    pub fn load(path: &Path) -> Result<Self, SandboxError> {
        let global_conf = conf::load(path).map_err(|e| SandboxError::Evidence(e.to_string()))?;
        Ok(Self { global_conf: Arc::new(global_conf), policy: Policy::default() })
    }
}

/// Judges the records of a message log one after the other, each as the container that `GET /asic` would deliver.
pub struct RecordJudge {
    conf: Conf,
    judge: Judge,
    judged: usize,
}

/// Of so many records one is packed and judged as a file would be, without what was remembered of others.
const PACKED_ONE_IN: usize = 256;

impl RecordJudge {
    /// Remembers nothing of other records yet.
    pub fn new(conf: &Conf) -> Self {
        let judge = Judge::new(Arc::clone(&conf.global_conf), conf.policy);
        Self { conf: conf.clone(), judge, judged: 0 }
    }

    /// The verdict on one record.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn judge(&mut self, record: &StoredRecord) -> Result<Verdict, String> {
        let container = record.container().map_err(|e| e.to_string())?;
        self.judged += 1;
        if self.judged % PACKED_ONE_IN == 1 {
            judge_bytes(container.to_bytes(record.summary.time).into(), &self.conf)?;
        }
        valid(self.judge.judge(&container))
    }

    /// As [`Self::judge`] for a record of a REST message that was reduced to header fields, which alone cannot verify:
    /// that `signer` has signed a message with a body of this digest is what it must prove. Gives the digest of the
    /// signed message without its body, as the signature's hash chain has it.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge_reduced(
        &mut self,
        record: &StoredRecord,
        signer: &ClientId,
        body: &Digest,
    ) -> Result<Digest, String> {
        let container = record.container().map_err(|e| e.to_string())?;
        let path = record.signature.hash_chain.as_ref();
        let path = path.and_then(|chain| ChainPath::read(chain, &PartName::Message.uri()));
        let Some(Leaf::Parts(signed)) = path.map(|path| path.leaf) else {
            return Err("its signature is not over a message and its body".to_owned());
        };
        let Some(message) = signed.first() else { return Err("its signature is over nothing".to_owned()) };
        let digests = [(PartName::Message, *message), (PartName::Attachment(1), *body)];
        let judged = self.judge.judge_digests(&container, signer, &digests);
        judged.map(|_| *message).map_err(|e| e.to_string())
    }
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
    valid(judge(&container, &conf.global_conf, &conf.policy))
}

fn valid(verdict: Verdict) -> Result<Verdict, String> {
    match &verdict.error {
        None => Ok(verdict),
        Some(error) => Err(error.to_string()),
    }
}
