//! Keeps the identity that is shown to other servers up to date.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::exchange::Authentication;
use crate::message::SecurityServerId;
use crate::signer::SignerHandle;
use crate::worker::TlsIdentity;

/// How often the tokens, the global configuration and OCSP answers are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes the authentication certificate that may be used now, until the future is dropped.
pub async fn keep(
    signer: SignerHandle,
    server: SecurityServerId,
    published: Arc<ArcSwapOption<Authentication>>,
) {
    let mut complaint = None;
    loop {
        let error = refresh(&signer, &server, &published).err();
        if error.is_some() && error != complaint {
            tracing::warn!("{}", error.as_deref().unwrap_or_default());
        }
        complaint = error;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Looks once. An identity that is the same stays the same value, so that TLS sessions go on. The error is a line of
/// text; then nothing is published.
pub fn refresh(
    signer: &SignerHandle,
    server: &SecurityServerId,
    published: &ArcSwapOption<Authentication>,
) -> Result<(), String> {
    let found = match signer.auth_identity(server) {
        Ok(found) => found,
        Err(error) => {
            published.store(None);
            return Err(error.text().to_string());
        }
    };
    if published.load().as_ref().is_some_and(|before| before.chain == found.chain) {
        return Ok(());
    }
    let chain: Vec<Bytes> =
        found.chain.iter().map(|certificate| Bytes::copy_from_slice(certificate.der())).collect();
    let identity = TlsIdentity::from_der(&chain, &found.pkcs8).map_err(|error| error.to_string())?;
    if let Some(leaf) = found.chain.first() {
        tracing::info!(subject = %leaf.subject(), until = %leaf.not_after(), "authentication certificate in use");
    }
    published.store(Some(Arc::new(Authentication { chain: found.chain, identity: Arc::new(identity) })));
    Ok(())
}
