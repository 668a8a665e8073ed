//! HTTP/1.1 by hand: requests are bytes, so that they can be as odd as a case needs, and answers keep the order and
//! spelling of their headers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing in these tests takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request or an answer.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Request line or status line.
    pub first: String,
    /// Header fields as they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body without its framing.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of an answer; 0 for what is none.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The first value of a header, as text; empty when there is none.
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Names of the headers in their order, without those that only frame the body.
    pub fn names(&self) -> Vec<&str> {
        let framing = ["transfer-encoding", "content-length", "connection"];
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        names.filter(|name| !framing.contains(&name.to_ascii_lowercase().as_str())).collect()
    }

    /// Parses a whole message; `bodyless` answers end with their head.
    pub fn parse(bytes: &[u8], bodyless: bool) -> Self {
        let mut rest = bytes;
        let mut message = read_head(&mut rest).expect("a message");
        message.body = read_body(&mut rest, &message, bodyless).expect("a body");
        message
    }
}

/// Sends bytes on a connection of its own and reads the answer.
pub fn send(address: SocketAddr, request: &[u8]) -> Message {
    try_send(address, request).unwrap_or_else(|error| panic!("no answer of {address}: {error}"))
}

/// As [`send`], for servers that may be gone.
pub fn try_send(address: SocketAddr, request: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    exchange(&mut stream, request)
}

/// Sends bytes and reads the answer.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> std::io::Result<Message> {
    // A server that refuses early answers before it has read everything.
    let written = stream.write_all(request).and_then(|()| stream.flush());
    let head_only = request.starts_with(b"HEAD ");
    match read(stream, head_only) {
        Ok(answer) => Ok(answer),
        Err(error) => Err(written.err().unwrap_or(error)),
    }
}

/// Reads one message.
pub fn read(stream: &mut impl Read, bodyless: bool) -> std::io::Result<Message> {
    let mut message = read_head(stream)?;
    let bodyless = bodyless || [204, 304].contains(&message.status());
    message.body = read_body(stream, &message, bodyless)?;
    Ok(message)
}

fn read_head(stream: &mut impl Read) -> std::io::Result<Message> {
    let first = read_line(stream)?;
    let mut message = Message { first: String::from_utf8_lossy(&first).into_owned(), ..Message::default() };
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(message);
        }
        let colon = line.iter().position(|byte| *byte == b':').expect("a header line");
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        message.headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
}

fn read_body(stream: &mut impl Read, message: &Message, bodyless: bool) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if bodyless {
    } else if message.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        loop {
            let line = String::from_utf8_lossy(&read_line(stream)?).into_owned();
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk);
            read_line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Ok(length) = message.header("content-length").parse() {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    } else if message.first.starts_with("HTTP/") {
        stream.read_to_end(&mut body)?;
    }
    Ok(body)
}

fn read_line(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(line)
}
