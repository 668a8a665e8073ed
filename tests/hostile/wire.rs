//! Raw connections: bytes are sent exactly as given, answers read to their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hermod::sandbox::keys::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// No answer takes longer, or the test fails.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How the sender ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Waits for the answer.
    Wait,
    /// Half-closes: close_notify under TLS, then FIN.
    Close,
    /// FIN without close_notify.
    Fin,
}

/// What came back, as bytes; empty when the connection was refused or cut without a word.
#[derive(Debug, Clone)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// `fault CODE`, `status N` without a fault, or `nothing`.
    pub fn verdict(&self) -> String {
        let text = self.text();
        if let Some((_, rest)) = text.split_once("<faultcode>") {
            return format!("fault {}", rest.split('<').next().unwrap_or_default());
        }
        if let Some(code) = header(&text, "x-road-error") {
            return format!("error {code}");
        }
        match text.split(' ').nth(1) {
            Some(status) => format!("status {status}"),
            None => "nothing".to_owned(),
        }
    }
}

/// The value of a header field in the head of an answer.
pub fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Sends bytes in plain TCP.
pub async fn plain(address: SocketAddr, bytes: &[u8], end: End) -> Answer {
    match TcpStream::connect(address).await {
        Ok(stream) => converse(stream, bytes, end).await,
        Err(_) => Answer(Vec::new()),
    }
}

/// Sends bytes in TLS; a refused handshake is an empty answer.
pub async fn tls(address: SocketAddr, config: &Arc<ClientConfig>, bytes: &[u8], end: End) -> Answer {
    let exchange = async {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let name = ServerName::IpAddress(address.ip().into());
        match TlsConnector::from(Arc::clone(config)).connect(name, stream).await {
            Ok(stream) if end == End::Fin => {
                // The bytes go out in TLS, the end comes from under it.
                let mut stream = stream;
                let _ = stream.write_all(bytes).await;
                let _ = stream.flush().await;
                let _ = stream.get_mut().0.shutdown().await;
                read(stream).await
            }
            Ok(stream) => converse(stream, bytes, end).await,
            Err(_) => Answer(Vec::new()),
        }
    };
    tokio::time::timeout(ANSWER_MAX, exchange).await.expect("an answer or an end in time")
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8], end: End) -> Answer {
    let (reader, mut writer) = tokio::io::split(stream);
    let send = async {
        // A server that has refused reads no more.
        let _ = writer.write_all(bytes).await;
        let _ = writer.flush().await;
        if end != End::Wait {
            let _ = writer.shutdown().await;
        }
    };
    let both = async { tokio::join!(send, read(reader)).1 };
    tokio::time::timeout(ANSWER_MAX, both).await.expect("an answer or an end in time")
}

async fn read(mut reader: impl AsyncRead + Unpin) -> Answer {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    // A reset is an end as well.
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..length]);
    }
    Answer(answer)
}

/// TLS that presents `identity` and accepts every server.
pub fn client_config(identity: Option<&Identity>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAll));
    let mut config = match identity {
        Some(identity) => builder.with_client_auth_cert(chain(identity), key(identity)).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

pub fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(identity.certificate().der().to_vec())]
}

pub fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key().pkcs8_der().to_vec()).into()
}

#[derive(Debug)]
struct AcceptAll;

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
