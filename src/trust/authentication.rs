//! The other security server of a connection: its authentication certificate, chain, status, registration.

use super::chain::{ChainContext, verify_chain, verify_chain_to};
use super::{GlobalConf, OcspResponse, Policy};
use crate::crypto::{Certificate, oid};
use crate::message::{ClientId, ErrorCode, XRoadError};
use crate::time::UnixTime;

fn failed(text: impl Into<String>) -> XRoadError {
    XRoadError::new(ErrorCode::SslAuthenticationFailed, text.into())
}

/// Whether a certificate is one for authentication: extendedKeyUsage names clientAuth, or keyUsage has
/// digitalSignature, keyEncipherment or dataEncipherment.
pub fn is_auth_certificate(certificate: &Certificate) -> bool {
    certificate.has_purpose(oid::CLIENT_AUTH)
        || certificate.key_usage().is_some_and(|usage| {
            usage.digital_signature() || usage.key_encipherment() || usage.data_encipherment()
        })
}

/// Whether a certificate is one for signing: keyUsage has nonRepudiation. One that is for authentication too
/// cannot be imported into a signer (X-Road 7.8 behaviour), but its signatures count.
pub fn is_sign_certificate(certificate: &Certificate) -> bool {
    certificate.key_usage().is_some_and(|usage| usage.non_repudiation())
}

/// An authentication chain that was found good. Whether it is registered for a client is asked for each message.
#[derive(Debug, Clone)]
pub struct AuthenticatedChain {
    end_entity: Certificate,
    valid_until: UnixTime,
}

impl AuthenticatedChain {
    /// The end entity's certificate.
    pub fn end_entity(&self) -> &Certificate {
        &self.end_entity
    }

    /// Until when the certificates of the path and the OCSP answers hold.
    pub fn valid_until(&self) -> UnixTime {
        self.valid_until
    }

    /// Whether `client` is registered at the server of this certificate, else `ssl_authentication_failed`.
    pub fn check_registration(&self, global_conf: &GlobalConf, client: &ClientId) -> Result<(), XRoadError> {
        check_registration(global_conf, client, &self.end_entity)
    }
}

/// Provider side: whether the server that presented `presented` (end entity first) may send for `client`.
/// `ocsp` are the answers that the message carried. The anchor is the CA of the client's instance that issued
/// the last certificate presented. All errors are `ssl_authentication_failed`.
pub fn verify_client_authentication(
    global_conf: &GlobalConf,
    client: &ClientId,
    presented: &[Certificate],
    ocsp: &[OcspResponse],
    at: UnixTime,
    policy: &Policy,
) -> Result<(), XRoadError> {
    let context = ChainContext { global_conf, instance: client.instance(), ocsp, at, policy };
    verify_client_chain(context, presented)?.check_registration(global_conf, client)
}

/// [`verify_client_authentication`] but for the registration.
pub fn verify_client_chain(
    context: ChainContext<'_>,
    presented: &[Certificate],
) -> Result<AuthenticatedChain, XRoadError> {
    let Some((end_entity, additional)) = presented.split_first() else {
        return Err(failed("the peer presented no TLS certificate"));
    };
    if context.ocsp.is_empty() {
        return Err(failed("cannot verify TLS certificate, corresponding OCSP response is missing"));
    }
    let keep_text = |error: XRoadError| failed(error.text().to_owned());
    context.global_conf.check_instance(context.instance, context.at).map_err(keep_text)?;
    let last = additional.last().unwrap_or(end_entity);
    let anchor = context.global_conf.ca_by_subject(context.instance, last.issuer());
    let anchor = anchor.ok_or_else(|| failed(format!("issuer \"{}\" is not approved", last.issuer())))?;
    check_usage(end_entity)?;
    let path = verify_chain_to(context, anchor, end_entity, additional).map_err(keep_text)?;
    Ok(authenticated(context, end_entity, &path))
}

/// Consumer side: whether the server that presented `presented` may answer for `provider`. `ocsp` are answers
/// at hand or from the peer's port 5577. The anchor is the CA of the provider's instance that issued the end
/// entity's certificate. Errors: `ssl_authentication_failed`, followed by `cannot_create_cert_path` or
/// `invalid_cert_path.…` where the chain is at fault.
pub fn verify_server_authentication(
    global_conf: &GlobalConf,
    provider: &ClientId,
    presented: &[Certificate],
    ocsp: &[OcspResponse],
    at: UnixTime,
    policy: &Policy,
) -> Result<(), XRoadError> {
    let context = ChainContext { global_conf, instance: provider.instance(), ocsp, at, policy };
    verify_server_chain(context, presented)?.check_registration(global_conf, provider)
}

/// [`verify_server_authentication`] but for the registration.
pub fn verify_server_chain(
    context: ChainContext<'_>,
    presented: &[Certificate],
) -> Result<AuthenticatedChain, XRoadError> {
    let within = |error: XRoadError| error.within(ErrorCode::SslAuthenticationFailed);
    let Some((end_entity, additional)) = presented.split_first() else {
        return Err(failed("the peer presented no TLS certificate"));
    };
    context.global_conf.check_instance(context.instance, context.at).map_err(within)?;
    check_usage(end_entity)?;
    let path = verify_chain(context, end_entity, additional).map_err(within)?;
    Ok(authenticated(context, end_entity, &path))
}

// Every answer counts, also one that is not about the path: too early an end is only a check more.
fn authenticated(
    context: ChainContext<'_>,
    end_entity: &Certificate,
    path: &[Certificate],
) -> AuthenticatedChain {
    let certificates = path.iter().map(Certificate::not_after);
    let answers = context.ocsp.iter().map(|answer| answer.usable_until(context.global_conf));
    let valid_until = certificates.chain(answers).min().unwrap_or(context.at);
    AuthenticatedChain { end_entity: end_entity.clone(), valid_until }
}

fn check_usage(certificate: &Certificate) -> Result<(), XRoadError> {
    if is_auth_certificate(certificate) {
        Ok(())
    } else {
        Err(failed("the peer's certificate is not an authentication certificate"))
    }
}

fn check_registration(
    global_conf: &GlobalConf,
    client: &ClientId,
    certificate: &Certificate,
) -> Result<(), XRoadError> {
    if global_conf.is_client_of_auth_cert(client, certificate) {
        return Ok(());
    }
    Err(failed(match global_conf.auth_cert_server(certificate) {
        Some(server) => format!("client \"{client}\" is not registered at security server \"{server}\""),
        None => "the authentication certificate is not associated with any security server".to_owned(),
    }))
}
