//! Who signs a management request, and with what.

use bytes::Bytes;

use super::parts::{BinaryPart, Parts};
use super::request::{Form, ManagementRequest};
use crate::control::OcspStore;
use crate::crypto::{Certificate, SigningKey, ecdsa};
use crate::message::MemberId;
use crate::signer::{KeyPurpose, TokenKey};
use crate::time::UnixTime;

/// The keys of the server and the stored OCSP responses about their certificates.
pub struct Credentials<'k> {
    /// All keys of the token.
    pub keys: &'k [TokenKey],
    /// Where the running server keeps OCSP responses.
    pub ocsp: &'k OcspStore,
    /// The present time.
    pub now: UnixTime,
}

/// A signature over `message` as management requests carry it: ECDSA in ASN.1, the algorithm by its JCA name. Error: a
/// line of text.
pub fn detached_signature(key: &dyn SigningKey, message: &[u8]) -> Result<BinaryPart, String> {
    let algorithm = key.algorithm();
    let mut signature = key.sign(message).map_err(|error| error.to_string())?;
    if algorithm.is_ecdsa() {
        signature = ecdsa::raw_to_der(&signature).ok_or("the key gave no signature")?;
    }
    Ok(BinaryPart { algorithm: Some(algorithm.name().to_owned()), bytes: Bytes::from(signature) })
}

impl Credentials<'_> {
    /// The request with what proves it. Error: a line of text that names what is missing.
    pub fn prove(&self, request: &ManagementRequest, owner: &MemberId, soap: Bytes) -> Result<Parts, String> {
        let proofs = match request.form() {
            Form::Plain => Vec::new(),
            Form::Signed(client) => {
                let member = client.map_or_else(|| owner.clone(), |client| client.member());
                let (key, certificate, ocsp) = self.sign_key(&member)?;
                vec![
                    detached_signature(&*key.key, &soap)?,
                    BinaryPart::of(certificate.der().to_vec()),
                    BinaryPart::of(ocsp),
                ]
            }
            Form::Registration => {
                let ManagementRequest::AuthCertReg { certificate, .. } = request else {
                    return Err("only authentication certificates are registered so".into());
                };
                let holds = |key: &&TokenKey| {
                    key.certificates.iter().any(|found| found.certificate.der() == certificate.as_slice())
                };
                let authentication = self.keys.iter().find(holds);
                let authentication = authentication.ok_or("the token has no key for this certificate")?;
                let (key, sign_certificate, ocsp) = self.sign_key(owner)?;
                vec![
                    detached_signature(&*authentication.key, &soap)?,
                    detached_signature(&*key.key, &soap)?,
                    BinaryPart::of(certificate.clone()),
                    BinaryPart::of(sign_certificate.der().to_vec()),
                    BinaryPart::of(ocsp),
                ]
            }
        };
        Ok(Parts { soap, proofs })
    }

    /// The certificates of the authentication keys.
    pub fn authentication_certificates(&self) -> impl Iterator<Item = &Certificate> {
        let keys = self.keys.iter().filter(|key| key.purpose == Some(KeyPurpose::Authentication));
        keys.flat_map(|key| &key.certificates).map(|found| &found.certificate)
    }

    fn sign_key(&self, member: &MemberId) -> Result<(&TokenKey, &Certificate, Bytes), String> {
        let mut without_ocsp = false;
        for key in self.keys.iter().filter(|key| key.purpose == Some(KeyPurpose::Signing)) {
            for found in &key.certificates {
                let certificate = &found.certificate;
                let usable = found.active && certificate.is_valid_at(self.now);
                if !usable || found.member.as_ref() != Some(member) {
                    continue;
                }
                match self.ocsp.read(certificate) {
                    Some(response) => return Ok((key, certificate, response.der_bytes())),
                    None => without_ocsp = true,
                }
            }
        }
        Err(match without_ocsp {
            true => format!(
                "no OCSP response for the signing certificate of {member} is stored: is the server running?"
            ),
            false => format!("the token has no usable signing certificate of {member}"),
        })
    }
}
