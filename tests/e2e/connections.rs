//! Connection types of clients: plain HTTP, HTTPS, and HTTPS with a client certificate.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::sandbox::keys::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::captures::error_code;
use super::http::{self, Message};
use super::world::{Cases, World, on_each_runtime, rest_request};

/// What a client that does not care whom it talks to would use.
#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn https(address: SocketAddr, identity: Option<&Identity>, request: &[u8]) -> Message {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("TLS 1.2")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from(identity.certificate().der().to_vec());
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key().pkcs8_der().to_vec()));
            builder.with_client_auth_cert(vec![certificate], key).expect("a client identity")
        }
    };
    let name = ServerName::from(address.ip());
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let stream = TcpStream::connect(address).expect("the HTTPS port");
    http::exchange(&mut StreamOwned::new(connection, stream), request).expect("an answer")
}

fn declaration(connection: &str, certificate: Option<&Identity>) -> String {
    let pem = certificate.map(|identity| {
        let body = BASE64.encode(identity.certificate().der());
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let body = lines.join("\n");
        format!(
            "certificates = [\"\"\"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n\"\"\"]\n"
        )
    });
    format!(
        "[[client]]\nid = \"SANDBOX/GOV/100\"\n\n[[client]]\nid = \"SANDBOX/GOV/100/consumer\"\n\
         connection = \"{connection}\"\n{}",
        pem.unwrap_or_default()
    )
}

#[test]
fn clients_prove_themselves_as_their_connection_type_asks() {
    on_each_runtime(|runtime| {
        let world = World::start(runtime, |_| ());
        let plain = world.client_port();
        let secure = SocketAddr::from((plain.ip(), 8443));
        let pki = world.ecosystem.pki();
        let (known, foreign, own) =
            (&pki.servers[1].internal_tls, &pki.servers[1].signing, &pki.servers[0].internal_tls);
        let request = rest_request("GET", "random?size=1", "", b"");
        let soap = super::soap::call("getRandom");
        let refused = "server.clientproxy.ssl_authentication_failed";
        let mut cases = Cases::default();
        let http_answers = |code: &str| {
            assert_eq!(error_code(&http::send(plain, &request)), code, "REST");
            if !code.is_empty() {
                assert_eq!(error_code(&http::send(plain, &soap)), code, "SOAP");
            }
        };
        let https_answers = |identity: Option<&Identity>, code: &str| {
            let answer = https(secure, identity, &request);
            assert_eq!(error_code(&answer), code, "{}", answer.text());
        };
        let asic = |identity: Option<&Identity>| {
            let query =
                "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=100&subsystemCode=consumer&queryId=no";
            https(secure, identity, format!("GET /asic?{query} HTTP/1.1\r\nHost: ss\r\n\r\n").as_bytes())
                .status()
        };
        cases.case("NOSSL", || {
            http_answers("");
            https_answers(None, "");
            https_answers(Some(foreign), "");
        });
        cases.case("SSLNOAUTH", || {
            world.apply(0, &declaration("SSLNOAUTH", None));
            http_answers(refused);
            https_answers(None, "");
            https_answers(Some(foreign), "");
            assert_eq!(asic(None), 404);
        });
        cases.case("SSLAUTH without registered certificates", || {
            world.apply(0, &declaration("SSLAUTH", None));
            http_answers(refused);
            https_answers(None, refused);
            https_answers(Some(known), refused);
            https_answers(Some(own), "");
        });
        cases.case("SSLAUTH with a registered certificate", || {
            world.apply(0, &declaration("SSLAUTH", Some(known)));
            http_answers(refused);
            https_answers(None, refused);
            https_answers(Some(foreign), refused);
            https_answers(Some(known), "");
            https_answers(Some(own), "");
            assert_eq!((asic(None), asic(Some(foreign)), asic(Some(known))), (401, 401, 404));
        });
        cases.finish();
    });
}
