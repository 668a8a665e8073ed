//! A lean HTTP/1.1 client: one request at a time on each connection, one write, few reads, no shared code with the
//! servers that it measures.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::message::Request;

const READ_BYTES: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Where to connect.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub address: std::net::SocketAddr,
    /// TLS with any certificate: it is the load that matters here.
    pub tls: Option<TlsConnector>,
}

/// A connection, plain or TLS.
pub struct Connection {
    stream: Stream,
    input: BytesMut,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A whole answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Name and value of each header field.
    headers: Vec<(Bytes, Bytes)>,
    /// Body.
    pub body: Bytes,
    /// The connection can serve another request.
    pub reusable: bool,
}

impl Answer {
    /// Value of a header field.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| &**value)
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When it fails.
    pub async fn open(target: &Target) -> io::Result<Self> {
        let tcp = TcpStream::connect(target.address).await?;
        tcp.set_nodelay(true)?;
        let stream = match &target.tls {
            None => Stream::Plain(tcp),
            Some(connector) => {
                let name = target.address.ip().into();
                Stream::Tls(Box::new(connector.connect(name, tcp).await?))
            }
        };
        Ok(Self { stream, input: BytesMut::with_capacity(READ_BYTES) })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails or the answer is no HTTP.
    pub async fn exchange(&mut self, request: Request) -> io::Result<Answer> {
        let Self { stream, input } = self;
        match stream {
            Stream::Plain(stream) => exchange(stream, input, request).await,
            Stream::Tls(stream) => exchange(stream, input, request).await,
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    request: Request,
) -> io::Result<Answer> {
    const GATHERED_MAX: usize = 64 * 1024;
    let mut head = request.head;
    // A server may answer early and stop reading: what it says counts then, not that it hung up.
    let sent = async {
        if request.body.len() <= GATHERED_MAX {
            head.extend_from_slice(&request.body);
            stream.write_all(&head).await?;
        } else {
            stream.write_all(&head).await?;
            stream.write_all(&request.body).await?;
        }
        stream.flush().await
    }
    .await;
    match read_answer(stream, input).await {
        Ok(answer) => Ok(Answer { reusable: answer.reusable && sent.is_ok() && input.is_empty(), ..answer }),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> io::Result<Answer> {
    loop {
        if let Some((mut answer, framing)) = parse_head(input)? {
            answer.body = match framing {
                Framing::Length(length) => {
                    input.reserve(length.saturating_sub(input.len()));
                    while input.len() < length {
                        fill(stream, input).await?;
                    }
                    input.split_to(length).freeze()
                }
                Framing::Chunked => chunked(stream, input).await?,
                Framing::UntilClose => {
                    while stream.read_buf(input).await? > 0 {}
                    input.split().freeze()
                }
            };
            return Ok(answer);
        }
        fill(stream, input).await?;
    }
}

fn parse_head(input: &mut BytesMut) -> io::Result<Option<(Answer, Framing)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(input).map_err(|e| bad(&e.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let version = response.version.unwrap_or(0);
    let start = input.as_ptr() as usize;
    let ranges: Vec<_> = response
        .headers
        .iter()
        .map(|header| {
            let (name, value) = (header.name.as_bytes(), header.value);
            let range = |part: &[u8]| {
                let from = part.as_ptr() as usize - start;
                from..from + part.len()
            };
            (range(name), range(value))
        })
        .collect();
    let head = input.split_to(length).freeze();
    let headers: Vec<(Bytes, Bytes)> =
        ranges.into_iter().map(|(name, value)| (head.slice(name), head.slice(value))).collect();
    let mut answer = Answer { status, headers, body: Bytes::new(), reusable: version == 1 };
    if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
        answer.reusable = false;
    }
    let framing = if answer.header("transfer-encoding").is_some() {
        Framing::Chunked
    } else if let Some(length) = answer.header("content-length") {
        let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
        Framing::Length(length.ok_or_else(|| bad("a length that is no number"))?)
    } else if status == 204 || status == 304 {
        Framing::Length(0)
    } else {
        answer.reusable = false;
        Framing::UntilClose
    };
    Ok(Some((answer, framing)))
}

async fn chunked<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let (start, size) = loop {
            match httparse::parse_chunk_size(input).map_err(|_| bad("a malformed chunk"))? {
                httparse::Status::Complete((start, size)) => break (start, size as usize),
                httparse::Status::Partial => fill(stream, input).await?,
            }
        };
        input.advance(start);
        while input.len() < size + 2 {
            fill(stream, input).await?;
        }
        body.extend_from_slice(&input.split_to(size));
        input.advance(2);
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut) -> io::Result<()> {
    input.reserve(READ_BYTES);
    match stream.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn bad(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// TLS that takes any certificate and resumes sessions.
///
/// # Errors
/// When there is no usable protocol version.
pub fn tls_connector() -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls_pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls_pki_types::CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(bytes: &[u8]) -> io::Result<Answer> {
        read_answer(&mut &*bytes, &mut BytesMut::new()).await
    }

    #[tokio::test]
    async fn reads_answers_with_a_length_with_chunks_and_until_the_end() {
        let plain = answer(b"HTTP/1.1 200 OK\r\nX-Road-Id: a\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
        assert_eq!((plain.status, &*plain.body, plain.reusable), (200, b"abc".as_slice(), true));
        assert_eq!(plain.header("x-road-id"), Some(b"a".as_slice()));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(&*answer(chunks).await.unwrap().body, b"abc");
        let closed = answer(b"HTTP/1.0 500 No\r\n\r\nabc").await.unwrap();
        assert_eq!((&*closed.body, closed.reusable), (b"abc".as_slice(), false));
    }

    #[tokio::test]
    async fn a_cut_answer_is_none() {
        assert!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").await.is_err());
        assert!(answer(b"HTTP/1.1 200").await.is_err());
    }
}
