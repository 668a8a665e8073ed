//! Issued certificates: each goes to the key that it is for.

use std::path::{Path, PathBuf};

use super::{Done, Failure, Setup, keys};
use crate::crypto::Certificate;
use crate::message::MemberId;
use crate::signer::{CertificateStatus, KeyPurpose, SoftwareToken, Token as _};
use crate::trust::{is_auth_certificate, is_sign_certificate, subject_client_id};

/// Takes in the certificates that were named, and those that lie beside the requests.
pub fn take(setup: &Setup<'_>) -> Done {
    let Some(token) = keys::own_token(&setup.config)? else { return Ok(()) };
    for file in &setup.args.certificate {
        take_one(setup, &token, file)?;
    }
    for file in lying_in(&setup.requests()) {
        take_one(setup, &token, &file)?;
    }
    Ok(())
}

fn lying_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_certificate = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        ["pem", "crt", "cer", "der"].contains(&ending)
    };
    let mut files: Vec<PathBuf> = entries.filter(is_certificate).collect();
    files.sort();
    files
}

fn take_one(setup: &Setup<'_>, token: &SoftwareToken, file: &Path) -> Done {
    let failed = |error: &dyn std::fmt::Display| format!("certificate {}: {error}", file.display());
    let bytes = std::fs::read(file).map_err(|error| failed(&error))?;
    let certificate = Certificate::from_der_or_pem(&bytes).map_err(|error| failed(&error))?;
    let keys = token.keys()?;
    let spki = certificate.public_key().spki();
    let Some(key) = keys.iter().find(|key| key.key.public_key_spki() == spki) else {
        return Err(failed(&"it is for none of this token's keys").into());
    };
    if key.certificates.iter().any(|known| known.certificate.der() == certificate.der()) {
        say!("certificate: {} is there", certificate.subject().for_people());
        return Ok(());
    }
    let (signs, authenticates) = (is_sign_certificate(&certificate), is_auth_certificate(&certificate));
    let member = match (key.purpose, signs, authenticates) {
        (Some(KeyPurpose::Signing), true, false) => Some(owner(setup, &certificate).map_err(|e| failed(&e))?),
        (Some(KeyPurpose::Authentication), false, true) => None,
        (Some(KeyPurpose::Signing), ..) => {
            return Err(failed(&"its key usage is not that of a signing certificate").into());
        }
        _ => return Err(failed(&"its key usage is not that of an authentication certificate").into()),
    };
    token.put_certificate(&key.id, &certificate, member.as_ref(), CertificateStatus::Registered, true)?;
    say!("certificate: {} taken in for key {}", certificate.subject().for_people(), key.id);
    Ok(())
}

/// The owner, if the certificate is his by the profile of who issued it; without a global configuration it is believed.
fn owner(setup: &Setup<'_>, certificate: &Certificate) -> Result<MemberId, Failure> {
    let owner = setup.config.server_id.owner();
    if setup.global_conf.shared_params(owner.instance()).is_none() {
        return Ok(owner);
    }
    let member = subject_client_id(&setup.global_conf, certificate, owner.instance())
        .map_err(|error| error.text().to_owned())?;
    if member == owner {
        Ok(owner)
    } else {
        Err(format!("it is one of {member}, and this server's owner is {owner}").into())
    }
}
