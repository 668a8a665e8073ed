use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hermod::config::{Config, Ocsp};
use hermod::control::{Fetch, OcspFetcher, OcspParts, SharedTrust};
use hermod::crypto::{Certificate, to_hex};
use hermod::sandbox::ocsp::Responder;
use hermod::time::SharedClock;
use hermod::trust::CertStatus;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::common::{Half, Instance, Network, START, TokioClock, unreachable};

fn settings(dir: &Path) -> Ocsp {
    let config = Config::parse("", "".as_ref(), Config::example()).unwrap();
    Ocsp { dir: dir.into(), ..config.ocsp }
}

fn fetcher(network: Arc<dyn Fetch>, trust: SharedTrust, clock: SharedClock, dir: &Path) -> Arc<OcspFetcher> {
    let parts =
        OcspParts { fetch: network, trust, clock, randomness: Arc::new(Half), settings: settings(dir) };
    Arc::new(OcspFetcher::new(parts))
}

fn own(instance: &Instance) -> Vec<Certificate> {
    let server = &instance.pki.servers[0];
    vec![server.authentication.certificate().clone(), server.signing.certificate().clone()]
}

struct Setup {
    own: Vec<Certificate>,
    trust: SharedTrust,
    network: Arc<Network>,
    responder: Arc<Responder>,
    up: Arc<AtomicBool>,
    clock: SharedClock,
    dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let instance = Instance::new();
        let clock: SharedClock = Arc::new(TokioClock::new());
        let responder = Arc::new(Responder::new(instance.pki.clone()).unwrap());
        let up = Arc::new(AtomicBool::new(true));
        let (answering, time, switch) = (responder.clone(), clock.clone(), up.clone());
        let network = Network::new(move |request| {
            let (_, body) = request.post.as_ref().unwrap();
            if switch.load(SeqCst) {
                Ok(answering.respond(body, time.now()))
            } else {
                Err(unreachable(request))
            }
        });
        let dir = tempfile::tempdir().unwrap();
        Self { own: own(&instance), trust: instance.trust(), network, responder, up, clock, dir }
    }

    fn fetcher(&self) -> Arc<OcspFetcher> {
        fetcher(self.network.clone(), self.trust.clone(), self.clock.clone(), self.dir.path())
    }

    fn age_secs(&self, certificate: &Certificate) -> Option<i64> {
        let snapshot = self.trust.load();
        let response = snapshot.ocsp.get(certificate)?;
        Some(self.clock.now().secs() - response.this_update().secs())
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_there_soon_and_never_get_old() {
    let setup = Setup::new();
    let (_keep, list) = watch::channel(setup.own.clone());
    let task = tokio::spawn(setup.fetcher().run(list));
    sleep(Duration::from_secs(5)).await;
    assert!(setup.own.iter().all(|certificate| setup.age_secs(certificate).unwrap() <= 5));
    for _ in 0..600 {
        sleep(Duration::from_secs(60)).await;
        assert!(setup.own.iter().all(|certificate| setup.age_secs(certificate).unwrap() < 1800));
    }
    // Ten hours at 1200 s less some jitter: about 32 for each of two certificates.
    assert!((60..=70).contains(&setup.network.count()), "{}", setup.network.count());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_dead_responder_is_asked_again_with_growing_delays_and_the_old_answer_stays() {
    let setup = Setup::new();
    setup.up.store(false, SeqCst);
    let (_keep, list) = watch::channel(setup.own[..1].to_vec());
    let task = tokio::spawn(setup.fetcher().run(list));
    sleep(Duration::from_secs(30)).await;
    let early = setup.network.count();
    assert!((4..=6).contains(&early), "{early}");
    sleep(Duration::from_secs(600)).await;
    let late = setup.network.count() - early;
    assert!((10..=16).contains(&late), "about once in 45 s: {late}");
    setup.up.store(true, SeqCst);
    sleep(Duration::from_secs(61)).await;
    assert!(setup.age_secs(&setup.own[0]).is_some());
    setup.up.store(false, SeqCst);
    sleep(Duration::from_secs(3000)).await;
    let age = setup.age_secs(&setup.own[0]).unwrap();
    assert!(age > 2900, "the last answer is kept while it is usable: {age}");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn answers_survive_a_restart_and_are_not_fetched_again_while_young() {
    let setup = Setup::new();
    setup.fetcher().fetch_now(&setup.own[0]).await.unwrap();
    let file = setup.dir.path().join(format!("{}.ocsp", to_hex(setup.own[0].sha1())));
    assert!(file.is_file());
    let restarted =
        Setup { trust: empty_of_answers(&setup.trust), dir: tempfile::tempdir().unwrap(), ..setup };
    std::fs::copy(&file, restarted.dir.path().join(file.file_name().unwrap())).unwrap();
    assert_eq!(restarted.age_secs(&restarted.own[0]), None);
    let (_keep, list) = watch::channel(restarted.own[..1].to_vec());
    let task = tokio::spawn(restarted.fetcher().run(list));
    sleep(Duration::from_secs(300)).await;
    assert!(restarted.age_secs(&restarted.own[0]).is_some());
    assert_eq!(restarted.network.count(), 1, "only the fetch before the restart");
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(restarted.network.count(), 2, "the schedule goes on");
    task.abort();
}

fn empty_of_answers(trust: &SharedTrust) -> SharedTrust {
    let mut snapshot = hermod::trust::TrustSnapshot::clone(&trust.load());
    snapshot.ocsp = Default::default();
    Arc::new(arc_swap::ArcSwap::from_pointee(snapshot))
}

#[tokio::test(start_paused = true)]
async fn a_stored_answer_that_is_old_or_altered_is_removed() {
    let setup = Setup::new();
    let certificate = &setup.own[0];
    setup.fetcher().fetch_now(certificate).await.unwrap();
    let file = setup.dir.path().join(format!("{}.ocsp", to_hex(certificate.sha1())));
    let good = std::fs::read(&file).unwrap();
    let mut altered = good.clone();
    let signed_at = altered.len() / 5;
    altered[signed_at] ^= 1;
    std::fs::write(&file, &altered).unwrap();
    assert!(setup.fetcher().take_stored(certificate).is_none());
    std::fs::write(&file, &good).unwrap();
    assert!(setup.fetcher().take_stored(certificate).is_some());
    sleep(Duration::from_secs(3700)).await;
    assert!(setup.fetcher().take_stored(certificate).is_none());
    assert!(!file.exists());
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_cause_one_request_and_share_its_result() {
    let setup = Setup::new();
    let fetcher = setup.fetcher();
    let ask = || {
        futures_all((0..20).map(|_| {
            let (fetcher, certificate) = (fetcher.clone(), setup.own[0].clone());
            tokio::spawn(async move { fetcher.fetch_now(&certificate).await })
        }))
    };
    assert!(ask().await.into_iter().all(|result| result.is_ok()));
    assert_eq!(setup.network.count(), 1);
    setup.up.store(false, SeqCst);
    assert!(ask().await.into_iter().all(|result| result.is_err()));
    assert_eq!(setup.network.count(), 2, "failures are shared, too");
}

async fn futures_all<T>(tasks: impl Iterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let tasks: Vec<_> = tasks.collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_authentic_news_and_is_published() {
    let setup = Setup::new();
    setup.responder.set_revoked(setup.own[1].serial().to_vec(), true);
    let response = setup.fetcher().fetch_now(&setup.own[1]).await.unwrap();
    assert!(matches!(response.status(), CertStatus::Revoked { .. }));
    assert!(setup.trust.load().ocsp.get(&setup.own[1]).is_some());
}

#[tokio::test(start_paused = true)]
async fn answers_about_other_certificates_or_from_other_responders_are_refused() {
    let setup = Setup::new();
    let other = Instance::new();
    let stranger = Responder::new(other.pki.clone()).unwrap();
    let (responder, clock, turn) = (setup.responder.clone(), setup.clock.clone(), AtomicUsize::new(0));
    let issuer = setup.trust.load().global_conf.ca_certificates()[0].clone();
    let wrong = hermod::trust::ocsp_request(&setup.own[1], &issuer);
    let network = Network::new(move |request| {
        let (_, body) = request.post.as_ref().unwrap();
        Ok(match turn.fetch_add(1, SeqCst) {
            0 => responder.respond(&wrong, clock.now()),
            1 => stranger.respond(body, clock.now()),
            2 => responder.respond(body, START.plus_secs(-4000)),
            3 => responder.respond(body, clock.now().plus_secs(600)),
            _ => b"<html>".to_vec(),
        })
    });
    let fetcher = fetcher(network, setup.trust.clone(), setup.clock.clone(), setup.dir.path());
    for what in ["of another certificate", "of a stranger", "too old", "from the future", "not OCSP"] {
        let error = fetcher.fetch_now(&setup.own[0]).await.unwrap_err();
        assert_eq!(error.code(), "cert_validation", "{what}");
    }
    assert!(setup.trust.load().ocsp.is_empty());
    assert!(std::fs::read_dir(setup.dir.path()).unwrap().next().is_none());
}

#[tokio::test(start_paused = true)]
async fn peers_are_answered_for_own_and_ca_certificates_only() {
    let setup = Setup::new();
    let fetcher = setup.fetcher();
    let hex = to_hex(setup.own[0].sha1());
    assert!(fetcher.answer_by_sha1(&hex, &setup.own).await.is_ok());
    assert!(fetcher.answer_by_sha1(&hex, &setup.own).await.is_ok());
    assert_eq!(setup.network.count(), 1, "the second time it is at hand");
    assert!(fetcher.answer_by_sha1(&hex.to_uppercase(), &setup.own).await.is_err());
    assert!(fetcher.answer_by_sha1(&"0".repeat(40), &setup.own).await.is_err());
    sleep(Duration::from_secs(4000)).await;
    let renewed = fetcher.answer_by_sha1(&hex, &setup.own).await.unwrap();
    assert!(
        setup.clock.now().secs() - renewed.this_update().secs() < 10,
        "an expired one is fetched on the spot"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_there_is_a_valid_configuration() {
    let setup = Setup::new();
    let valid = setup.trust.load_full();
    setup.trust.store(Default::default());
    let (_keep, list) = watch::channel(setup.own.clone());
    let task = tokio::spawn(setup.fetcher().run(list));
    sleep(Duration::from_secs(100)).await;
    assert_eq!(setup.network.count(), 0);
    setup.trust.store(valid);
    sleep(Duration::from_secs(5)).await;
    assert!(setup.own.iter().all(|certificate| setup.age_secs(certificate).is_some()));
    task.abort();
}
