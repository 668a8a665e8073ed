//! The room from inside: records made by hand, and pairs of sessions in memory. Interoperation with other
//! implementations is in `tests/peers`.

mod pairs;
mod records;
mod tampering;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::server::UnbufferedServerConnection;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite};

use super::suites;
use crate::worker::tls::verify::CallbackVerifier;
use crate::worker::tls::{
    ClientAuth, IdentitySource, RustlsSession, TlsClient, TlsError, TlsIdentity, TlsServer, TlsSession,
    TlsVersions, fixed_identity,
};

const KINDS: [(&SignatureAlgorithm, &str); 2] = [
    (&rcgen::PKCS_RSA_SHA256, "TLSv1_2 TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (&rcgen::PKCS_ECDSA_P256_SHA256, "TLSv1_2 TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
];

fn identity(kind: &'static SignatureAlgorithm) -> IdentitySource {
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = CertificateParams::new(vec!["peer".into()]).unwrap().self_signed(&key).unwrap();
    let chain = [Bytes::copy_from_slice(certificate.der())];
    fixed_identity(TlsIdentity::from_der(&chain, &key.serialize_der()).unwrap())
}

fn required() -> ClientAuth {
    let hints = Arc::new(Vec::new());
    ClientAuth::Required { accept: Arc::new(|_| true), hints: Arc::new(move || Arc::clone(&hints)) }
}

fn provider(suites: Vec<SupportedCipherSuite>) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: suites, ..rustls::crypto::aws_lc_rs::default_provider() })
}

fn verifier(provider: &CryptoProvider) -> Arc<CallbackVerifier> {
    let algorithms = provider.signature_verification_algorithms;
    Arc::new(CallbackVerifier { accept: None, mandatory: true, hints: Vec::new(), algorithms })
}

/// The other end, rustls's own configuration: a client with these suites alone, in this order.
fn client_config(suites: Vec<SupportedCipherSuite>, identity: &IdentitySource) -> ClientConfig {
    let provider = provider(suites);
    let verifier = verifier(&provider);
    let chosen = identity().unwrap().certified_key();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(chosen)));
    config.enable_secret_extraction = true;
    config
}

/// And a server, as official ones are by default: TLS 1.2, the two suites, mutual authentication.
fn server_config(identity: &IdentitySource) -> ServerConfig {
    let provider = provider(suites());
    let verifier = verifier(&provider);
    let chosen = identity().unwrap().certified_key();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(chosen)));
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    config
}

fn session(config: &Arc<ClientConfig>) -> RustlsSession {
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    RustlsSession::client(UnbufferedClientConnection::new(Arc::clone(config), name).unwrap())
}

/// Moves everything that waits from one to the other; what came out.
fn pass(from: &mut RustlsSession, to: &mut RustlsSession) -> Result<BytesMut, TlsError> {
    let (mut wire, mut plaintext) = (Vec::new(), BytesMut::new());
    from.ciphertext(&mut wire);
    to.feed(BytesMut::from(&wire[..]), &mut plaintext)?;
    Ok(plaintext)
}

fn shake_hands(client: &mut RustlsSession, server: &mut RustlsSession) -> Result<(), TlsError> {
    for _ in 0..8 {
        pass(client, server)?;
        pass(server, client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

fn connected(kind: &'static SignatureAlgorithm) -> (RustlsSession, RustlsSession) {
    let server = TlsServer::new(identity(kind), required()).with_suites(TlsVersions::Both, suites());
    let config = Arc::new(client_config(suites(), &identity(kind)));
    let (mut client, mut server) = (session(&config), server.session().unwrap());
    shake_hands(&mut client, &mut server).unwrap();
    (client, server)
}
