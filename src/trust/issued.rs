//! Remembered checks of the signatures of certificates.

use std::fmt;
use std::sync::Mutex;

use foldhash::HashSet;

use crate::crypto::{Certificate, VerifyError};
use crate::limits;

/// Certificates whose signature was found to be made with the key of an issuer: SHA-256 of the one and of the other. That
/// is all they stand for: validity, purpose, status and policy are checked every time. Refusals are not remembered.
#[derive(Default)]
pub(super) struct IssuedCertificates(Mutex<HashSet<([u8; 32], [u8; 32])>>);

impl IssuedCertificates {
    /// Verifies the signature of `certificate` with the key of `issuer`, once for these two.
    pub(super) fn verify(&self, certificate: &Certificate, issuer: &Certificate) -> Result<(), VerifyError> {
        let pair = (*certificate.sha256(), *issuer.sha256());
        if self.0.lock().is_ok_and(|known| known.contains(&pair)) {
            return Ok(());
        }
        certificate.verify_signature(issuer.public_key())?;
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= limits::CERTIFICATE_CHECKS_MAX {
                known.clear();
            }
            known.insert(pair);
        }
        Ok(())
    }
}

impl fmt::Debug for IssuedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedCertificates")
    }
}
