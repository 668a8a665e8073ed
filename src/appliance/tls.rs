//! TLS at each of the ports, and towards servers and services.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rustls::SupportedCipherSuite;

use crate::config::{Config, Tls};
use crate::control::SharedTrust;
use crate::crypto::Certificate;
use crate::exchange::Authentication;
use crate::trust::GlobalConf;
use crate::worker::tls::{IssuerHints, TlsVersions, cbc};
use crate::worker::{ClientAuth, IdentitySource, TlsClient, TlsServer};

/// Port 5500: peers must show a certificate that is registered in the global configuration; nothing more is judged
/// before the message (`transport.md` 3.1).
pub fn server_port(
    authentication: &Arc<ArcSwapOption<Authentication>>,
    trust: &SharedTrust,
    config: &Config,
) -> Arc<TlsServer> {
    let known = Arc::clone(trust);
    let accept = Arc::new(move |leaf: &[u8]| {
        let certificate = Certificate::from_der(leaf);
        certificate.is_ok_and(|leaf| known.load().global_conf.auth_cert_server(&leaf).is_some())
    });
    let hints = issuer_hints(trust);
    let server = TlsServer::new(identity(authentication), ClientAuth::Required { accept, hints });
    let (tls, multiplexing) = (&config.tls, multiplexing(config));
    let server = server.with_suites(versions(tls), extra_suites(tls));
    Arc::new(server.with_resumption(tls.resumption).with_multiplexing(multiplexing))
}

/// Port 8443: a client certificate is wanted and any is taken; what it is worth is judged with the message.
pub fn client_port(internal: &IdentitySource) -> Arc<TlsServer> {
    Arc::new(TlsServer::new(Arc::clone(internal), ClientAuth::Wanted))
}

/// Towards other servers, with the authentication certificate.
pub fn to_servers(authentication: &Arc<ArcSwapOption<Authentication>>, config: &Config) -> Arc<TlsClient> {
    let client = TlsClient::new(Some(identity(authentication)));
    let (tls, multiplexing) = (&config.tls, multiplexing(config));
    let client = client.with_suites(versions(tls), extra_suites(tls));
    Arc::new(client.with_resumption(tls.resumption).with_multiplexing(multiplexing))
}

// Where a connection is for one exchange only there is nothing to multiplex.
fn multiplexing(config: &Config) -> bool {
    config.tls.multiplexing && config.proxy.connection_reuse
}

// Official servers have nothing better by default (`transport.md` 3.1); information systems and services do.
fn extra_suites(config: &Tls) -> Vec<SupportedCipherSuite> {
    if config.cbc { cbc::suites() } else { Vec::new() }
}

fn versions(config: &Tls) -> TlsVersions {
    if config.modern { TlsVersions::Both } else { TlsVersions::AddedSuites }
}

/// Towards services, with the internal certificate.
pub fn to_services(internal: Option<&IdentitySource>) -> Arc<TlsClient> {
    Arc::new(TlsClient::new(internal.cloned()))
}

fn identity(authentication: &Arc<ArcSwapOption<Authentication>>) -> IdentitySource {
    let authentication = Arc::clone(authentication);
    Arc::new(move || authentication.load().as_ref().map(|own| Arc::clone(&own.identity)))
}

// Names of all certification authorities; the same list as long as the configuration is the same.
fn issuer_hints(trust: &SharedTrust) -> IssuerHints {
    type Known = (Arc<GlobalConf>, Arc<Vec<Bytes>>);
    let trust = Arc::clone(trust);
    let known: Mutex<Option<Known>> = Mutex::new(None);
    Arc::new(move || {
        let global_conf = Arc::clone(&trust.load().global_conf);
        let mut known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((conf, names)) = &*known
            && Arc::ptr_eq(conf, &global_conf)
        {
            return Arc::clone(names);
        }
        let names = global_conf.ca_certificates().iter();
        let names = names.map(|ca| Bytes::copy_from_slice(ca.subject().der())).collect::<Vec<_>>();
        let names = match &*known {
            Some((_, before)) if **before == names => Arc::clone(before),
            _ => Arc::new(names),
        };
        *known = Some((global_conf, Arc::clone(&names)));
        names
    })
}
