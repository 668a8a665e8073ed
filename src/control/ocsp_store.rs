//! OCSP answers on disk: `<SHA-1 of the certificate, lower-case hexadecimal>.ocsp`, as official signers keep them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::crypto::{Certificate, to_hex};
use crate::trust::OcspResponse;

/// The folder of stored answers.
#[derive(Debug, Clone)]
pub struct OcspStore {
    dir: PathBuf,
}

impl OcspStore {
    /// For a folder, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The stored answer about a certificate. One that cannot be read counts as absent.
    pub fn read(&self, certificate: &Certificate) -> Option<OcspResponse> {
        OcspResponse::from_der(&fs::read(self.file(certificate)).ok()?).ok()
    }

    /// Stores an answer in the place of an older one.
    pub fn write(&self, certificate: &Certificate, response: &OcspResponse) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        super::globalconf_store::replace(&self.file(certificate), response.der())
    }

    /// Forgets an answer.
    pub fn remove(&self, certificate: &Certificate) {
        // Left behind, it is refused when it is read: it has expired.
        let _ = fs::remove_file(self.file(certificate));
    }

    fn file(&self, certificate: &Certificate) -> PathBuf {
        self.dir.join(format!("{}.ocsp", to_hex(certificate.sha1())))
    }
}
