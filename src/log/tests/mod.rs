//! Tests of the log as a whole.

mod durability;
mod faults;
mod recovery;
mod sealed;
mod sealing;
mod search;
mod stamping;
mod volume;

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;

use super::*;
use crate::evidence::SignatureData;
use crate::message::{ClientId, SecurityServerId, ServiceId};
use crate::time::{Clock, ManualClock, UnixTime};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn server() -> SecurityServerId {
    SecurityServerId::new("LAB", "GOV", "100", "ss0").unwrap()
}

fn client(subsystem: &str) -> ClientId {
    ClientId::new("LAB", "GOV", "100", Some(subsystem)).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(UnixTime::from_millis(1_700_000_000_123)))
}

fn config(directory: &Path) -> LogConfig {
    LogConfig::new(directory.to_owned(), server())
}

fn open(directory: &Path) -> LogHandle {
    open_with(config(directory), Arc::new(Disk))
}

fn open_with(config: LogConfig, storage: Arc<dyn Storage>) -> LogHandle {
    let log = LogHandle::open_on(config, clock(), storage).unwrap();
    log.timestamp_status().set_provider_configured(true);
    log
}

fn signature(text: &str) -> SignatureData {
    let bytes = |suffix: &str| Bytes::from(format!("{text}-{suffix}"));
    SignatureData {
        signature: bytes("signature"),
        hash_chain_result: Some(bytes("result")),
        hash_chain: Some(bytes("chain")),
        chain_path: None,
    }
}

fn record(query_id: &str, direction: Direction) -> Record {
    Record {
        query_id: query_id.into(),
        message: Bytes::from(format!("GET\r\n/r1/{query_id}\r\n")),
        signature: signature("batch"),
        direction,
        client: client("consumer"),
        consumer: Some(client("consumer")),
        service: Some(ServiceId::new(&client("provider"), "echo", Some("v1")).unwrap()),
        x_request_id: Some("request-1".into()),
        attachments: vec![Body::Bytes(Bytes::from_static(b"body"))],
        metadata_only: false,
    }
}

fn request(query_id: &str) -> Record {
    record(query_id, Direction::Request)
}

fn append(log: &LogHandle, record: Record) -> DurableRecord {
    block_on(log.append(record)).unwrap()
}

fn query_ids(reader: &LogReader) -> Vec<String> {
    reader.iter().filter_map(|record| Some(record.ok()?.summary.query_id)).collect()
}

fn only_segment(directory: &Path) -> std::path::PathBuf {
    directory.join(segment::file_name(1))
}

/// The disk, with switches: full, failing to sync, holding back a sync; and a count of syncs.
#[derive(Default)]
struct TestDisk {
    full: AtomicBool,
    sync_fails: AtomicBool,
    syncs: AtomicU64,
    /// Whether syncs wait, and how many wait now.
    held: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl TestDisk {
    fn hold_syncs(&self) {
        self.held.lock().unwrap().0 = true;
    }

    fn wait_for_held_sync(&self) {
        let held = self.held.lock().unwrap();
        drop(self.changed.wait_while(held, |(_, waiting)| *waiting == 0).unwrap());
    }

    fn release_syncs(&self) {
        self.held.lock().unwrap().0 = false;
        self.changed.notify_all();
    }
}

struct TestFile {
    disk: Arc<TestDisk>,
    file: Box<dyn AppendFile>,
}

struct TestStorage(Arc<TestDisk>);

impl TestStorage {
    fn wrap(&self, file: Box<dyn AppendFile>) -> Box<dyn AppendFile> {
        Box::new(TestFile { disk: Arc::clone(&self.0), file })
    }
}

fn full_disk() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

impl Storage for TestStorage {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        if self.0.full.load(Ordering::SeqCst) {
            return Err(full_disk());
        }
        Ok(self.wrap(Disk.create(path)?))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>> {
        Ok(self.wrap(Disk.open_at(path, len)?))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Disk.sync_directory(path)
    }
}

impl AppendFile for TestFile {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.disk.full.load(Ordering::SeqCst) {
            // A full disk takes a part first, and refuses then.
            let first = slices.first().map(|slice| &slice[..slice.len() / 2]).unwrap_or_default();
            return match first.len() {
                0..8 => Err(full_disk()),
                _ => self.file.append(&[IoSlice::new(first)]),
            };
        }
        self.file.append(slices)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut held = self.disk.held.lock().unwrap();
        held.1 += 1;
        self.disk.changed.notify_all();
        held = self.disk.changed.wait_while(held, |(hold, _)| *hold).unwrap();
        held.1 -= 1;
        drop(held);
        self.disk.syncs.fetch_add(1, Ordering::SeqCst);
        if self.disk.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is broken"));
        }
        self.file.sync()
    }
}

fn spooled(bytes: &[u8]) -> Body {
    use std::io::Write;
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Body::File(Arc::new(file), bytes.len() as u64)
}
