//! The tables of the configuration file, one struct each.

mod log;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::trust::CostStrategy;

pub use log::*;

/// `[listen]`: addresses as `IP:port`. `0.0.0.0` is every IPv4 address of the host, `[::]` every address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Information systems over HTTP. Default `0.0.0.0:8080`; `off` for none.
    pub consumer_http: Option<SocketAddr>,
    /// Information systems over HTTPS. Default `0.0.0.0:8443`; `off` for none.
    pub consumer_https: Option<SocketAddr>,
    /// Messages of other security servers. Default `0.0.0.0:5500`.
    pub server: SocketAddr,
    /// OCSP responses for other security servers. Default `0.0.0.0:5577`.
    pub ocsp: SocketAddr,
}

/// `[admin]`: what the operator's own tools ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// Serves `GET /metrics` (Prometheus text) over plain HTTP at this address. Default `off`. Meant for loopback or a
    /// network of the operator's own: nobody is asked who he is.
    pub listen: Option<SocketAddr>,
    /// The same, and `GET /status`, on a Unix socket that the server's user and group may open. Default `admin.sock`; `off`
    /// for none.
    pub socket: Option<PathBuf>,
}

/// `[countdown]`: how long before messages stop the journal warns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countdown {
    /// Distances in seconds. Default 14400, 3600, 900, 300, 60.
    pub warn_secs: Vec<u64>,
    /// The same for certificates. Default 30, 14, 7, 3 and 1 days.
    pub certificate_warn_secs: Vec<u64>,
}

/// `[health]`: what load balancers ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Answers whether the server can do its work, to any request over plain HTTP. Default `off`.
    pub listen: Option<SocketAddr>,
}

/// What drives the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// io_uring where the host allows it, else epoll.
    Auto,
    /// io_uring, or the server does not start.
    IoUring,
    /// epoll.
    Epoll,
}

/// `[worker]`: the threads that carry messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Number of threads. Default 0: one for each core that the process may use.
    pub threads: usize,
    /// Default `auto`.
    pub runtime: Runtime,
    /// Pin each thread to a core of the allowed set. Default true.
    pub pin: bool,
}

/// Where keys and their certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A folder in Hermod's own layout.
    Hermod {
        /// The folder, default `tokens`.
        dir: PathBuf,
    },
    /// The files of an official signer: `keyconf.xml` with `softtoken/*.p12` beside it.
    Official {
        /// Path of `keyconf.xml`.
        keyconf: PathBuf,
    },
}

/// Where the PIN of the software token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Pin {
    /// Given in the configuration file.
    Text(String),
    /// The first line of a file.
    File(PathBuf),
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(not shown)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Kind of new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA of some bits.
    Rsa {
        /// Modulus length in bits.
        bits: u32,
    },
    /// ECDSA on P-256.
    EcP256,
}

/// `[signer]`: keys and signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// `token` (`hermod` by default, or `official`) with `dir` or `keyconf`.
    pub token: Token,
    /// `pin` or `pin_file`; `None` when neither is given (the token cannot be opened then).
    pub pin: Option<Pin>,
    /// `key` (`rsa` by default, or `ec`) with `rsa_bits` (default 3072): kind of new keys.
    pub new_keys: KeyKind,
    /// Largest number of messages under one signature. Default 4096.
    pub batch_messages_max: usize,
    /// Longest wait for more messages before a signature is made, in microseconds. Default 2000. Only used while
    /// signing takes more than its share of a core; an idle server signs at once.
    pub linger_us_max: u64,
}

/// A version of X-Road software, as `x-proxy-version` carries it. Order is that of SemVer without build data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XRoadVersion {
    /// Major, minor, patch.
    pub numbers: (u32, u32, u32),
    /// False for a pre-release such as `7.8.0-SNAPSHOT`, which sorts below the release.
    pub release: bool,
}

impl XRoadVersion {
    /// Parses `7.8.0` or `7.8.0-suffix` (also with `+build`); `None` for anything that is not SemVer.
    pub fn parse(text: &str) -> Option<Self> {
        let (core, build) = text.split_once('+').map_or((text, None), |(core, build)| (core, Some(build)));
        let (core, suffix) = core.split_once('-').map_or((core, None), |(core, suffix)| (core, Some(suffix)));
        let identifiers = |text: &str| {
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            text.split('.').all(word)
        };
        if !build.is_none_or(identifiers) || !suffix.is_none_or(identifiers) {
            return None;
        }
        let mut numbers = core.split('.').map(|number| {
            let plain =
                number.bytes().all(|b| b.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
            plain.then(|| number.parse::<u32>().ok()).flatten()
        });
        let numbers = match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(major), Some(minor), Some(patch), None) => (major?, minor?, patch?),
            _ => return None,
        };
        Some(Self { numbers, release: suffix.is_none() })
    }
}

/// `[proxy]`: exchange with other security servers and with services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Port of other security servers for messages. Default 5500.
    pub server_port: u16,
    /// Port of other security servers for OCSP responses. Default 5577.
    pub ocsp_port: u16,
    /// Connecting to another security server may take this long, in milliseconds. Default 30000.
    pub client_timeout_ms: u64,
    /// The answer of another security server may take this long between two reads, in milliseconds; 0 for ever.
    /// Default 0.
    pub client_read_timeout_ms: u64,
    /// An accepted connection may stay idle this long, in milliseconds. Default 30000.
    pub idle_timeout_ms: u64,
    /// Timeout of a service that has none of its own, in seconds. Default 60.
    pub service_timeout_secs: u32,
    /// Keep connections between security servers open for more than one message. Default true.
    pub connection_reuse: bool,
    /// Idle connections kept for each peer address and worker. Default 256.
    pub pooled_connections_max: usize,
    /// The fastest of several provider addresses is remembered this long, in seconds; 0 not at all. Default 3600.
    pub fastest_selection_secs: u64,
    /// Oldest version of a consumer's security server that is served. Default none: any, also unnamed.
    pub min_supported_client_version: Option<XRoadVersion>,
    /// The version told to peers. Default `7.8.0`.
    pub version: String,
    /// Check the connection type and certificate of information systems. Default true.
    pub verify_client_cert: bool,
    /// Refuse certificates of information systems outside their validity. Default false.
    pub enforce_client_cert_validity: bool,
}

/// `[limits]`: what messages may take while they are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory for all messages together, beyond 64 KiB of each, in bytes. SOAP envelopes that find no room are refused,
    /// bodies go to the disk. Default 268435456 (256 MiB).
    pub memory_bytes_max: u64,
    /// Largest REST body, or attachments, of a message from another security server, in bytes. Default 2147483648 (2 GiB).
    pub body_bytes_max: u64,
    /// Bodies of all messages on disk at a time, in bytes. Default 17179869184 (16 GiB).
    pub spool_bytes_max: u64,
    /// Least rate of a request's body, in bytes a second over a minute; 0 for none. Default 256.
    pub request_bytes_per_sec_min: u64,
}

/// `[tls]`: the side of information systems and services, and what other servers are offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PKCS#12 file with the internal TLS key and certificate. Default `tls/internal.p12`; made at first start.
    pub internal: PathBuf,
    /// Its password. Default `internal`.
    pub internal_password: String,
    /// Between servers, offer and accept AES-CBC suites after all others. Default true: without them, servers with
    /// the official defaults are out of reach.
    pub cbc: bool,
    /// Between servers, offer and accept TLS 1.3 and the suites of TLS 1.2 that are not AES-CBC. Default true.
    pub modern: bool,
    /// Between servers, let sessions be resumed. Default true.
    pub resumption: bool,
    /// Between servers, carry many exchanges at a time on one connection where the other server can, which only Hermod
    /// does. Default true; false without `modern`.
    pub multiplexing: bool,
}

/// Which federated instances are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Federations {
    /// The own instance only.
    #[default]
    None,
    /// All that the own instance's private parameters name.
    All,
    /// Those of them that are listed, letters of either case.
    Listed(Vec<String>),
}

impl Federations {
    /// From a list of instances in which `all` and `none` are words (X-Road 7.8: `none` anywhere wins).
    pub fn from_words(words: Vec<String>) -> Self {
        let has = |wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
        match words.is_empty() || has("none") {
            true => Self::None,
            false if has("all") => Self::All,
            false => Self::Listed(words),
        }
    }

    /// Whether a foreign instance is followed.
    pub fn allows(&self, instance: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Listed(listed) => listed.iter().any(|one| one.to_lowercase() == instance.to_lowercase()),
        }
    }
}

/// `[globalconf]`: where trust comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalConfiguration {
    /// The stored configuration, in the official layout. Default `globalconf`.
    pub dir: PathBuf,
    /// The configuration anchor. Default none: nothing is downloaded, and `dir` is watched as it is.
    pub anchor: Option<PathBuf>,
    /// Time between two downloads (or looks at `dir`), in seconds. Default 60.
    pub update_interval_secs: u64,
    /// `allowed_federations`: federated instances to follow. Default none.
    pub federations: Federations,
    /// Accept a directory that is older than one that was accepted before. Default false.
    pub rollback_allowed: bool,
    /// Take shared parameters of other instances, as far as these may be followed, from the directory of the own
    /// instance's source. Default false: a source speaks for its own instance.
    pub other_instances_allowed: bool,
    /// Check the certificate chain of https sources. Default true.
    pub tls_verification: bool,
    /// Check the host name in the certificate of https sources. Default true.
    pub hostname_verification: bool,
    /// Connecting to a source may take this long, in milliseconds. Default 10000.
    pub connect_timeout_ms: u64,
    /// A source's answer may take this long, in milliseconds. Default 30000.
    pub read_timeout_ms: u64,
}

/// `[ocsp]`: answers about own certificates, and about those of peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ocsp {
    /// Stored answers. Default `ocsp`.
    pub dir: PathBuf,
    /// Fetch answers at all. Default true.
    pub retrieval: bool,
    /// Which of the listed responders are asked, by what they cost. Default `none`: all, in order.
    pub strategy: CostStrategy,
    /// After a failure the next try is made within this time, in seconds. Default 60.
    pub retry_secs: u64,
    /// Time between two fetches, in seconds, instead of the global configuration's. Default 0: as configured there.
    pub fetch_interval_secs: u64,
    /// Connecting to a responder may take this long, in milliseconds. Default 20000.
    pub connect_timeout_ms: u64,
    /// A responder's answer may take this long, in milliseconds. Default 60000.
    pub read_timeout_ms: u64,
    /// Connecting to port 5577 of a peer may take this long, in milliseconds. Default 20000.
    pub peer_connect_timeout_ms: u64,
    /// A peer's answer may take this long, in milliseconds. Default 30000.
    pub peer_read_timeout_ms: u64,
}

/// `[monitoring]`: what is recorded of exchanges for operational monitoring, and who is told what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// Record exchanges and answer queries for them. Default true.
    pub operational: bool,
    /// The database of records. Default `monitoring.sqlite`.
    pub database: PathBuf,
    /// Records are kept this long, in days. Default 7.
    pub keep_days: u32,
    /// Records are kept up to this number. Default 5000000.
    pub records_max: u64,
    /// Records waiting to be stored; further ones push out the oldest. Default 20000.
    pub queue_records_max: usize,
    /// Records of one answer, besides those of its last second. Default 10000.
    pub payload_records_max: u32,
    /// Records are told once they are this old, in seconds. Default 60.
    pub available_after_secs: u32,
    /// Health figures are over this period, in seconds. Default 600.
    pub health_period_secs: u32,
    /// Tell the owner and the central monitoring client how the host fares. Default true.
    pub environmental: bool,
    /// Tell the latter version, operating system and certificates only. Default false.
    pub limit_remote_data_set: bool,
}

/// `[logging]`: what the server tells its operator (not the message log).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,hermod::exchange=debug`.
    /// Default `info`; the environment variable `HERMOD_LOG` goes before it.
    pub level: String,
}
