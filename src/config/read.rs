//! From the tables of the file to [`Config`]: keys, defaults and ranges.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::*;
use crate::message::ClientId;
use crate::trust::CostStrategy;

const HOUR_MS: u64 = 3_600_000;

pub(super) fn config(file: &mut Section<'_>, folder: &Path) -> Option<Config> {
    let presets = PRESETS.map(|(name, _)| (name, ()));
    file.choice("preset", &presets);
    let root = folder.join(file.text("root").unwrap_or(DEFAULT_ROOT.into()));
    let registry = path(file, "registry", &root, "registry.sqlite");
    let audit = path(file, "audit", &root, "audit.log");
    let server_id = file.section("server", server_id);
    let config = Config {
        listen: file.section("listen", listen),
        admin: file.section("admin", |section| admin(section, &root)),
        health: file.section("health", health),
        countdown: file.section("countdown", countdown),
        worker: file.section("worker", worker),
        signer: file.section("signer", |section| signer(section, &root)),
        log: file.section("log", |section| log(section, &root)),
        archive_store: file.section("archive_store", |section| archive_store(section, &root)),
        follow_postgresql: file.section("follow_postgresql", |section| follow_postgresql(section, &root)),
        timestamp: file.section("timestamp", timestamp),
        proxy: file.section("proxy", proxy),
        limits: file.section("limits", limits),
        tls: file.section("tls", |section| tls(section, &root)),
        globalconf: file.section("globalconf", |section| globalconf(section, &root)),
        ocsp: file.section("ocsp", |section| ocsp(section, &root)),
        monitoring: file.section("monitoring", |section| monitoring(section, &root)),
        logging: file.section("logging", logging),
        server_id: server_id?,
        registry,
        audit,
        root,
    };
    Some(config)
}

fn path(section: &mut Section<'_>, key: &'static str, root: &Path, default: &str) -> PathBuf {
    root.join(section.text(key).unwrap_or_else(|| default.into()))
}

fn server_id(section: &mut Section<'_>) -> Option<SecurityServerId> {
    let instance = section.required_text("instance");
    let member_class = section.required_text("member_class");
    let member_code = section.required_text("member_code");
    let server_code = section.required_text("server_code");
    match SecurityServerId::new(&instance?, &member_class?, &member_code?, &server_code?) {
        Ok(id) => Some(id),
        Err(error) => {
            section.complain(error.to_string());
            None
        }
    }
}

fn listen(section: &mut Section<'_>) -> Listen {
    let mut address = |key, default: u16| {
        section.parsed(key, address).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], default)))
    };
    let (server, ocsp) = (address("server", 5500), address("ocsp", 5577));
    let mut optional = |key, default: u16| {
        let off = |text: &str| if text == "off" { Ok(None) } else { address_or_off(text) };
        section.parsed(key, off).unwrap_or_else(|| Some(SocketAddr::from(([0, 0, 0, 0], default))))
    };
    let (consumer_http, consumer_https) = (optional("consumer_http", 8080), optional("consumer_https", 8443));
    Listen { consumer_http, consumer_https, server, ocsp }
}

fn admin(section: &mut Section<'_>, root: &Path) -> Admin {
    let listen = section.parsed("listen", address_or_off).unwrap_or_default();
    let socket = section.text("socket").unwrap_or_else(|| "admin.sock".into());
    Admin { listen, socket: (socket != "off").then(|| root.join(socket)) }
}

fn countdown(section: &mut Section<'_>) -> Countdown {
    const DAY: u64 = 86_400;
    let mut distances =
        |key, default: [u64; 5]| section.numbers(key, 0..=366 * DAY).unwrap_or_else(|| default.to_vec());
    Countdown {
        warn_secs: distances("warn_secs", [14_400, 3600, 900, 300, 60]),
        certificate_warn_secs: distances(
            "certificate_warn_secs",
            [30 * DAY, 14 * DAY, 7 * DAY, 3 * DAY, DAY],
        ),
    }
}

fn health(section: &mut Section<'_>) -> Health {
    Health { listen: section.parsed("listen", address_or_off).unwrap_or_default() }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not an address and port such as 0.0.0.0:5500"))
}

fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    address(text).map(Some).map_err(|error| format!("{error}, nor \"off\""))
}

fn worker(section: &mut Section<'_>) -> Worker {
    let runtimes = [("auto", Runtime::Auto), ("io_uring", Runtime::IoUring), ("epoll", Runtime::Epoll)];
    Worker {
        threads: section.number("threads", 0..=1024).unwrap_or(0),
        runtime: section.choice("runtime", &runtimes).unwrap_or(Runtime::Auto),
        pin: section.switch("pin").unwrap_or(true),
    }
}

fn signer(section: &mut Section<'_>, root: &Path) -> Signer {
    let official = section.choice("token", &[("hermod", false), ("official", true)]).unwrap_or(false);
    let dir = path(section, "dir", root, "tokens");
    let keyconf = section.text("keyconf").map(|keyconf| root.join(keyconf));
    let token = match (official, keyconf) {
        (false, None) => Token::Hermod { dir },
        (true, Some(keyconf)) if !section.has("dir") => Token::Official { keyconf },
        (true, Some(keyconf)) => {
            section.complain_about("dir", "signer.dir is only for token = \"hermod\"");
            Token::Official { keyconf }
        }
        (false, Some(_)) => {
            section.complain_about("keyconf", "signer.keyconf is only for token = \"official\"");
            Token::Hermod { dir }
        }
        (true, None) => {
            section.complain_about(
                "token",
                "token = \"official\" needs signer.keyconf, the path of keyconf.xml",
            );
            Token::Hermod { dir }
        }
    };
    let text = section.text("pin").map(Pin::Text);
    let file = section.text("pin_file").map(|file| Pin::File(root.join(file)));
    if text.is_some() && file.is_some() {
        section.complain_about("pin_file", "signer.pin and signer.pin_file are both given: keep one");
    }
    let ec = section.choice("key", &[("rsa", false), ("ec", true)]).unwrap_or(false);
    let bits = section.number("rsa_bits", 2048..=8192).unwrap_or(3072);
    Signer {
        token,
        pin: text.or(file),
        new_keys: if ec { KeyKind::EcP256 } else { KeyKind::Rsa { bits } },
        batch_messages_max: section.number("batch_messages_max", 1..=1_000_000).unwrap_or(4096),
        linger_us_max: section.number("linger_us_max", 0..=1_000_000).unwrap_or(10_000),
    }
}

fn log(section: &mut Section<'_>, root: &Path) -> Log {
    let groupings =
        [("none", Grouping::None), ("member", Grouping::Member), ("subsystem", Grouping::Subsystem)];
    let encryption_keys = section.text("encryption_keys").map(|file| secret_file(&file, root));
    let encryption_key = section.text("encryption_key");
    if encryption_key.is_some() && encryption_keys.is_none() {
        section.complain_about("encryption_key", "log.encryption_key is one of the file log.encryption_keys");
    }
    Log {
        encryption_keys,
        encryption_key,
        dir: path(section, "dir", root, "log"),
        archive_dir: path(section, "archive_dir", root, "archive"),
        archive_interval_secs: section.number("archive_interval_secs", 0..=31_536_000).unwrap_or(21_600),
        archive_file_bytes_max: section.number("archive_file_bytes_max", 1..=1 << 28).unwrap_or(32 << 20),
        archive_grouping: section.choice("archive_grouping", &groupings).unwrap_or_default(),
        archive_transfer_command: section.text("archive_transfer_command"),
        archive_core_percent: section.number("archive_core_percent", 1..=100).unwrap_or(10),
        archive_encryption: section.switch("archive_encryption").unwrap_or(false),
        archive_gpg_home: path(section, "archive_gpg_home", root, "gpghome"),
        archive_encryption_key: section.text("archive_encryption_key"),
        archive_encryption_keys: section.text("archive_encryption_keys").map(|file| root.join(file)),
        keep_days: section.number("keep_days", 0..=36_500).unwrap_or(30),
        keep_bytes_max: section.number("keep_bytes_max", 0..=1 << 50).unwrap_or(0),
        keep_unarchived: section.switch("keep_unarchived").unwrap_or(true),
        segment_bytes_max: section.number("segment_bytes_max", 1 << 20..=1 << 40).unwrap_or(256 << 20),
        records: section.switch("records").unwrap_or(true),
        records_except: section.list("records_except", client_id),
        bodies: section.switch("bodies").unwrap_or(true),
        bodies_except: section.list("bodies_except", client_id),
        body_bytes_max: section.number("body_bytes_max", 0..=1 << 30).unwrap_or(10_485_760),
        truncated_body_allowed: section.switch("truncated_body_allowed").unwrap_or(false),
    }
}

fn archive_store(section: &mut Section<'_>, root: &Path) -> ArchiveStore {
    let access_key = section.text("access_key");
    let secret_key_file = section.text("secret_key_file").map(|file| secret_file(&file, root));
    if access_key.is_some() != secret_key_file.is_some() {
        section.complain("archive_store.access_key and archive_store.secret_key_file belong together");
    }
    ArchiveStore {
        bucket: section.text("bucket"),
        endpoint: section.parsed("endpoint", http_url),
        region: section.text("region").unwrap_or_else(|| "us-east-1".into()),
        prefix: section.text("prefix").unwrap_or_default(),
        virtual_hosted: section.switch("virtual_hosted").unwrap_or(false),
        access_key,
        secret_key_file,
        keep_local: section.switch("keep_local").unwrap_or(false),
    }
}

fn follow_postgresql(section: &mut Section<'_>, root: &Path) -> FollowPostgresql {
    let url = |text: &str| match text.starts_with("postgresql://") || text.starts_with("postgres://") {
        true => Ok(text.to_owned()),
        false => Err(format!("\"{text}\" is not postgresql://USER@HOST/DATABASE")),
    };
    FollowPostgresql {
        url: section.parsed("url", url),
        password_file: section.text("password_file").map(|file| secret_file(&file, root)),
    }
}

/// A file with a secret: `credential:NAME` is what the service manager passes under that name.
fn secret_file(text: &str, root: &Path) -> PathBuf {
    match text.strip_prefix("credential:") {
        Some(name) => Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_default()).join(name),
        None => root.join(text),
    }
}

fn timestamp(section: &mut Section<'_>) -> Timestamp {
    Timestamp {
        urls: section.list("urls", http_url),
        immediately: section.switch("immediately").unwrap_or(false),
        strategy: strategy(section),
        hedge_ms: section.number("hedge_ms", 0..=HOUR_MS).unwrap_or(10_000),
        records_max: section.number("records_max", 1..=1_000_000).unwrap_or(10_000),
        failure_secs_max: section.number("failure_secs_max", 0..=31_536_000).unwrap_or(14_400),
        interval_secs: section.number("interval_secs", 0..=86_400).unwrap_or(0),
        retry_secs: section.number("retry_secs", 1..=86_400).unwrap_or(60),
        connect_timeout_ms: section.number("connect_timeout_ms", 1..=HOUR_MS).unwrap_or(20_000),
        read_timeout_ms: section.number("read_timeout_ms", 1..=HOUR_MS).unwrap_or(60_000),
    }
}

fn strategy(section: &mut Section<'_>) -> CostStrategy {
    let words = [
        ("none", CostStrategy::None),
        ("only_free", CostStrategy::OnlyFree),
        ("only_paid", CostStrategy::OnlyPaid),
        ("free_first", CostStrategy::FreeFirst),
        ("paid_first", CostStrategy::PaidFirst),
    ];
    section.choice("strategy", &words).unwrap_or_default()
}

fn proxy(section: &mut Section<'_>) -> Proxy {
    let version = |text: &str| {
        XRoadVersion::parse(text).ok_or_else(|| format!("\"{text}\" is not a version such as 7.8.0"))
    };
    Proxy {
        server_port: section.number("server_port", 1..=65_535).unwrap_or(5500),
        ocsp_port: section.number("ocsp_port", 1..=65_535).unwrap_or(5577),
        client_timeout_ms: section.number("client_timeout_ms", 1..=HOUR_MS).unwrap_or(30_000),
        client_read_timeout_ms: section.number("client_read_timeout_ms", 0..=24 * HOUR_MS).unwrap_or(0),
        idle_timeout_ms: section.number("idle_timeout_ms", 100..=HOUR_MS).unwrap_or(30_000),
        service_timeout_secs: section.number("service_timeout_secs", 1..=86_400).unwrap_or(60),
        connection_reuse: section.switch("connection_reuse").unwrap_or(true),
        pooled_connections_max: section.number("pooled_connections_max", 0..=10_000).unwrap_or(256),
        fastest_selection_secs: section.number("fastest_selection_secs", 0..=86_400).unwrap_or(3600),
        min_supported_client_version: section.parsed("min_supported_client_version", version),
        version: section
            .parsed("version", |text| version(text).map(|_| text.to_string()))
            .unwrap_or_else(|| XROAD_VERSION.into()),
        verify_client_cert: section.switch("verify_client_cert").unwrap_or(true),
        enforce_client_cert_validity: section.switch("enforce_client_cert_validity").unwrap_or(false),
    }
}

fn limits(section: &mut Section<'_>) -> Limits {
    use crate::limits::*;
    let largest = 1_u64 << 50;
    Limits {
        memory_bytes_max: section
            .number("memory_bytes_max", 1 << 20..=largest)
            .unwrap_or(MESSAGE_MEMORY_BYTES_MAX),
        body_bytes_max: section.number("body_bytes_max", 1 << 20..=largest).unwrap_or(MESSAGE_BODY_BYTES_MAX),
        spool_bytes_max: section.number("spool_bytes_max", 1 << 20..=largest).unwrap_or(SPOOLED_BYTES_MAX),
        request_bytes_per_sec_min: section
            .number("request_bytes_per_sec_min", 0..=1_000_000)
            .unwrap_or(HTTP_BODY_BYTES_PER_SEC_MIN),
    }
}

fn tls(section: &mut Section<'_>, root: &Path) -> Tls {
    let (cbc, modern) = (section.switch("cbc").unwrap_or(true), section.switch("modern").unwrap_or(true));
    if !cbc && !modern {
        section.complain_about("modern", "tls.cbc and tls.modern are both false: nothing is left to offer");
    }
    Tls {
        internal: path(section, "internal", root, "tls/internal.p12"),
        internal_password: section.text("internal_password").unwrap_or_else(|| "internal".into()),
        cbc,
        modern,
        resumption: section.switch("resumption").unwrap_or(true),
        multiplexing: section.switch("multiplexing").unwrap_or(true) && modern,
    }
}

fn globalconf(section: &mut Section<'_>, root: &Path) -> GlobalConfiguration {
    GlobalConfiguration {
        dir: path(section, "dir", root, "globalconf"),
        anchor: section.text("anchor").map(|anchor| root.join(anchor)),
        update_interval_secs: section.number("update_interval_secs", 1..=86_400).unwrap_or(60),
        federations: Federations::from_words(section.list("allowed_federations", instance_or_word)),
        rollback_allowed: section.switch("rollback_allowed").unwrap_or(false),
        other_instances_allowed: section.switch("other_instances_allowed").unwrap_or(false),
        tls_verification: section.switch("tls_verification").unwrap_or(true),
        hostname_verification: section.switch("hostname_verification").unwrap_or(true),
        connect_timeout_ms: section.number("connect_timeout_ms", 1..=HOUR_MS).unwrap_or(10_000),
        read_timeout_ms: section.number("read_timeout_ms", 1..=HOUR_MS).unwrap_or(30_000),
    }
}

fn instance_or_word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an instance must not be blank".into()),
        text => Ok(text.into()),
    }
}

fn ocsp(section: &mut Section<'_>, root: &Path) -> Ocsp {
    Ocsp {
        dir: path(section, "dir", root, "ocsp"),
        retrieval: section.switch("retrieval").unwrap_or(true),
        strategy: strategy(section),
        retry_secs: section.number("retry_secs", 1..=86_400).unwrap_or(60),
        fetch_interval_secs: section.number("fetch_interval_secs", 0..=86_400).unwrap_or(0),
        connect_timeout_ms: section.number("connect_timeout_ms", 1..=HOUR_MS).unwrap_or(20_000),
        read_timeout_ms: section.number("read_timeout_ms", 1..=HOUR_MS).unwrap_or(60_000),
        peer_connect_timeout_ms: section.number("peer_connect_timeout_ms", 1..=HOUR_MS).unwrap_or(20_000),
        peer_read_timeout_ms: section.number("peer_read_timeout_ms", 1..=HOUR_MS).unwrap_or(30_000),
    }
}

fn monitoring(section: &mut Section<'_>, root: &Path) -> Monitoring {
    Monitoring {
        operational: section.switch("operational").unwrap_or(true),
        database: path(section, "database", root, "monitoring.sqlite"),
        keep_days: section.number("keep_days", 1..=3650).unwrap_or(7),
        records_max: section.number("records_max", 1000..=1_000_000_000).unwrap_or(5_000_000),
        queue_records_max: section.number("queue_records_max", 1..=1_000_000).unwrap_or(20_000),
        payload_records_max: section.number("payload_records_max", 1..=1_000_000).unwrap_or(10_000),
        available_after_secs: section.number("available_after_secs", 1..=3600).unwrap_or(60),
        health_period_secs: section.number("health_period_secs", 60..=86_400).unwrap_or(600),
        environmental: section.switch("environmental").unwrap_or(true),
        limit_remote_data_set: section.switch("limit_remote_data_set").unwrap_or(false),
    }
}

fn logging(section: &mut Section<'_>) -> Logging {
    let level = |text: &str| {
        tracing_subscriber::EnvFilter::try_new(text)
            .map(|_| text.to_string())
            .map_err(|error| error.to_string())
    };
    Logging { level: section.parsed("level", level).unwrap_or_else(|| "info".into()) }
}

/// An absolute http or https URL with a host.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let uri: hyper::Uri = text.parse().map_err(|error| format!("\"{text}\" is not a URL: {error}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(text.to_string()),
        _ => Err(format!("\"{text}\" is not an http or https URL")),
    }
}

/// A client id written as 3 or 4 parts between slashes, each part percent-encoded where it holds `%` or `/`.
pub(crate) fn client_id(text: &str) -> Result<ClientId, String> {
    let parts = id_parts(text)?;
    let (instance, class, code, subsystem) = match parts.as_slice() {
        [instance, class, code] => (instance, class, code, None),
        [instance, class, code, subsystem] => (instance, class, code, Some(subsystem.as_str())),
        _ => return Err(format!("\"{text}\" is not instance/class/code or instance/class/code/subsystem")),
    };
    ClientId::new(instance, class, code, subsystem).map_err(|error| format!("\"{text}\": {error}"))
}

/// The parts between slashes, percent-decoded.
pub(crate) fn id_parts(text: &str) -> Result<Vec<String>, String> {
    text.split('/')
        .map(|part| percent_decode(part).ok_or_else(|| format!("\"{part}\" is badly encoded")))
        .collect()
}

fn percent_decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}
