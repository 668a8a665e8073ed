//! Somebody between the consumer's server and its client who alters answers; for trying whether a run notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer in so many is altered.
const ONE_IN: u64 = 10;

/// What is altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tampering {
    /// Nothing.
    Off = 0,
    /// A byte of the body.
    Bodies = 1,
    /// A letter of `x-road-request-hash`, which the client cannot check by itself.
    Hashes = 2,
}

/// The relay. It ends with the runtime.
#[derive(Clone)]
pub struct Tamper {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
}

impl Tamper {
    /// Starts a relay to `target`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((target.ip(), 0)).await?;
        let relay = Self { address: listener.local_addr()?, mode: Arc::new(AtomicU8::new(0)) };
        let (mode, count) = (Arc::clone(&relay.mode), Arc::new(AtomicU64::new(0)));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mode, count) = (Arc::clone(&mode), Arc::clone(&count));
                tokio::spawn(async move {
                    let _ = relay_one(client, target, &mode, &count).await;
                });
            }
        });
        Ok(relay)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins or ends to alter.
    pub fn set(&self, tampering: Tampering) {
        self.mode.store(tampering as u8, Ordering::Relaxed);
    }
}

async fn relay_one(
    client: TcpStream,
    target: SocketAddr,
    mode: &AtomicU8,
    count: &AtomicU64,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(target).await?.into_split();
    let requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from_server.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        let chunk = &mut buffer[..length];
        if chunk.starts_with(b"HTTP/1.1 200") && mode.load(Ordering::Relaxed) != Tampering::Off as u8 {
            let turn = count.fetch_add(1, Ordering::Relaxed);
            if turn.is_multiple_of(ONE_IN) {
                alter(chunk, mode.load(Ordering::Relaxed));
            }
        }
        to_client.write_all(chunk).await?;
    }
    requests.abort();
    Ok(())
}

fn alter(chunk: &mut [u8], mode: u8) {
    let at = if mode == Tampering::Hashes as u8 {
        let lower = chunk.to_ascii_lowercase();
        memmem::find(&lower, b"x-road-request-hash: ").map(|at| at + 25)
    } else {
        chunk.len().checked_sub(1)
    };
    if let Some(byte) = at.and_then(|at| chunk.get_mut(at)) {
        *byte = if *byte == b'x' { b'y' } else { b'x' };
    }
}
