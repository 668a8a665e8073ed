//! Pinned workers: listeners, connections, TLS and HTTP/1.1.
//!
//! Everything here but the configuration is `!Send`: a connection lives and dies on the thread that accepted it.
//! The same code runs on io_uring (tokio-uring) and on epoll (tokio); [`choose`] decides at start.
//!
//! A server hands [`run_workers`] a handler per worker thread; the handler calls others through a [`Pool`]:
//!
//! ```no_run
//! # use std::rc::Rc; use std::sync::Arc; use std::time::Duration; use bytes::Bytes;
//! use hermod::worker::*;
//!
//! struct Proxy { pool: Rc<Pool>, service: Target, spools: SpoolSpace }
//!
//! impl Handler for Proxy {
//!     async fn handle(&self, head: RequestHead, exchange: &mut ServerExchange) -> Result<(), HttpError> {
//!         // A connection of the pool, or a new one; `reused()` tells whether one resend is permitted.
//!         let mut service = self.pool.acquire(&self.service, Duration::from_secs(30)).await?;
//!         let headers = [("Host", "service.example"), ("x-hash-algorithm", "SHA-512")];
//!         service.send_request("POST", &head.target, &headers, BodyFraming::Chunked).await?;
//!         while let Some(chunk) = exchange.read_body_chunk().await? {
//!             service.write(chunk).await?;
//!         }
//!         service.finish_request().await?;
//!         let answer = service.read_head(Duration::from_secs(60)).await?;
//!         let mut spool = Spool::new(&self.spools);
//!         while let Some(chunk) = service.read_body_chunk().await? {
//!             spool.write(chunk)?;
//!         }
//!         service.release(); // back to the pool, if it may be used again
//!         exchange.respond(answer.status, "OK", &answer.headers, BodyFraming::Length(spool.len())).await?;
//!         let mut chunks = spool.chunks();
//!         while let Some(chunk) = chunks.next_chunk()? {
//!             exchange.write(chunk).await?;
//!         }
//!         exchange.finish().await
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (runtime, why) = choose(RuntimeChoice::Auto)?;
//! let listener = ListenerConfig::new("127.0.0.1:8080".parse()?, Role::InformationSystem);
//! let config = WorkerConfig { listeners: vec![listener], ..WorkerConfig::new(runtime) };
//! // Bodies in memory and on disk, of all workers together.
//! let spools = SpoolSpace::new("/var/lib/hermod/spool", Budget::new(256 << 20), Budget::new(16 << 30));
//! let workers = run_workers(config, move |_worker| {
//!     let service = Target::plain(vec![([127, 0, 0, 1], 9000).into()]);
//!     Rc::new(Proxy { pool: Pool::new(PoolOptions::default()), service, spools: spools.clone() })
//! })?;
//! println!("{runtime:?} ({why}): {:?}", workers.addresses());
//! workers.stop();
//! workers.join();
//! # Ok(()) }
//! ```

mod affinity;
mod budget;
mod buffers;
mod carrier;
mod client;
mod connection;
mod error;
mod exchange;
mod http;
mod limited;
mod listener;
mod multiplex;
mod open;
mod pool;
mod progress;
mod runtime;
mod server;
mod server_channels;
mod spool;
mod stream;
pub mod tls;
mod workers;

#[cfg(test)]
mod tests;

pub use affinity::processors;
pub use budget::{Budget, OutOfBudget, Share};
pub use client::{ClientConnection, Target, resolve};
pub use error::{HttpError, Wait, WorkerError};
pub use exchange::{Handler, PeerInfo, ServerExchange};
pub use http::{BodyFraming, NO_HEADERS, RequestHead, ResponseHead, Version, header, header_values};
pub use listener::{ListenerConfig, ListenerSource, Role, probe};
pub use pool::{Connections, Pool, PoolOptions, connections};
pub use runtime::{RuntimeChoice, RuntimeKind, WorkerRuntime, choose};
pub use server::ServerTimeouts;
pub use spool::{Spool, SpoolChunks, SpoolSpace};
pub use tls::{ClientAuth, IdentitySource, TlsClient, TlsIdentity, TlsServer};
pub use workers::{Admission, Pulse, WorkerConfig, Workers, run_workers};
