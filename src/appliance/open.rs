//! Opens what the appliance consists of: trust at hand, registry, tokens, log.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::bounds::Bounds;
use super::{InternalTls, StartError, load_or_make};
use crate::config::{self, Config, Pin, Token as TokenKind};
use crate::control::{RegistryDb, SharedTrust};
use crate::crypto::RecordKeys;
use crate::exchange::HealthSwitches;
use crate::host;
use crate::log::{LogConfig, LogHandle};
use crate::registry::Registry;
use crate::signer::{BatchConfig, OfficialToken, SignerHandle, SoftwareToken, Token};
use crate::time::SharedClock;
use crate::trust::{GlobalConf, TrustSnapshot};
use crate::worker::{Budget, SpoolSpace};

// What was downloaded before is used until something newer comes.
pub(super) fn load_trust(config: &Config) -> SharedTrust {
    let global_conf = GlobalConf::load_dir(&config.globalconf.dir).unwrap_or_else(|error| {
        tracing::info!("no global configuration at hand yet: {}", error.text());
        GlobalConf::default()
    });
    let snapshot = TrustSnapshot { global_conf: Arc::new(global_conf), ..TrustSnapshot::default() };
    Arc::new(ArcSwap::from_pointee(snapshot))
}

pub(super) async fn open_registry(
    config: &Config,
    health: &Arc<HealthSwitches>,
) -> Result<Arc<ArcSwap<Registry>>, StartError> {
    let failed = |error: &dyn std::fmt::Display| format!("registry {}: {error}", config.registry.display());
    if let Some(folder) = config.registry.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let db = RegistryDb::open(&config.registry).await.map_err(|error| failed(&error))?;
    let mut db = db.with_owner(config.server_id.owner().client());
    let registry = Arc::new(ArcSwap::from_pointee(db.load().await.map_err(|error| failed(&error))?));
    tracing::info!(clients = registry.load().clients().len(), "registry loaded");
    let health = Arc::clone(health);
    tokio::spawn(db.watch(Arc::clone(&registry), move |reachable| health.set_registry_reachable(reachable)));
    Ok(registry)
}

/// The credential of the service manager that is the PIN where the configuration names none.
const PIN_CREDENTIAL: &str = "pin";

/// The PIN that the configuration gives or names, else the credential `pin`.
///
/// # Errors
/// A line of text: there is none, or its file cannot be read.
pub fn read_pin(config: &Config) -> Result<String, StartError> {
    match &config.signer.pin {
        Some(Pin::Text(pin)) => Ok(pin.clone()),
        Some(Pin::File(file)) => Ok(first_line(file)?),
        None => match host::credential(PIN_CREDENTIAL) {
            Some(file) => Ok(first_line(&file)?),
            None => Err(format!(
                "no PIN: give signer.pin_file or signer.pin in the configuration, or the credential {PIN_CREDENTIAL}"
            )
            .into()),
        },
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("PIN file {} cannot be read: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_string())
}

/// The token that the configuration names.
///
/// # Errors
/// As [`read_pin`], or the folder cannot be made.
pub fn open_token(config: &Config) -> Result<Box<dyn Token>, StartError> {
    let pin = read_pin(config)?;
    Ok(match &config.signer.token {
        TokenKind::Hermod { dir } => Box::new(SoftwareToken::open(dir, &pin)?),
        TokenKind::Official { keyconf } => Box::new(OfficialToken::new(keyconf, &pin)),
    })
}

pub(super) fn open_signer(
    config: &Config,
    token: &dyn Token,
    trust: &SharedTrust,
    clock: &SharedClock,
) -> Result<SignerHandle, StartError> {
    let batch = BatchConfig {
        requests_max: config.signer.batch_messages_max,
        linger_us_max: u32::try_from(config.signer.linger_us_max).unwrap_or(u32::MAX),
        ..BatchConfig::default()
    };
    let signer = SignerHandle::start(&[token], Arc::clone(trust), Arc::clone(clock), batch)?;
    tracing::info!(keys = signer.keys().len(), "token opened");
    Ok(signer)
}

/// The keys of encrypted records, where there are any.
///
/// # Errors
/// A line of text: the file cannot be read, or is none of keys.
pub fn read_record_keys(settings: &config::Log) -> Result<Option<Arc<RecordKeys>>, String> {
    let Some(file) = &settings.encryption_keys else { return Ok(None) };
    let text = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
    let text =
        text.map_err(|error| format!("keys of the log: {} cannot be read: {error}", file.display()))?;
    let keys = RecordKeys::parse(&text, settings.encryption_key.as_deref());
    keys.map(|keys| Some(Arc::new(keys)))
        .map_err(|error| format!("keys of the log: {}: {error}", file.display()))
}

pub(super) fn open_log(
    config: &Config,
    keys: Option<Arc<RecordKeys>>,
    clock: &SharedClock,
) -> Result<LogHandle, StartError> {
    let settings = LogConfig {
        keys,
        segment_bytes_max: config.log.segment_bytes_max,
        body_bytes_max: config.log.body_bytes_max,
        truncated_body_allowed: config.log.truncated_body_allowed,
        timestamp_failure_period_secs: u32::try_from(config.timestamp.failure_secs_max).unwrap_or(u32::MAX),
        ..LogConfig::new(config.log.dir.clone(), config.server_id.clone())
    };
    let log = LogHandle::open(settings, Arc::clone(clock))?;
    let (messages, timestamps) = log.reader().counts();
    tracing::info!(messages, timestamps, unstamped = log.reader().unstamped_count(), "message log opened");
    Ok(log)
}

pub(super) fn internal_tls(config: &Config) -> Result<Option<InternalTls>, StartError> {
    let name = config.server_id.server_code();
    Ok(Some(load_or_make(&config.tls.internal, &config.tls.internal_password, name)?))
}

pub(super) fn spools(config: &Config, bounds: &Bounds) -> Result<SpoolSpace, StartError> {
    let directory = config.root.join("spool");
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("spool directory {}: {error}", directory.display()))?;
    let (memory, disk) = (bounds.message_bytes, config.limits.spool_bytes_max);
    Ok(SpoolSpace::new(directory, Budget::new(memory), Budget::new(disk)))
}
