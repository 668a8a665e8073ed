//! Evidence of a message that is not in its container: somebody else knows digests of what was signed.

use super::memory::Judge;
use super::{signature_data, timestamp};
use crate::crypto::Digest;
use crate::evidence::asic::Container;
use crate::evidence::{PartName, SignedPart, VerifyMode, VerifyRequest};
use crate::message::{ClientId, XRoadError};
use crate::time::UnixTime;

impl Judge {
    /// Whether the signature of `container` is `signer`'s, good at the time of its time-stamp, and over parts with these
    /// digests, the message's among them. What the container itself has for message and attachments is not looked at: a
    /// record that was reduced to header fields no longer has what was signed. Gives the time.
    ///
    /// # Errors
    /// As for a container that is not valid; `invalid_signature_value` or `hashchain_…` when a digest is another.
    pub fn judge_digests(
        &mut self,
        container: &Container,
        signer: &ClientId,
        digests: &[(PartName, Digest)],
    ) -> Result<UnixTime, XRoadError> {
        let facts = self.memory.facts(&container.signature)?;
        let (global_conf, policy) = (&self.global_conf, &self.policy);
        let stamp = timestamp::verify(container, &facts, global_conf, policy, &mut self.memory)?;
        let data = signature_data(container);
        let parts: Vec<SignedPart<'_>> = digests
            .iter()
            .map(|(name, digest)| SignedPart { name: *name, digest: *digest, bytes: None })
            .collect();
        self.memory.signature(&VerifyRequest {
            data: &data,
            parts: &parts,
            signer,
            at: stamp.time,
            global_conf,
            policy,
            mode: VerifyMode::Container,
        })?;
        Ok(stamp.time)
    }
}
