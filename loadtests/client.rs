//! A lean HTTP/1.1 client: one request at a time on each connection, one write, few reads, no shared code with the
//! servers that it measures.

mod large;

use std::borrow::Cow;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use self::large::Passed;
use crate::message::{GATHERED_MAX, LargeBody, Request};

const READ_BYTES: usize = 8 * 1024;
const READ_BYTES_MIN: usize = 2 * 1024;
/// A buffer that grew beyond this for a large answer is given back.
const KEPT_BYTES: usize = 1024 * 1024;
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
    // Used again for every answer: fresh memory costs more than all that is done with it.
    input: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A whole answer, in the buffer of its connection.
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Status line and header fields.
    head: &'a [u8],
    /// Body; empty where it was compared as it passed.
    pub body: Cow<'a, [u8]>,
    /// What came of that.
    pub passed: Option<Passed>,
    /// The connection can serve another request.
    pub reusable: bool,
}

impl Answer<'_> {
    /// Value of a header field.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header(self.head, name)
    }
}

// Looked for in place: two or three of them are wanted.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    memchr::memchr_iter(b'\n', head).find_map(|end| {
        let (own, value) = head[end + 1..].split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| own.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value[..memchr::memchr(b'\n', value).unwrap_or(value.len())].trim_ascii())
    })
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
        Ok(Self { stream, input: Vec::new() })
    }

    /// The server has ended it, or sent what nobody asked for.
    pub fn is_closed(&self) -> bool {
        let (tcp, plain) = match &self.stream {
            Stream::Plain(tcp) => (tcp, true),
            Stream::Tls(tls) => (tls.get_ref().0, false),
        };
        // The kernel is asked: what the runtime knows is older.
        match socket2::SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => true,
            // Nobody has asked for it; under TLS a ticket may wait there.
            Ok(_) => plain,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails or the answer is no HTTP.
    pub async fn exchange(&mut self, request: Request) -> io::Result<Answer<'_>> {
        let Self { stream, input } = self;
        input.clear();
        if input.capacity() > KEPT_BYTES {
            *input = Vec::new();
        }
        match stream {
            Stream::Plain(stream) => exchange(stream, input, request).await,
            Stream::Tls(stream) => exchange(stream, input, request).await,
        }
    }

    /// Sends a request whose body is made as it is sent, and compares the body of the answer with it as it comes.
    ///
    /// # Errors
    /// When the connection fails or the answer is no HTTP.
    pub async fn exchange_large(&mut self, head: &[u8], body: LargeBody<'_>) -> io::Result<Answer<'_>> {
        let Self { stream, input } = self;
        input.clear();
        match stream {
            Stream::Plain(stream) => large::exchange(stream, input, head, body).await,
            Stream::Tls(stream) => large::exchange(stream, input, head, body).await,
        }
    }
}

async fn exchange<'a, S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    input: &'a mut Vec<u8>,
    request: Request,
) -> io::Result<Answer<'a>> {
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
        Ok(answer) => Ok(Answer { reusable: answer.reusable && sent.is_ok(), ..answer }),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

struct Head {
    status: u16,
    length: usize,
    framing: Framing,
    reusable: bool,
}

async fn read_answer<'a, S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &'a mut Vec<u8>,
) -> io::Result<Answer<'a>> {
    let head = read_head(stream, input).await?;
    let mut end = head.length;
    let mut unframed = None;
    match head.framing {
        Framing::Length(length) => {
            end += length;
            input.reserve(end.saturating_sub(input.len()));
            while input.len() < end {
                fill(stream, input).await?;
            }
        }
        Framing::Chunked => {
            let body;
            (body, end) = chunked(stream, input, head.length).await?;
            unframed = Some(body);
        }
        Framing::UntilClose => {
            while stream.read_buf(input).await? > 0 {}
            end = input.len();
        }
    }
    let input: &'a [u8] = input;
    Ok(Answer {
        status: head.status,
        head: &input[..head.length],
        body: unframed.map_or(Cow::Borrowed(&input[head.length..end]), Cow::Owned),
        passed: None,
        // Nobody asked for what comes behind it.
        reusable: head.reusable && input.len() == end,
    })
}

async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<Head> {
    loop {
        if let Some(head) = parse_head(input)? {
            return Ok(head);
        }
        fill(stream, input).await?;
    }
}

fn parse_head(input: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        input,
        &mut headers,
    );
    let length = match parsed.map_err(|e| bad(&e.to_string()))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or(0);
    let (mut closes, mut chunked, mut body) = (false, false, None);
    for header in response.headers.iter() {
        // The lengths of three names tell what is worth a look.
        match header.name.len() {
            10 if header.name.eq_ignore_ascii_case("connection") => {
                closes |= header.value.trim_ascii().eq_ignore_ascii_case(b"close");
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                body = body.or(Some(header.value.trim_ascii()));
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => chunked = true,
            _ => {}
        }
    }
    let framing = match body {
        _ if chunked => Framing::Chunked,
        Some(length) => {
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            Framing::Length(length.ok_or_else(|| bad("a length that is no number"))?)
        }
        None if status == 204 || status == 304 => Framing::Length(0),
        None => Framing::UntilClose,
    };
    let open = !matches!(framing, Framing::UntilClose);
    Ok(Some(Head { status, length, framing, reusable: open && !closes && response.version == Some(1) }))
}

/// The body of the chunks from `at` on, and where they end.
async fn chunked<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut Vec<u8>,
    mut at: usize,
) -> io::Result<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    loop {
        let (start, size) = loop {
            match httparse::parse_chunk_size(&input[at..]).map_err(|_| bad("a malformed chunk"))? {
                httparse::Status::Complete((start, size)) => break (start, size as usize),
                httparse::Status::Partial => fill(stream, input).await?,
            }
        };
        at += start;
        while input.len() < at.saturating_add(size).saturating_add(2) {
            fill(stream, input).await?;
        }
        body.extend_from_slice(&input[at..at + size]);
        at += size + 2;
        if size == 0 {
            return Ok((body, at));
        }
    }
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<()> {
    if input.capacity() - input.len() < READ_BYTES_MIN {
        input.reserve(READ_BYTES);
    }
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

    async fn answer<'a>(bytes: &[u8], input: &'a mut Vec<u8>) -> io::Result<Answer<'a>> {
        read_answer(&mut &*bytes, input).await
    }

    #[tokio::test]
    async fn reads_answers_with_a_length_with_chunks_and_until_the_end() {
        let mut input = Vec::new();
        let bytes = b"HTTP/1.1 200 OK\r\nX-Road-Id: a\r\nContent-Length: 3\r\n\r\nabc";
        let plain = answer(bytes, &mut input).await.unwrap();
        assert_eq!((plain.status, &*plain.body, plain.reusable), (200, b"abc".as_slice(), true));
        assert_eq!(plain.header("x-road-id"), Some(b"a".as_slice()));
        assert_eq!(plain.header("x-road"), None);
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let mut input = Vec::new();
        let chunked = answer(chunks, &mut input).await.unwrap();
        assert_eq!((&*chunked.body, chunked.reusable), (b"abc".as_slice(), true));
        let mut input = Vec::new();
        let closed = answer(b"HTTP/1.0 500 No\r\n\r\nabc", &mut input).await.unwrap();
        assert_eq!((&*closed.body, closed.reusable), (b"abc".as_slice(), false));
        let mut input = Vec::new();
        let more = answer(&[bytes.as_slice(), b"x"].concat(), &mut input).await.unwrap();
        assert_eq!((&*more.body, more.reusable), (b"abc".as_slice(), false));
    }

    #[tokio::test]
    async fn a_cut_answer_is_none() {
        for bytes in [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab".as_slice(), b"HTTP/1.1 200"] {
            assert!(answer(bytes, &mut Vec::new()).await.is_err());
        }
    }
}
