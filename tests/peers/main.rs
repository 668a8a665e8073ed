//! TLS against other implementations, restricted to what official servers speak by default: TLS 1.2, AES-CBC, mutual
//! authentication, sessions resumed by ticket and by id. Tests whose tool is not installed say so and pass.

#![allow(clippy::unwrap_used)]

mod java;
mod openssl;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hermod::worker::tls::{TlsVersions, cbc, fixed_identity};
use hermod::worker::{
    BodyFraming, ClientAuth, Handler, HttpError, ListenerConfig, NO_HEADERS, Pool, PoolOptions, RequestHead,
    Role, RuntimeKind, ServerExchange, Target, TlsClient, TlsIdentity, TlsServer, WorkerConfig,
    WorkerRuntime, Workers, run_workers,
};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use tempfile::TempDir;

/// Longer than any test takes; a hang fails instead of blocking.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key algorithm as Java names it, its suite as Java and as OpenSSL name it.
struct Kind {
    algorithm: &'static SignatureAlgorithm,
    java: &'static str,
    suite: &'static str,
    openssl: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        algorithm: &rcgen::PKCS_RSA_SHA256,
        java: "RSA",
        suite: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        openssl: "ECDHE-RSA-AES256-SHA384",
    },
    Kind {
        algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
        java: "EC",
        suite: "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
        openssl: "ECDHE-ECDSA-AES256-SHA384",
    },
];

/// A key and a self-signed certificate, as files for the peer and as an identity for us.
struct Keys {
    directory: TempDir,
    certificate: Bytes,
    key: Vec<u8>,
}

impl Keys {
    fn make(kind: &Kind) -> Self {
        let key = KeyPair::generate_for(kind.algorithm).unwrap();
        let certificate = CertificateParams::new(vec!["peer".into()]).unwrap().self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &[u8]| std::fs::write(directory.path().join(name), content).unwrap();
        write("cert.pem", certificate.pem().as_bytes());
        write("key.pem", key.serialize_pem().as_bytes());
        write("cert.der", certificate.der());
        write("key.der", &key.serialize_der());
        Self { certificate: Bytes::copy_from_slice(certificate.der()), key: key.serialize_der(), directory }
    }

    fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_der(std::slice::from_ref(&self.certificate), &self.key).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// `/peer` tells what is known of the client, everything else is echoed.
struct Echo;

impl Handler for Echo {
    async fn handle(&self, head: RequestHead, exchange: &mut ServerExchange) -> Result<(), HttpError> {
        let mut body = Vec::new();
        while let Some(chunk) = exchange.read_body_chunk().await? {
            body.extend_from_slice(&chunk);
        }
        if &*head.target == b"/peer" {
            let peer = exchange.peer();
            body = format!("certificates={} resumed={}", peer.certificates.len(), peer.resumed).into_bytes();
        }
        exchange.respond(200, "OK", NO_HEADERS, BodyFraming::Length(body.len() as u64)).await?;
        exchange.write(Bytes::from(body)).await?;
        exchange.finish().await
    }
}

/// Our port 5500.
fn our_server(keys: &Keys) -> (Workers, SocketAddr) {
    let hints = Arc::new(Vec::new());
    let auth =
        ClientAuth::Required { accept: Arc::new(|_| true), hints: Arc::new(move || Arc::clone(&hints)) };
    let tls = TlsServer::new(fixed_identity(keys.identity()), auth);
    let tls = Arc::new(tls.with_suites(TlsVersions::Both, cbc::suites()));
    let listener = ListenerConfig::new(([127, 0, 0, 1], 0).into(), Role::SecurityServer).with_tls(tls);
    let config =
        WorkerConfig { workers: 1, listeners: vec![listener], ..WorkerConfig::new(RuntimeKind::Epoll) };
    let workers = run_workers(config, |_| Rc::new(Echo)).unwrap();
    let address = workers.addresses()[0].1;
    (workers, address)
}

fn our_client(keys: &Keys) -> Arc<TlsClient> {
    let client = TlsClient::new(Some(fixed_identity(keys.identity())));
    Arc::new(client.with_suites(TlsVersions::Both, cbc::suites()))
}

/// One request on a connection of its own: body of the answer, resumed or not, certificates of the server.
async fn ask(
    pool: &Pool,
    address: SocketAddr,
    client: &Arc<TlsClient>,
    target: &str,
    body: &[u8],
) -> Result<(Vec<u8>, bool, usize), HttpError> {
    let to = Target::tls(vec![address], "127.0.0.1", Arc::clone(client));
    let mut connection = pool.connect(&to, PATIENCE).await?;
    let (method, framing) = match body.len() {
        0 => ("GET", BodyFraming::None),
        length => ("POST", BodyFraming::Length(length as u64)),
    };
    connection.send_request(method, target.as_bytes(), &[("Host", "peer")], framing).await?;
    connection.write(Bytes::copy_from_slice(body)).await?;
    connection.finish_request().await?;
    connection.read_head(PATIENCE).await?;
    let mut answer = Vec::new();
    while let Some(chunk) = connection.read_body_chunk().await? {
        answer.extend_from_slice(&chunk);
    }
    Ok((answer, connection.resumed(), connection.peer_certificates().len()))
}

fn as_worker<T>(test: impl Future<Output = T>) -> T {
    let runtime = WorkerRuntime::new(RuntimeKind::Epoll).unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") })
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 25) as u8).collect()
}

/// A peer's process; ends with its owner.
struct Peer(Child);

impl Peer {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(piped.spawn().unwrap())
    }

    /// The port in the first line that begins with `mark` and ends with a port number.
    fn port(&mut self, mark: &str) -> SocketAddr {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(mark)));
        let Some(Ok(line)) = line else {
            let mut said = String::new();
            let _ = self.0.stderr.as_mut().unwrap().read_to_string(&mut said);
            panic!("the peer does not listen: {said}");
        };
        let port = line.rsplit([':', ' ']).next().unwrap().parse().unwrap();
        ([127, 0, 0, 1], port).into()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn installed(program: &Path, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {} is not installed", program.display());
    }
    found
}
