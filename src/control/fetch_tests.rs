use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fetch::{Fetch, FetchError, HttpFetcher, Request, Timeouts, TlsChecks};
use super::test_server::TestServer;

fn fetcher() -> HttpFetcher {
    HttpFetcher::new(Timeouts::from_millis(5_000, 5_000))
}

#[tokio::test]
async fn posts_and_returns_the_whole_answer_of_an_accepted_status() {
    let server = TestServer::start(|seen| (200, "a/b", [b"got ", seen.body.as_ref()].concat())).await;
    let request = Request::post(&server.url, "application/x", b"ping".to_vec(), 100);
    let answer = fetcher().fetch(request).await.unwrap();
    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("a/b")));
    assert_eq!(answer.body.as_ref(), b"got ping");
    assert_eq!(server.seen.lock().unwrap()[0].content_type, "application/x");
}

#[tokio::test]
async fn refuses_other_statuses_larger_answers_and_what_is_no_url() {
    let server =
        TestServer::start(|seen| (if seen.target == "/500" { 500 } else { 200 }, "", vec![0; 101])).await;
    let get = |path: &str| Request::get(format!("{}{path}", server.url), 100);
    assert_eq!(
        fetcher().fetch(get("/500")).await,
        Err(FetchError::Status(format!("{}/500", server.url), 500))
    );
    assert!(matches!(fetcher().fetch(get("/")).await, Err(FetchError::Body(_, 100, _))));
    assert!(matches!(fetcher().fetch(Request::get("not a url", 1)).await, Err(FetchError::Url(_))));
}

#[tokio::test]
async fn names_the_place_that_cannot_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let error = fetcher().fetch(Request::get(&url, 1)).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Connection(at, cause) if *at == url && cause.contains("refused")),
        "{error}"
    );
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let fetcher = HttpFetcher::new(Timeouts::from_millis(20, 30));
    assert_eq!(fetcher.fetch(Request::get(&url, 1)).await, Err(FetchError::Timeout(url)));
}

/// An https server with a certificate that no trust store leads to, for `name`; answers every request with `ok`.
async fn https_server(name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}/")
}

#[tokio::test]
async fn the_certificate_of_an_https_source_is_checked_as_far_as_configured() {
    for (name, chain, host_name, accepted) in [
        ("localhost", true, true, false),
        ("localhost", true, false, false),
        ("localhost", false, true, true),
        ("other.test", false, true, false),
        ("other.test", false, false, true),
    ] {
        let url = https_server(name).await;
        let checks = TlsChecks { chain, host_name };
        let fetcher = HttpFetcher::with_checks(Timeouts::from_millis(5_000, 5_000), checks);
        let answer = fetcher.fetch(Request::get(&url, 10)).await;
        assert_eq!(answer.is_ok(), accepted, "{name} {checks:?}: {answer:?}");
        if let Err(error) = answer {
            assert!(
                matches!(&error, FetchError::Connection(_, cause) if cause.contains("certificate")),
                "{error}"
            );
        }
    }
}
