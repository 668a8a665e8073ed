//! The client of time-stamping authorities.

use std::sync::Arc;
use std::time::Duration;

use hermod::config::{Config, Timestamp};
use hermod::control::{Fetch, FetchError, Request, TsaClient};
use hermod::crypto::DigestAlgorithm;
use hermod::evidence::timestamp::{self, TimestampRequest, TimestampToken};
use hermod::log::TimestampClient as _;
use hermod::time::{ManualClock, UnixTime};
use hermod::trust::{CostStrategy, Policy};

use crate::common::{Instance, Network, START, unreachable};

const A: &str = "http://a.test/";
const B: &str = "http://b.test/";

/// What the authority answers to a request.
fn granted(instance: &Instance, request: &[u8]) -> Vec<u8> {
    let request = TimestampRequest::parse(request).unwrap();
    let tsa = &instance.pki.tsa;
    timestamp::make_response(tsa.key(), tsa.certificate(), &request, START, 7).unwrap()
}

type Script = dyn Fn(&Instance, &Request, &[u8]) -> Result<Vec<u8>, FetchError> + Send + Sync;

struct Setup {
    instance: Arc<Instance>,
    network: Arc<Network>,
    settings: Timestamp,
    client: TsaClient,
}

fn client(network: &Arc<Network>, instance: &Instance, now: UnixTime, settings: Timestamp) -> TsaClient {
    let fetch: Arc<dyn Fetch> = network.clone();
    TsaClient::new(fetch, instance.trust(), Arc::new(ManualClock::new(now)), settings)
}

impl Setup {
    /// A answers by the script, B well.
    fn new(now: UnixTime, urls: &[&str], script: Box<Script>) -> Self {
        let instance = Arc::new(Instance::new());
        let answering = Arc::clone(&instance);
        let network = Network::new(move |request| {
            let (content_type, body) = request.post.as_ref().unwrap();
            assert_eq!(*content_type, "application/timestamp-query");
            if request.url == B { Ok(granted(&answering, body)) } else { script(&answering, request, body) }
        });
        let urls = urls.iter().map(ToString::to_string).collect();
        let config = Config::parse("", "".as_ref(), Config::example()).unwrap();
        let settings = Timestamp { urls, ..config.timestamp };
        let client = client(&network, &instance, now, settings.clone());
        Self { instance, network, settings, client }
    }

    /// A takes so long from now on.
    fn slow(&mut self, pause: Duration, hedge_ms: u64) {
        *self.network.pause.lock().unwrap() = Some((A.to_owned(), pause));
        let settings = Timestamp { hedge_ms, ..self.settings.clone() };
        self.client = client(&self.network, &self.instance, START, settings);
    }

    fn check(&self, token: &[u8]) {
        let listed = [self.instance.pki.tsa.certificate().clone()];
        let token = TimestampToken::parse(token).unwrap();
        assert_eq!(token.verify(b"data", &listed, &Policy::STRICT).unwrap().time, START);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_authority_is_asked_when_one_gives_no_usable_stamp_and_none_is_remembered_as_bad() {
    let scripts: Vec<(&str, Box<Script>)> = vec![
        ("unreachable", Box::new(|_, request, _| Err(unreachable(request)))),
        ("slow", Box::new(|_, request, _| Err(FetchError::Timeout(request.url.clone())))),
        ("503", Box::new(|_, request, _| Err(FetchError::Status(request.url.clone(), 503)))),
        ("refusing", Box::new(|_, _, _| Ok(timestamp::make_rejection("no")))),
        ("no response", Box::new(|_, _, _| Ok(b"<html>".to_vec()))),
        ("empty", Box::new(|_, _, _| Ok(Vec::new()))),
        (
            "stamps other data",
            Box::new(|instance, _, _| {
                let other = timestamp::request_der(&DigestAlgorithm::Sha512.digest(b"other"));
                Ok(granted(instance, &other))
            }),
        ),
        ("another authority", Box::new(|_, _, body| Ok(granted(&Instance::new(), body)))),
    ];
    let imprint = DigestAlgorithm::Sha512.digest(b"data");
    for (what, script) in scripts {
        let setup = Setup::new(START, &[A, B], script);
        setup.check(&setup.client.stamp(&imprint).await.expect(what));
        assert_eq!(*setup.network.asked.lock().unwrap(), [A, B], "{what}");
        setup.client.stamp(&imprint).await.expect(what);
        assert_eq!(setup.network.count(), 4, "{what}: the first is asked first again");
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_error_says_how_each_did() {
    let script: Box<Script> = Box::new(|_, request, _| match request.url.as_str() {
        A => Err(FetchError::Status(A.into(), 500)),
        _ => Err(unreachable(request)),
    });
    let setup = Setup::new(START, &[A, "http://c.test/"], script);
    let error = setup.client.stamp(&DigestAlgorithm::Sha512.digest(b"data")).await.unwrap_err();
    assert_eq!(error.code(), "timestamping_failed");
    for part in ["mlog.timestamping_non_ok_response", "500", "mlog.timestamp_provider_connection_failed"] {
        assert!(error.text().contains(part), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn trap_signature_28_an_answer_in_ber_is_kept_in_der() {
    let script: Box<Script> = Box::new(|instance, _, body| {
        // The response and its token with indefinite lengths around the same content.
        let der = granted(instance, body);
        assert_eq!((&der[..2], &der[4..9]), (&[0x30, 0x82][..], &[0x30, 3, 2, 1, 0][..]));
        assert_eq!(der[9..11], [0x30, 0x82]);
        Ok([&[0x30, 0x80], &der[4..9], &[0x30, 0x80], &der[13..], &[0; 4]].concat())
    });
    let setup = Setup::new(START, &[A], script);
    let token = setup.client.stamp(&DigestAlgorithm::Sha512.digest(b"data")).await.unwrap();
    assert_eq!(token[..2], [0x30, 0x82], "definite length");
    setup.check(&token);
}

#[tokio::test(start_paused = true)]
async fn without_a_configured_order_all_approved_authorities_are_asked() {
    let setup = Setup::new(START, &[], Box::new(|instance, _, body| Ok(granted(instance, body))));
    let approved = setup.instance.plan.service_url(8899);
    assert_eq!(setup.client.urls(), std::slice::from_ref(&approved));
    setup.check(&setup.client.stamp(&DigestAlgorithm::Sha512.digest(b"data")).await.unwrap());
    assert_eq!(*setup.network.asked.lock().unwrap(), [approved]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stamped_under_an_expired_configuration() {
    let script: Box<Script> = Box::new(|instance, _, body| Ok(granted(instance, body)));
    let setup = Setup::new(START.plus_secs(10_000_001), &[A], script);
    let error = setup.client.stamp(&DigestAlgorithm::Sha512.digest(b"data")).await.unwrap_err();
    assert_eq!(error.code(), "global_conf_outdated");
    assert_eq!(setup.network.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_authority_is_not_waited_for_alone() {
    let imprint = DigestAlgorithm::Sha512.digest(b"data");
    for (hedge_ms, pause_secs, took, asked) in [
        // A answers after 30 s in the end; the script's network takes a second for each.
        (0, 30, 31, vec![A]),
        (10_000, 30, 11, vec![A, B]),
        (10_000, 5, 6, vec![A]),
    ] {
        let mut setup = Setup::new(START, &[A, B], Box::new(|instance, _, body| Ok(granted(instance, body))));
        setup.slow(Duration::from_secs(pause_secs), hedge_ms);
        let began = tokio::time::Instant::now();
        setup.check(&setup.client.stamp(&imprint).await.unwrap());
        assert_eq!(began.elapsed().as_secs(), took);
        assert_eq!(*setup.network.asked.lock().unwrap(), asked);
    }
    // What fails meanwhile is replaced at once, and the slow one still counts when nobody else is left.
    let mut setup = Setup::new(
        START,
        &[A, "http://c.test/"],
        Box::new(
            |instance, request, body| {
                if request.url == A { Ok(granted(instance, body)) } else { Err(unreachable(request)) }
            },
        ),
    );
    setup.slow(Duration::from_secs(30), 10_000);
    let began = tokio::time::Instant::now();
    setup.check(&setup.client.stamp(&imprint).await.unwrap());
    assert_eq!(began.elapsed().as_secs(), 31);
}

#[tokio::test(start_paused = true)]
async fn authorities_are_chosen_and_ordered_by_what_they_cost() {
    let mut setup = Setup::new(START, &[], Box::new(|instance, _, body| Ok(granted(instance, body))));
    let approved = setup.instance.plan.service_url(8899);
    // The sandbox's authority is free; one that is configured but not listed has no known cost.
    for (strategy, urls, expected) in [
        (CostStrategy::None, vec![A, approved.as_str()], vec![A, approved.as_str()]),
        (CostStrategy::FreeFirst, vec![A, &approved], vec![&approved, A]),
        (CostStrategy::OnlyFree, vec![A, &approved], vec![&approved]),
        (CostStrategy::OnlyPaid, vec![A, &approved], vec![]),
        (CostStrategy::OnlyFree, vec![], vec![&approved]),
    ] {
        let urls = urls.iter().map(ToString::to_string).collect();
        let settings = Timestamp { urls, strategy, ..setup.settings.clone() };
        setup.client = client(&setup.network, &setup.instance, START, settings);
        assert_eq!(setup.client.urls(), expected, "{strategy:?}");
    }
}
