//! The service behind the provider's servers: gives back what it gets.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::content::Content;
use crate::echo::Echo;
use crate::streaming::Meters;

/// Name of the thread.
pub const THREAD: &str = "echo";

/// The running service; dropping it ends it.
pub struct Backend {
    address: SocketAddr,
    meters: Arc<Meters>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the service, whose answers come `delay` after their requests. Large bodies are those of `content`.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(address: SocketAddr, delay: Duration, content: Arc<Content>) -> Result<Backend, String> {
    let failed = |error: std::io::Error| format!("the echo service on {address}: {error}");
    let listener = listen(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = UnixStream::pair().map_err(failed)?;
    let meters = Arc::new(Meters::default());
    let echo = Echo::new(listener, stopped, delay, content, Arc::clone(&meters)).map_err(failed)?;
    let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || echo.run()).map_err(failed)?;
    Ok(Backend { address, meters, stop: Some(stop), thread: Some(thread) })
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // Many in flight means many connections, which may come at once.
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Backend {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How fast large bodies came and went.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::content::WHOLE_MAX;

    fn content() -> Arc<Content> {
        Arc::new(Content::new(1, 1000))
    }

    fn talk(delay: Duration, pieces: &[&[u8]], answers: usize) -> Vec<u8> {
        let echo = start(SocketAddr::from(([127, 0, 0, 1], 0)), delay, content()).unwrap();
        let mut stream = TcpStream::connect(echo.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece).unwrap();
        }
        let mut got = vec![0; answers];
        stream.read_exact(&mut got).unwrap();
        got
    }

    #[test]
    fn requests_in_pieces_and_two_at_once_get_their_bodies_back() {
        let request = b"POST /echo HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc";
        let expected = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc";
        let (early, late) = request.split_at(50);
        for delay in [Duration::ZERO, Duration::from_millis(2)] {
            let got = talk(delay, &[early, late, &request.repeat(2)], 3 * expected.len());
            assert_eq!(got, expected.repeat(3));
        }
    }

    #[test]
    fn a_body_that_no_socket_takes_at_once_comes_back_whole() {
        let body: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer_head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: \r\nContent-Length: {}\r\n\r\n", body.len());
        let got = talk(Duration::ZERO, &[head.as_bytes(), &body], answer_head.len() + body.len());
        assert!(got.strip_prefix(answer_head.as_bytes()) == Some(&body));
    }

    #[test]
    fn a_large_body_is_compared_as_it_comes_and_made_again() {
        let (content, length) = (content(), 3 * WHOLE_MAX + 77);
        let mut body = Vec::new();
        while body.len() < length {
            let next = content.at(9, body.len() as u64);
            body.extend_from_slice(&next[..next.len().min(length - body.len())]);
        }
        let head = format!(
            "POST / HTTP/1.1\r\nContent-Type: a/b\r\nX-Road-Id: run-9\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer_head = format!("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n");
        for delay in [Duration::ZERO, Duration::from_millis(2)] {
            let got = talk(delay, &[head.as_bytes(), &body], answer_head.len() + length);
            assert!(got.strip_prefix(answer_head.as_bytes()) == Some(&body));
        }
        body[length - 1] ^= 1;
        let refusal = b"HTTP/1.1 422 Unprocessable Content\r\n";
        assert_eq!(talk(Duration::ZERO, &[head.as_bytes(), &body], refusal.len()), refusal);
    }
}
