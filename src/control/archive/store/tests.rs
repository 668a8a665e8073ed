//! With a real server of S3, which the test starts.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;

use super::*;
use crate::time::{SystemClock, UnixTime};

/// A store that can be away, or go away after some requests.
struct Store {
    address: SocketAddr,
    folder: PathBuf,
    away: AtomicBool,
    until_away: AtomicUsize,
    uploads: Mutex<Vec<String>>,
}

impl Store {
    async fn start(folder: &Path) -> Arc<Self> {
        fs::create_dir_all(folder.join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            folder: folder.join("bucket"),
            away: AtomicBool::new(false),
            until_away: AtomicUsize::new(usize::MAX),
            uploads: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&store).serve(listener, service));
        store
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, service: S3Service) {
        while let Ok((stream, _)) = listener.accept().await {
            let (store, service) = (Arc::clone(&self), service.clone());
            tokio::spawn(async move {
                let answer = hyper::service::service_fn(move |request| {
                    let (store, service) = (Arc::clone(&store), service.clone());
                    async move {
                        store.note(&request)?;
                        hyper::service::Service::call(&service, request)
                            .await
                            .map_err(|error| io::Error::other(format!("{error:?}")))
                    }
                });
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .http1_only()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }

    /// An error closes the connection without an answer.
    fn note<B>(&self, request: &hyper::Request<B>) -> io::Result<()> {
        if self.until_away.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.away.store(true, Ordering::SeqCst);
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if let Some(part) = request.uri().query().and_then(|query| query.split_once("partNumber=")) {
            let part = part.1.split('&').next().unwrap_or_default();
            self.uploads.lock().unwrap().push(part.to_owned());
        }
        Ok(())
    }

    fn go_away(&self, after: usize) {
        self.until_away.store(after, Ordering::SeqCst);
    }

    fn come_back(&self) {
        self.until_away.store(usize::MAX, Ordering::SeqCst);
        self.away.store(false, Ordering::SeqCst);
    }

    fn settings(&self, folder: &Path) -> config::ArchiveStore {
        let secret = folder.join("secret");
        fs::write(&secret, "secret\n").unwrap();
        config::ArchiveStore {
            bucket: Some("bucket".into()),
            endpoint: Some(format!("http://{}", self.address)),
            region: "us-east-1".into(),
            prefix: "ss0/".into(),
            access_key: Some("key".into()),
            secret_key_file: Some(secret),
            ..config::ArchiveStore::default()
        }
    }

    fn archive_store(&self, folder: &Path) -> ArchiveStore {
        let mut store = ArchiveStore::new(&self.settings(folder), &folder.join("archive")).unwrap().unwrap();
        store.part_bytes = 5 * 1024 * 1024;
        store
    }
}

fn archive(folder: &Path, name: &str, bytes: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..bytes).map(|at| (at * 7 % 251) as u8).collect();
    fs::create_dir_all(folder.join("archive")).unwrap();
    fs::write(folder.join("archive").join(name), &content).unwrap();
    content
}

fn left(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("archive")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn archives_move_into_the_store_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&folder.path().join("s3")).await;
    let small = archive(folder.path(), "mlog-LAB_GOV_1 ä-1-2-aa.zip", 1000);
    let large = archive(folder.path(), "mlog-3-4-bb.zip.gpg", 11 * 1024 * 1024);
    archive(folder.path(), ".archive-1.part", 10);
    let moving = store.archive_store(folder.path());
    assert_eq!(moving.move_all().await.unwrap(), 2);
    assert_eq!(left(folder.path()), [".archive-1.part"], "what is not finished is no archive");
    assert_eq!(fs::read(store.folder.join("ss0/mlog-3-4-bb.zip.gpg")).unwrap(), large);
    let found: Vec<_> = fs::read_dir(store.folder.join("ss0")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(found.iter().any(|path| fs::read(path).unwrap() == small), "{found:?}");
    let figures = moving.status().figures();
    assert_eq!(
        (figures.archives, figures.bytes, figures.waiting),
        (2, (small.len() + large.len()) as u64, 0)
    );
    assert_eq!(moving.move_all().await.unwrap(), 0);
    let keeping = ArchiveStore { keep_local: true, ..store.archive_store(folder.path()) };
    archive(folder.path(), "mlog-5-6-cc.zip", 1000);
    assert_eq!(keeping.move_all().await.unwrap(), 1);
    assert!(folder.path().join("archive/stored/mlog-5-6-cc.zip").exists());
    assert_eq!(keeping.move_all().await.unwrap(), 0);
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_when_the_store_went_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&folder.path().join("s3")).await;
    let large = archive(folder.path(), "mlog-1-2-aa.zip", 21 * 1024 * 1024);
    // The upload is begun and two parts are there.
    store.go_away(3);
    let moving = store.archive_store(folder.path());
    assert!(moving.move_all().await.is_err());
    drop(moving);
    assert!(left(folder.path()).contains(&"mlog-1-2-aa.zip".to_owned()), "nothing is lost");
    store.come_back();
    // Another process, as after a kill.
    assert_eq!(store.archive_store(folder.path()).move_all().await.unwrap(), 1);
    assert_eq!(*store.uploads.lock().unwrap(), ["1", "2", "3", "4", "5"], "no part twice");
    assert_eq!(fs::read(store.folder.join("ss0/mlog-1-2-aa.zip")).unwrap(), large);
    assert_eq!(left(folder.path()), [""; 0]);
}

#[tokio::test]
async fn an_upload_that_the_store_has_forgotten_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&folder.path().join("s3")).await;
    let large = archive(folder.path(), "mlog-1-2-aa.zip", 11 * 1024 * 1024);
    let moving = store.archive_store(folder.path());
    let mut notes = Notes::new("00000000-0000-0000-0000-000000000000".into(), large.len() as u64, 5 << 20);
    notes.parts.push("gone".into());
    notes.write(&folder.path().join("archive"), "mlog-1-2-aa.zip").unwrap();
    for _ in 0..3 {
        if moving.move_all().await.is_ok() {
            break;
        }
    }
    assert_eq!(fs::read(store.folder.join("ss0/mlog-1-2-aa.zip")).unwrap(), large);
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_again_and_takes_everything_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(&folder.path().join("s3")).await;
    store.go_away(0);
    let content = archive(folder.path(), "mlog-1-2-aa.zip", 1000);
    let moving = store.archive_store(folder.path());
    let status = moving.status();
    let task = tokio::spawn(moving.run(Arc::new(SystemClock)));
    let begun = std::time::Instant::now();
    let in_time = || assert!(begun.elapsed() < Duration::from_secs(60), "not in time");
    while !status.figures().failing {
        in_time();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status.figures().waiting, 1);
    store.come_back();
    while status.figures().last_success_ms == 0 {
        in_time();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    task.abort();
    assert!(status.figures().last_success_ms > UnixTime::from_secs(1_700_000_000).millis());
    assert!(!status.figures().failing);
    assert_eq!(fs::read(store.folder.join("ss0/mlog-1-2-aa.zip")).unwrap(), content);
}
