//! The tasks of the control plane.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::metrics::Fetchers;
use super::{authentication, stamping};
use crate::config::Config;
use crate::control::{
    ConfigurationClient, Fetch, OcspFetcher, OcspParts, Randomness, SharedTrust, SystemRandomness, TsaClient,
    timestamping,
};
use crate::crypto::Certificate;
use crate::exchange::Authentication;
use crate::log::{LogHandle, Timestamper};
use crate::signer::{CertificateStatus, SignerHandle};
use crate::time::SharedClock;

/// How long the start waits for the configuration source, and then for the OCSP responders, before the ports open
/// with what is at hand.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(5);

/// The same where a valid configuration is at hand.
const RENEWAL_MAX: Duration = Duration::from_millis(300);

/// Starts the tasks of the control plane. The first global configuration and OCSP answers are waited for, for a
/// bounded time, so that the first message finds them; not at all in a `hurry`, where there are some from before.
#[allow(clippy::too_many_arguments)]
pub(super) fn start_control(
    control: &tokio::runtime::Runtime,
    config: &Arc<Config>,
    clock: &SharedClock,
    trust: &SharedTrust,
    signer: &SignerHandle,
    log: &LogHandle,
    authentication: &Arc<ArcSwapOption<Authentication>>,
    fetchers: &Fetchers,
    hurry: bool,
) -> Arc<dyn crate::exchange::StampNow> {
    let randomness = Arc::new(SystemRandomness);
    let mut client = ConfigurationClient::new(
        config.globalconf.clone(),
        Arc::clone(&fetchers.global_conf) as Arc<dyn Fetch>,
        Arc::clone(trust),
        Arc::clone(clock),
        Arc::clone(&randomness) as Arc<dyn Randomness>,
    );
    let ocsp = Arc::new(OcspFetcher::new(OcspParts {
        fetch: Arc::clone(&fetchers.ocsp) as Arc<dyn Fetch>,
        trust: Arc::clone(trust),
        clock: Arc::clone(clock),
        randomness,
        settings: config.ocsp.clone(),
    }));
    let fetch = Arc::clone(&fetchers.tsa);
    let tsa = TsaClient::new(fetch, Arc::clone(trust), Arc::clone(clock), config.timestamp.clone());
    let tsa = Arc::new(tsa.noting(Arc::clone(&fetchers.clock)));
    let timestamper = Arc::new(Timestamper::new(
        log.clone(),
        crate::crypto::DigestAlgorithm::Sha512,
        config.timestamp.records_max,
    ));
    let (own, watched) = tokio::sync::watch::channel(own_certificates(signer));
    let mut looked = false;
    control.block_on(async {
        // What is at hand from before is still good: a restart must not wait for others.
        let at_hand = trust.load().global_conf.check_valid(clock.now()).is_ok();
        let patience = match at_hand {
            true if hurry => Duration::ZERO,
            true => RENEWAL_MAX,
            false => FIRST_LOOK_MAX,
        };
        looked = tokio::time::timeout(patience, client.update_once()).await.is_ok();
        if !looked && !at_hand {
            tracing::warn!("the configuration sources are slow; starting with what is at hand");
        }
        let certificates = own.borrow().clone();
        let first = first_responses(&ocsp, &certificates, config.ocsp.retrieval);
        let _ = tokio::time::timeout(FIRST_LOOK_MAX, first).await;
    });
    let _ = authentication::refresh(signer, &config.server_id, authentication);
    control.spawn(async move {
        if !looked {
            client.update_once().await;
        }
        client.run().await;
    });
    control.spawn(ocsp.run(watched));
    control.spawn(authentication::keep(signer.clone(), config.server_id.clone(), Arc::clone(authentication)));
    control.spawn(stamping::keep_provider_known(log.clone(), Arc::clone(&tsa)));
    log.timestamp_status().set_provider_configured(!tsa.urls().is_empty());
    let (loop_stamper, loop_tsa) = (Arc::clone(&timestamper), Arc::clone(&tsa));
    let (loop_trust, loop_settings) = (Arc::clone(trust), config.timestamp.clone());
    control.spawn(async move {
        timestamping::run(&loop_stamper, &*loop_tsa, &loop_trust, &loop_settings).await;
    });
    control.spawn(follow_tokens(signer.clone(), own));
    Arc::new(stamping::OnDemand::new(timestamper, tsa, control.handle().clone()))
}

/// OCSP responses about own certificates: those of the last run, else fetched, all at the same time.
async fn first_responses(ocsp: &Arc<OcspFetcher>, own: &[Certificate], retrieval: bool) {
    let mut fetches = tokio::task::JoinSet::new();
    for certificate in ocsp.targets(own) {
        if ocsp.take_stored(&certificate).is_some() || !retrieval {
            continue;
        }
        let ocsp = Arc::clone(ocsp);
        fetches.spawn(async move {
            if let Err(error) = ocsp.fetch_now(&certificate).await {
                tracing::warn!(subject = %certificate.subject(), %error, "no OCSP response yet");
            }
        });
    }
    fetches.join_all().await;
}

/// Certificates of all keys whose OCSP answers are needed: active and registered.
fn own_certificates(signer: &SignerHandle) -> Vec<Certificate> {
    let keys = signer.keys();
    let certificates = keys.iter().flat_map(|key| &key.certificates);
    let needed = certificates
        .filter(|found| found.active && found.status == Some(CertificateStatus::Registered))
        .map(|found| found.certificate.clone());
    needed.collect()
}

async fn follow_tokens(signer: SignerHandle, own: tokio::sync::watch::Sender<Vec<Certificate>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let certificates = own_certificates(&signer);
        own.send_if_modified(|known| {
            let changed = *known != certificates;
            if changed {
                *known = certificates;
            }
            changed
        });
    }
}
