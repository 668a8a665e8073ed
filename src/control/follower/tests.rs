//! With a real PostgreSQL, which the tests start where the host has one, and without.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use sqlx::postgres::PgRow;

use super::*;
use crate::crypto::{Digest, DigestAlgorithm};
use crate::evidence::SignatureData;
use crate::log::{Body, Direction, LogConfig, LogHandle, Record, Stamp, TimestampClient, Timestamper};
use crate::message::{ClientId, SecurityServerId, XRoadError};
use crate::time::{ManualClock, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

/// A server of its own on a socket in a folder of its own.
struct Database {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    child: Option<Child>,
}

impl Database {
    /// `None` when this host has no PostgreSQL.
    fn start() -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let places = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from).into_iter();
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut places = places.chain(versions.map(|version| version.path().join("bin")));
        let Some(binaries) = places.find(|at| at.join("initdb").exists() && at.join("postgres").exists())
        else {
            eprintln!("skipped: there is no PostgreSQL server on this host");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut database = Self { folder, binaries, child: None };
        let data = database.folder.path().join("data");
        let mut initdb = database.command("initdb");
        initdb.args(["-U", "messagelog", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-D"]).arg(&data);
        let made = initdb.stdout(Stdio::null()).output().unwrap();
        if !made.status.success() {
            eprintln!("skipped: no database can be made: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        database.run();
        Some(database)
    }

    /// PostgreSQL does not run as root.
    fn command(&self, name: &str) -> Command {
        let binary = self.binaries.join(name);
        if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
            command.current_dir(self.folder.path());
            command
        } else {
            Command::new(binary)
        }
    }

    fn run(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=8"]);
        command.args(["-c", "shared_buffers=16MB"]).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::INT,
            );
            let _ = child.wait();
        }
    }

    fn settings(&self) -> FollowPostgresql {
        let host = self.folder.path().to_string_lossy().replace('/', "%2F");
        FollowPostgresql {
            url: Some(format!("postgresql://messagelog@{host}/postgres")),
            password_file: None,
        }
    }

    async fn connect(&self, follower: &Follower) -> PgConnection {
        for _ in 0..600 {
            match follower.connect().await {
                Ok(connection) => return connection,
                Err(FollowError::Database(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the database does not start");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Authority;

impl TimestampClient for Authority {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        Ok(Bytes::copy_from_slice(imprint.as_ref()))
    }
}

fn log(directory: &Path) -> LogHandle {
    let server = SecurityServerId::new("LAB", "GOV", "100", "ss0").unwrap();
    let config = LogConfig::new(directory.join("log"), server);
    let log = LogHandle::open(config, Arc::new(ManualClock::new(NOW))).unwrap();
    log.timestamp_status().set_provider_configured(true);
    log
}

async fn append(log: &LogHandle, number: usize) -> u64 {
    let chained = number % 2 == 1;
    let chain = |what: &str| chained.then(|| Bytes::from(format!("{what} {number}")));
    let record = Record {
        query_id: format!("message {number}"),
        message: Bytes::from(format!("GET\r\n/r1/message-{number}ä\r\n")),
        signature: SignatureData {
            signature: Bytes::from(format!("signature {}", number / 2)),
            hash_chain_result: chain("result"),
            hash_chain: chain("chain"),
            chain_path: None,
        },
        direction: if number.is_multiple_of(2) { Direction::Request } else { Direction::Response },
        client: ClientId::new("LAB", "GOV", "100", Some("consumer")).unwrap(),
        consumer: None,
        service: None,
        x_request_id: Some(format!("request {number}")),
        attachments: (0..number % 3)
            .map(|at| Body::Bytes(Bytes::from(format!("body {number}.{at}"))))
            .collect(),
        metadata_only: false,
    };
    log.append(record).await.unwrap().id()
}

fn follower(log: &LogHandle, database: &Database, keys: Option<&RecordKeys>) -> Follower {
    Follower::new(log.reader().clone(), "LAB/GOV/100/ss0".into(), &database.settings(), keys)
        .unwrap()
        .unwrap()
}

async fn rows(database: &mut PgConnection, query: &str) -> Vec<PgRow> {
    sqlx::query(query).fetch_all(database).await.unwrap()
}

async fn number(database: &mut PgConnection, query: &str) -> i64 {
    rows(database, query).await[0].get(0)
}

#[tokio::test]
async fn the_database_has_what_the_log_has_in_the_official_schema_and_goes_on_after_a_kill() {
    let Some(mut server) = Database::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    for at in 0..7 {
        append(&log, at).await;
    }
    let one = follower(&log, &server, None);
    let mut database = server.connect(&one).await;
    let followed = one.pass(&mut database).await.unwrap();
    assert_eq!((followed.messages, followed.stamped), (7, 0));
    assert_eq!((one.status().next_id(), one.status().unstamped()), (8, 7));
    let row = rows(&mut database, "SELECT * FROM logrecord WHERE id = 2").await.remove(0);
    let text = |column: &str| row.get::<Option<String>, _>(column);
    let expected = [
        ("discriminator", Some("m")),
        ("queryid", Some("message 1")),
        ("message", Some("GET\r\n/r1/message-1ä\r\n")),
        ("signature", Some("signature 0")),
        ("hashchain", Some("chain 1")),
        ("hashchainresult", Some("result 1")),
        ("memberclass", Some("GOV")),
        ("membercode", Some("100")),
        ("subsystemcode", Some("consumer")),
        ("xrequestid", Some("request 1")),
        ("timestamphashchain", None),
        ("keyid", None),
    ];
    for (column, value) in expected {
        assert_eq!(text(column).as_deref(), value, "{column}");
    }
    let hash = DigestAlgorithm::Sha512.digest(b"signature 0").to_base64();
    assert_eq!(text("signaturehash"), Some(hash));
    assert_eq!((row.get::<bool, _>("response"), row.get::<bool, _>("archived")), (true, false));
    assert_eq!(row.get::<i64, _>("time"), NOW.millis());
    let bodies = "SELECT attachment_no, convert_from(lo_get(attachment), 'UTF8') FROM message_attachment \
                  WHERE logrecord_id = 3 ORDER BY attachment_no";
    let bodies: Vec<(i32, String)> =
        rows(&mut database, bodies).await.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(bodies, [(1, "body 2.0".into()), (2, "body 2.1".into())]);

    // Time-stamps come after their records.
    Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 5).run_until_none_waits(&Authority).await.unwrap();
    append(&log, 7).await;
    let followed = one.pass(&mut database).await.unwrap();
    assert_eq!((followed.messages, followed.stamped), (1, 7));
    assert_eq!(one.pass(&mut database).await.unwrap(), Followed::default());
    for at in 1..=7 {
        let (record, stamp) = log.reader().stamp_of(at).unwrap().unwrap();
        let select = format!(
            "SELECT m.timestamphashchain, m.signaturehash, t.id, t.timestamp, t.hashchainresult, t.discriminator \
             FROM logrecord m JOIN logrecord t ON t.id = m.timestamprecord WHERE m.id = {at}"
        );
        let row = rows(&mut database, &select).await.remove(0);
        assert_eq!((row.get::<i64, _>(2), row.get::<&str, _>(5)), (record.id() as i64, "t"));
        assert_eq!(row.get::<Option<String>, _>(1), None);
        if let Stamp::Batch { hash_chain_result, hash_chain, .. } = stamp {
            assert_eq!(row.get::<String, _>(0).as_bytes(), hash_chain);
            assert_eq!(row.get::<String, _>(4).as_bytes(), hash_chain_result);
        }
    }
    drop(database);

    // The database is killed while it is followed, and another process of ours goes on.
    let two = follower(&log, &server, None);
    let status = two.status();
    let task = tokio::spawn(two.run());
    server.stop();
    for at in 8..40 {
        append(&log, at).await;
    }
    let begun = std::time::Instant::now();
    while !status.is_failing() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    task.abort();
    server.run();
    let three = follower(&log, &server, None);
    let mut database = server.connect(&three).await;
    let task = tokio::spawn(follower(&log, &server, None).run());
    Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 6).run_until_none_waits(&Authority).await.unwrap();
    let whole = "SELECT count(*) FROM logrecord WHERE discriminator = 'm' AND timestamprecord IS NOT NULL";
    while number(&mut database, whole).await < 40 {
        assert!(begun.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    task.abort();
    assert_eq!(number(&mut database, "SELECT count(*) FROM logrecord WHERE discriminator = 'm'").await, 40);

    // What official tools do with it.
    let execute = "UPDATE logrecord SET timestamprecord = NULL WHERE id = 3";
    sqlx::query(execute).execute(&mut database).await.unwrap();
    sqlx::query("DELETE FROM logrecord WHERE id = 3").execute(&mut database).await.unwrap();
    let bodies =
        number(&mut database, "SELECT count(*) FROM message_attachment WHERE logrecord_id = 3").await;
    assert_eq!(bodies, 0, "attachments go with their record");

    // Another server's log is told from this one's.
    let other = Follower { server: "LAB/GOV/100/ss1".into(), ..follower(&log, &server, None) };
    assert!(matches!(other.connect().await, Err(FollowError::Other(of)) if of == "LAB/GOV/100/ss0"));
    log.close();
}

#[tokio::test]
async fn messages_are_encrypted_as_official_servers_do_it() {
    let Some(server) = Database::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    for at in 0..3 {
        append(&log, at).await;
    }
    let keys = RecordKeys::parse("key1 = password\n", Some("key1")).unwrap();
    let follower = follower(&log, &server, Some(&keys));
    let mut database = server.connect(&follower).await;
    follower.pass(&mut database).await.unwrap();
    let row = rows(&mut database, "SELECT message, ciphermessage, keyid FROM logrecord WHERE id = 3").await;
    assert_eq!(row[0].get::<Option<String>, _>(0), None);
    assert_eq!(row[0].get::<String, _>(2), "key1");
    let cipher = keys.official().unwrap();
    // Counter mode undoes itself.
    let plain = cipher.message(3, row[0].get(1)).unwrap();
    assert_eq!(plain, "GET\r\n/r1/message-2ä\r\n".as_bytes());
    let body = rows(
        &mut database,
        "SELECT lo_get(attachment) FROM message_attachment WHERE logrecord_id = 3 AND attachment_no = 2",
    )
    .await;
    assert_eq!(cipher.attachment(3, 2, body[0].get(0)).unwrap(), b"body 2.1");
    log.close();
}

fn unreached(log: &LogHandle, url: String) -> Follower {
    let settings = FollowPostgresql { url: Some(url), password_file: None };
    Follower::new(log.reader().clone(), "LAB/GOV/100/ss0".into(), &settings, None).unwrap().unwrap()
}

#[tokio::test]
async fn a_record_that_will_have_no_time_stamp_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    // Each with a signature of its own.
    for number in [0, 2, 4] {
        append(&log, number).await;
    }
    let follower = unreached(&log, "postgresql://messagelog@127.0.0.1/postgres".into());
    let is_done = |id| follower.add_stamp(id, &mut Default::default(), &mut Vec::new()).unwrap();
    assert!(!is_done(1) && !is_done(2));
    for entry in std::fs::read_dir(folder.path().join("log")).unwrap() {
        let file = entry.unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(11).position(|window| window == b"signature 0") {
            bytes[at] = b'?';
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let stamper = Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 5);
    assert_eq!(stamper.run_until_none_waits(&Authority).await.unwrap(), 2);
    let (mut columns, mut rows) = (Default::default(), Vec::new());
    assert!(follower.add_stamp(1, &mut columns, &mut rows).unwrap() && rows.is_empty());
    assert!(follower.add_stamp(2, &mut columns, &mut rows).unwrap() && rows.len() == 1);
    log.close();
}

#[tokio::test]
async fn a_database_that_says_nothing_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgresql://messagelog@127.0.0.1:{port}/postgres?sslmode=disable");
    let follower = unreached(&log, url);
    let silent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
        // "You are welcome", "ready"; and then nothing more.
        connection.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        (listener, connection)
    });
    let mut database = PgConnection::connect_with(&follower.options).await.unwrap();
    let _held = silent.await.unwrap();
    tokio::time::pause();
    let statement = follower.pass(&mut database).await;
    assert!(matches!(statement, Err(FollowError::Silent(ANSWER_LONGEST))), "{statement:?}");
    let connecting = follower.connect().await;
    assert!(matches!(connecting, Err(FollowError::Silent(CONNECT_LONGEST))));
    log.close();
}
