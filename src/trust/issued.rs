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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::pki_for_tests::{Template, issue};

    #[test]
    fn only_the_pair_that_was_found_good_is_remembered() {
        let (ca, other) = (issue(&Template::ca("CA"), None), issue(&Template::ca("CA"), None));
        let subject = issue(&Template::default(), Some(&ca));
        let issued = IssuedCertificates::default();
        for _ in 0..2 {
            issued.verify(&subject.certificate, &ca.certificate).unwrap();
            assert!(
                issued.verify(&subject.certificate, &other.certificate).is_err(),
                "the same name, another key"
            );
            assert!(issued.verify(&ca.certificate, &subject.certificate).is_err(), "the other way round");
        }
        assert_eq!(issued.0.lock().unwrap().len(), 1, "refusals are not remembered");
    }
}
