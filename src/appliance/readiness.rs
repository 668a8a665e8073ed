//! Whether a message could pass, and what is waited for until one can: words for operators.

use crate::config::{Config, Pin};
use crate::exchange::Shared;
use crate::signer::{CertificateStatus, KeyPurpose};

/// What the status says while nothing stops messages.
const PASSING: &str = "messages pass";

/// What somebody has yet to bring before a start can begin: a file that the configuration names and that is not there.
pub fn missing(config: &Config) -> Option<String> {
    if let Some(Pin::File(file)) = &config.signer.pin
        && std::fs::metadata(file).map_or(true, |found| found.len() == 0)
    {
        return Some(format!("the token's PIN: write it into {}", file.display()));
    }
    match &config.globalconf.anchor {
        Some(file) if !file.exists() => Some(format!(
            "the configuration anchor: get it from the instance's operator and put it at {}",
            file.display()
        )),
        _ => None,
    }
}

/// What keeps messages from passing now; `None` when one could pass.
pub(super) fn waits_for(shared: &Shared) -> Option<String> {
    let (now, trust) = (shared.clock.now(), shared.trust.load());
    if let Err(error) = trust.global_conf.check_valid(now) {
        return Some(format!("the global configuration: {}", error.text()));
    }
    let keys = shared.signer.keys();
    for (purpose, name) in [(KeyPurpose::Authentication, "authentication"), (KeyPurpose::Signing, "signing")]
    {
        if !keys.iter().any(|key| key.purpose == Some(purpose) && !key.certificates.is_empty()) {
            return Some(format!("the {name} key with its certificate: `hermod token import`, then reload"));
        }
    }
    let authentication = shared.authentication.load();
    let Some(leaf) = authentication.as_ref().and_then(|own| own.chain.first()) else {
        let error = shared.signer.auth_identity(&shared.config.server_id).err();
        let reason = error.map(|error| error.text().to_owned()).unwrap_or_default();
        return Some(format!("a usable authentication certificate: {reason}"));
    };
    if trust.ocsp.get(leaf).is_none_or(|answer| answer.is_expired(now, &trust.global_conf)) {
        return Some("an OCSP answer about the authentication certificate".into());
    }
    let members = keys.iter().filter(|key| key.purpose == Some(KeyPurpose::Signing));
    let members = members
        .flat_map(|key| &key.certificates)
        .filter(|found| found.active && found.status == Some(CertificateStatus::Registered));
    let mut reason = "no signing certificate is active and registered".to_owned();
    let signs = members.filter_map(|found| found.member.as_ref()).any(|member| {
        let info = shared.signer.sign_info(member).map_err(|error| reason = error.text().to_owned());
        info.is_ok()
    });
    if !signs {
        return Some(format!("a usable signing certificate: {reason}"));
    }
    if !shared.registry.load().clients().iter().any(|client| client.is_registered()) {
        return Some("the registry: no client is declared, `hermod registry apply FILE` does it".into());
    }
    shared.log.timestamp_status().check(now).err().map(|error| format!("time-stamping: {}", error.text()))
}

/// One line about how the server fares; `stops` says what will stop messages, when something will.
pub(super) fn status_line(waits_for: Option<&str>, stops: Option<&str>) -> String {
    match (waits_for, stops) {
        (None, None) => PASSING.to_owned(),
        (None, Some(stops)) => format!("{PASSING}; {stops}"),
        (Some(what), _) => format!("no message can pass: waits for {what}"),
    }
}
