//! What would stop this server: looked at without starting or changing it.

use std::net::{SocketAddr, TcpListener};

use super::open::{open_token, read_record_keys};
use crate::config::Config;
use crate::control::archive::{ArchiveStore, Archiver};
use crate::control::{RegistryDb, TsaClient};
use crate::crypto::Certificate;
use crate::log::LogReader;
use crate::registry::Client;
use crate::signer::{CertificateStatus, KeyPurpose, TokenKey};
use crate::time::{SharedClock, UnixTime};
use crate::trust::{GlobalConf, anchor::Anchor};
use crate::worker::{RuntimeChoice, choose};

const DAY_SECS: i64 = 86_400;
/// Certificates that end within this time are warned of, in days.
const WARN_DAYS: i64 = 30;

/// One thing that was looked at: a line that begins with what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fine(String),
    /// Works now, and should be looked after.
    Warns(String),
    /// No message could pass.
    Stops(String),
}

impl Finding {
    /// The line.
    pub fn text(&self) -> &str {
        match self {
            Self::Fine(text) | Self::Warns(text) | Self::Stops(text) => text,
        }
    }
}

/// Looks at everything that `hermod run` needs, in the order in which it needs it.
pub fn examine(config: &Config, clock: SharedClock) -> Vec<Finding> {
    let mut findings = examine_beside(config, clock);
    ports(config, &mut findings);
    findings
}

/// The same beside a running server, or where somebody else holds the ports: all but these.
pub fn examine_beside(config: &Config, clock: SharedClock) -> Vec<Finding> {
    let now = clock.now();
    let mut findings = Vec::new();
    let global_conf = trust(config, now, &mut findings);
    keys(config, &global_conf, now, &mut findings);
    registry(config, &global_conf, &mut findings);
    message_log(config, &mut findings);
    archives(config, &mut findings);
    timestamping(config, &global_conf, &mut findings);
    runtime(config, &mut findings);
    findings
}

fn trust(config: &Config, now: UnixTime, findings: &mut Vec<Finding>) -> GlobalConf {
    let settings = &config.globalconf;
    match &settings.anchor {
        Some(file) => findings.push(match std::fs::read(file) {
            Ok(bytes) => match Anchor::parse(&bytes) {
                Ok(anchor) if anchor.instance == config.server_id.instance() => Finding::Fine(format!(
                    "anchor: {} is for instance {}, fingerprint {}",
                    file.display(),
                    anchor.instance,
                    Anchor::fingerprint(&bytes)
                )),
                Ok(anchor) => Finding::Stops(format!(
                    "anchor: {} is for instance {}, this server belongs to {}: get the anchor of that instance",
                    file.display(),
                    anchor.instance,
                    config.server_id.instance()
                )),
                Err(error) => Finding::Stops(format!("anchor: {}: {}", file.display(), error.text())),
            },
            Err(error) => Finding::Stops(format!(
                "anchor: {} cannot be read ({error}): get it from the instance's operator",
                file.display()
            )),
        }),
        None => findings.push(Finding::Fine(format!(
            "anchor: none; the global configuration in {} is followed as others write it",
            settings.dir.display()
        ))),
    }
    match GlobalConf::load_dir(&settings.dir) {
        Ok(global_conf) => {
            findings.push(match global_conf.check_valid(now) {
                Ok(()) => Finding::Fine(format!(
                    "global configuration: of instance {}, until {}",
                    global_conf.local_instance(),
                    global_conf.expires().map(|until| until.to_string()).unwrap_or_default()
                )),
                // The server downloads it when it starts.
                Err(error) if settings.anchor.is_some() => Finding::Warns(format!(
                    "global configuration: {}; it is downloaded when the server starts",
                    error.text()
                )),
                Err(error) => Finding::Stops(format!("global configuration: {}", error.text())),
            });
            global_conf
        }
        Err(error) => {
            findings.push(match settings.anchor.is_some() {
                true => Finding::Warns(format!(
                    "global configuration: none at hand yet ({}); it is downloaded when the server starts",
                    error.text()
                )),
                false => Finding::Stops(format!("global configuration: {}", error.text())),
            });
            GlobalConf::default()
        }
    }
}

fn keys(config: &Config, global_conf: &GlobalConf, now: UnixTime, findings: &mut Vec<Finding>) {
    let keys = match open_token(config).and_then(|token| Ok(token.keys()?)) {
        Ok(keys) => keys,
        Err(error) => return findings.push(Finding::Stops(format!("token: {error}"))),
    };
    for (purpose, name) in
        [(KeyPurpose::Authentication, "authentication key"), (KeyPurpose::Signing, "signing key")]
    {
        let of_purpose = || keys.iter().filter(|key| key.purpose == Some(purpose));
        if of_purpose().next().is_none() {
            findings.push(Finding::Stops(format!("token: there is no {name}")));
        }
        for key in of_purpose() {
            key_certificates(config, global_conf, now, (key, name), findings);
        }
    }
}

fn key_certificates(
    config: &Config,
    global_conf: &GlobalConf,
    now: UnixTime,
    (key, name): (&TokenKey, &str),
    findings: &mut Vec<Finding>,
) {
    if key.certificates.is_empty() {
        findings.push(Finding::Stops(format!(
            "{name} {}: it has no certificate yet; `hermod token import` adds it",
            key.id
        )));
    }
    for found in &key.certificates {
        let certificate = &found.certificate;
        let what = format!("{name} {}: certificate {}", key.id, certificate.subject().for_people());
        findings.push(if !found.active {
            Finding::Warns(format!("{what} is not active"))
        } else if found.status != Some(CertificateStatus::Registered) {
            Finding::Stops(format!("{what} is not registered"))
        } else if !certificate.is_valid_at(now) {
            Finding::Stops(format!(
                "{what} is valid from {} to {}, not now",
                certificate.not_before(),
                certificate.not_after()
            ))
        } else if let Some(problem) = unknown_to(config, global_conf, key, certificate) {
            Finding::Stops(format!("{what} {problem}"))
        } else if certificate.not_after() < now.plus_secs(WARN_DAYS * DAY_SECS) {
            Finding::Warns(format!("{what} ends {}: renew it", certificate.not_after()))
        } else {
            Finding::Fine(format!("{what} is valid until {}", certificate.not_after()))
        });
    }
}

// What the global configuration, if there is one, has against a certificate.
fn unknown_to(
    config: &Config,
    global_conf: &GlobalConf,
    key: &TokenKey,
    certificate: &Certificate,
) -> Option<String> {
    let instance = config.server_id.instance();
    global_conf.shared_params(instance)?;
    if global_conf.ca_by_subject(instance, certificate.issuer()).is_none() {
        return Some(format!("is issued by {}, which is not approved", certificate.issuer().for_people()));
    }
    if key.purpose == Some(KeyPurpose::Authentication) {
        return match global_conf.auth_cert_server(certificate) {
            Some(server) if server == config.server_id => None,
            Some(server) => Some(format!("is registered for security server {server}, not for this one")),
            None => Some("is not registered in the global configuration".into()),
        };
    }
    None
}

fn registry(config: &Config, global_conf: &GlobalConf, findings: &mut Vec<Finding>) {
    if !config.registry.exists() {
        return findings.push(Finding::Warns(format!(
            "registry: {} is not there yet; `hermod registry apply FILE` makes it",
            config.registry.display()
        )));
    }
    let loaded = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
        runtime.block_on(async {
            let mut db = RegistryDb::open(&config.registry).await.map_err(|error| error.to_string())?;
            db.load().await.map_err(|error| error.to_string())
        })
    });
    match loaded {
        Ok(Ok(registry)) if registry.clients().is_empty() => findings.push(Finding::Warns(
            "registry: it has no clients yet; `hermod registry apply FILE` adds them".into(),
        )),
        Ok(Ok(registry)) => registry.clients().iter().for_each(|client| {
            findings.push(registered(config, global_conf, client));
        }),
        Ok(Err(error)) => findings.push(Finding::Stops(format!("registry: {error}"))),
        Err(error) => findings.push(Finding::Stops(format!("registry: {error}"))),
    }
}

fn registered(config: &Config, global_conf: &GlobalConf, client: &Client) -> Finding {
    let id = &client.id;
    if !client.is_registered() {
        return Finding::Warns(format!("client {id}: its status is '{}'", client.status.as_str()));
    }
    match global_conf.server(&config.server_id) {
        Some(server) if !server.clients.contains(id) => Finding::Warns(format!(
            "client {id}: the global configuration does not register it at this security server"
        )),
        _ => Finding::Fine(format!("client {id}: {} services", client.services.len())),
    }
}

fn message_log(config: &Config, findings: &mut Vec<Finding>) {
    let dir = &config.log.dir;
    findings.push(if !dir.exists() {
        Finding::Fine(format!("message log: {} will be made", dir.display()))
    } else {
        match LogReader::open(dir) {
            Ok(log) => {
                let (messages, timestamps) = log.counts();
                let waiting = log.unstamped_count();
                let text = format!(
                    "message log: {messages} messages, {timestamps} time-stamps, {waiting} messages wait for one"
                );
                match log.damages().len() {
                    0 => Finding::Fine(text),
                    damages => Finding::Warns(format!("{text}; {damages} damaged places are stepped over")),
                }
            }
            Err(error) => Finding::Stops(format!("message log: {error}")),
        }
    });
}

fn archives(config: &Config, findings: &mut Vec<Finding>) {
    let settings = &config.log;
    if !settings.records {
        findings.push(Finding::Warns(
            "message log: messages are not logged (log.records): nothing can be proved".into(),
        ));
    }
    if let Err(error) = read_record_keys(settings) {
        findings.push(Finding::Stops(error));
    }
    if let Err(error) = ArchiveStore::new(&config.archive_store, &settings.archive_dir) {
        findings.push(Finding::Stops(error.to_string()));
    }
    let dir = &settings.archive_dir;
    findings.push(match dir.exists().then(|| tempfile::tempfile_in(dir)) {
        Some(Err(error)) => {
            Finding::Warns(format!("archives: {} cannot be written ({error})", dir.display()))
        }
        found => {
            let state = if found.is_some() { "can be written" } else { "will be made" };
            Finding::Fine(format!("archives: {} {state}", dir.display()))
        }
    });
    match Archiver::key_problems(settings) {
        Ok(problems) => {
            findings.extend(problems.into_iter().map(|text| Finding::Warns(format!("archives: {text}"))))
        }
        Err(error) => findings.push(Finding::Warns(format!("archives: {error}"))),
    }
    if settings.archive_interval_secs == 0 && settings.keep_unarchived {
        findings.push(Finding::Warns(
            "archives: nothing is archived but by `hermod archive run`, and nothing leaves the log before it is".into(),
        ));
    }
}

fn timestamping(config: &Config, global_conf: &GlobalConf, findings: &mut Vec<Finding>) {
    let urls = TsaClient::urls_of(&config.timestamp, global_conf);
    findings.push(match urls.as_slice() {
        [] if global_conf.shared_params(config.server_id.instance()).is_none() => Finding::Warns(
            "time-stamping: the authority is not known before the global configuration is".into(),
        ),
        [] => Finding::Stops(
            "time-stamping: no authority is configured or approved; every message would be refused".into(),
        ),
        urls => Finding::Fine(format!("time-stamping: {}", urls.join(", "))),
    });
}

fn ports(config: &Config, findings: &mut Vec<Finding>) {
    let listen = &config.listen;
    let wanted = [
        ("client port (HTTP)", listen.consumer_http),
        ("client port (HTTPS)", listen.consumer_https),
        ("server port", Some(listen.server)),
        ("OCSP port", Some(listen.ocsp)),
        ("admin port", config.admin.listen),
        ("health-check port", config.health.listen),
    ];
    for (name, address) in wanted {
        if let Some(address) = address {
            findings.push(port(name, address));
        }
    }
}

fn port(name: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::Fine(format!("{name}: {address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Finding::Stops(format!("{name}: {address} is in use; does a server run already?"))
        }
        Err(error) => Finding::Stops(format!("{name}: {address} cannot be opened: {error}")),
    }
}

fn runtime(config: &Config, findings: &mut Vec<Finding>) {
    let choice = RuntimeChoice::from(config.worker.runtime);
    findings.push(match choose(choice) {
        Ok((kind, why)) => Finding::Fine(format!("runtime: {kind}, {why}")),
        Err(error) => Finding::Stops(format!("runtime: {error}")),
    });
}
