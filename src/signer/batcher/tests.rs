//! Tests of the batcher, with a key that signs when it is told to.

use bytes::Bytes;
use crossbeam::channel::{Receiver, Sender};

use super::*;
use crate::crypto::DigestAlgorithm;

struct Template(&'static str);

/// A key whose every signature waits for a permit.
struct SlowKey {
    /// Says how many requests a signature is about to cover.
    began: Receiver<usize>,
    permits: Sender<Result<(), XRoadError>>,
    batcher: Batcher<Template>,
    counters: Arc<Counters>,
}

fn slow_key(config: BatchConfig) -> SlowKey {
    let (begin, began) = crossbeam::channel::unbounded();
    let (permits, permitted) = crossbeam::channel::unbounded::<Result<(), XRoadError>>();
    let sign: Box<SignBatch<Template>> = Box::new(move |template, requests| {
        begin.send(requests.len()).unwrap();
        permitted.recv().unwrap()?;
        let signature = Bytes::from_static(template.0.as_bytes());
        let chain = |parts: &Vec<Digest>| Some(Bytes::copy_from_slice(parts[0].as_ref()));
        let data = |parts| SignatureData {
            signature: signature.clone(),
            hash_chain_result: None,
            hash_chain: chain(parts),
            chain_path: None,
        };
        Ok(requests.iter().map(data).collect())
    });
    let counters = Arc::new(Counters::default());
    let batcher = Batcher::start("KEY", config, Arc::clone(&counters), sign).unwrap();
    SlowKey { began, permits, batcher, counters }
}

fn no_linger() -> BatchConfig {
    BatchConfig { linger_us_max: 0, ..BatchConfig::default() }
}

fn digest(at: usize) -> Digest {
    DigestAlgorithm::Sha512.digest(&at.to_le_bytes())
}

type Answer = tokio::task::JoinHandle<Result<SignatureData, XRoadError>>;

/// Hands in a request and lets it reach the queue.
async fn submit(key: &SlowKey, template: &Arc<Template>, at: usize) -> Answer {
    let (batcher, template) = (key.batcher.clone(), Arc::clone(template));
    let task = tokio::spawn(async move { batcher.sign(template, vec![digest(at)]).await });
    tokio::task::yield_now().await;
    task
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_idle_key_signs_alone_and_a_busy_one_signs_all_that_wait() {
    let key = slow_key(no_linger());
    let template = Arc::new(Template("t"));
    block_on(async {
        let mut answers = vec![submit(&key, &template, 0).await];
        assert_eq!(key.began.recv().unwrap(), 1);
        for at in 1..=20 {
            answers.push(submit(&key, &template, at).await);
        }
        key.permits.send(Ok(())).unwrap();
        assert_eq!(key.began.recv().unwrap(), 20);
        key.permits.send(Ok(())).unwrap();
        for (at, answer) in answers.into_iter().enumerate() {
            let data = answer.await.unwrap().unwrap();
            assert_eq!(data.hash_chain.unwrap(), digest(at).as_ref(), "everyone gets his own");
        }
    });
    let statistics = key.counters.read();
    assert_eq!((statistics.messages, statistics.signatures), (21, 2));
    assert_eq!((statistics.batch_sizes[0], statistics.batch_sizes[5]), (1, 1));
}

#[test]
fn a_batch_is_bounded_and_the_rest_waits_for_the_next() {
    let key = slow_key(BatchConfig { requests_max: 8, ..no_linger() });
    let template = Arc::new(Template("t"));
    block_on(async {
        let mut answers = vec![submit(&key, &template, 0).await];
        key.began.recv().unwrap();
        for at in 1..=20 {
            answers.push(submit(&key, &template, at).await);
        }
        for expected in [8, 8, 4] {
            key.permits.send(Ok(())).unwrap();
            assert_eq!(key.began.recv().unwrap(), expected);
        }
        key.permits.send(Ok(())).unwrap();
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
    });
}

/// Messages under another certificate or other OCSP answers are not signed with the first one's.
#[test]
fn a_batch_never_mixes_templates() {
    let key = slow_key(no_linger());
    let (old, new) = (Arc::new(Template("old")), Arc::new(Template("new")));
    block_on(async {
        let first = submit(&key, &old, 0).await;
        key.began.recv().unwrap();
        let mut answers = Vec::new();
        for at in 1..=9 {
            let (template, name) = if at % 3 == 0 { (&new, "new") } else { (&old, "old") };
            answers.push((name, submit(&key, template, at).await));
        }
        for expected in [6, 3] {
            key.permits.send(Ok(())).unwrap();
            assert_eq!(key.began.recv().unwrap(), expected);
        }
        key.permits.send(Ok(())).unwrap();
        first.await.unwrap().unwrap();
        for (name, answer) in answers {
            assert_eq!(answer.await.unwrap().unwrap().signature, name);
        }
    });
}

#[test]
fn a_failure_fails_the_whole_batch_and_only_that() {
    let key = slow_key(no_linger());
    let template = Arc::new(Template("t"));
    block_on(async {
        let first = submit(&key, &template, 0).await;
        key.began.recv().unwrap();
        let failing = [submit(&key, &template, 1).await, submit(&key, &template, 2).await];
        key.permits.send(Ok(())).unwrap();
        assert_eq!(key.began.recv().unwrap(), 2);
        key.permits.send(Err(XRoadError::new(ErrorCode::CannotSign, "token gone"))).unwrap();
        first.await.unwrap().unwrap();
        for answer in failing {
            let error = answer.await.unwrap().unwrap_err();
            assert_eq!(error.code(), "cannot_create_signature.cannot_sign");
        }
        let after = submit(&key, &template, 3).await;
        key.permits.send(Ok(())).unwrap();
        after.await.unwrap().unwrap();
    });
    assert_eq!(key.counters.read().failed_messages, 2);
}

#[test]
fn callers_that_went_away_are_not_signed_for() {
    let key = slow_key(no_linger());
    let template = Arc::new(Template("t"));
    block_on(async {
        let first = submit(&key, &template, 0).await;
        key.began.recv().unwrap();
        let gone = submit(&key, &template, 1).await;
        let stays = submit(&key, &template, 2).await;
        gone.abort();
        assert!(gone.await.is_err());
        key.permits.send(Ok(())).unwrap();
        assert_eq!(key.began.recv().unwrap(), 1);
        key.permits.send(Ok(())).unwrap();
        first.await.unwrap().unwrap();
        stays.await.unwrap().unwrap();
    });
}

#[test]
fn a_request_that_has_waited_too_long_is_refused() {
    let key = slow_key(BatchConfig { timeout_ms: 0, ..no_linger() });
    let answer = block_on(async { submit(&key, &Arc::new(Template("t")), 0).await.await.unwrap() });
    assert_eq!(answer.unwrap_err().code(), "cannot_create_signature.internal_error");
    assert_eq!(key.counters.read().expired_messages, 1);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let key = slow_key(BatchConfig { queue_max: 2, ..no_linger() });
    let template = Arc::new(Template("t"));
    block_on(async {
        let mut answers = vec![submit(&key, &template, 0).await];
        key.began.recv().unwrap();
        for at in 1..=2 {
            answers.push(submit(&key, &template, at).await);
        }
        let refused = submit(&key, &template, 3).await.await.unwrap().unwrap_err();
        assert_eq!(refused.code(), "cannot_create_signature");
        key.permits.send(Ok(())).unwrap();
        key.permits.send(Ok(())).unwrap();
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_key_lingers_until_its_share_of_a_core_is_kept() {
    let config = BatchConfig { linger_us_max: 2000, cpu_share_percent: 50, ..BatchConfig::default() };
    let began = Instant::now();
    let took = Duration::from_micros(1000);
    let pace = || Pace { last: Some((began, took)), contention: 0.0 };
    let after = |micros| began + Duration::from_micros(micros);
    assert_eq!(linger(&config, &Pace::default(), began), Duration::ZERO, "first signature");
    assert_eq!(linger(&config, &pace(), after(1000)), Duration::from_micros(1000), "half of a core");
    assert_eq!(linger(&config, &pace(), after(1500)), Duration::from_micros(500));
    assert_eq!(
        linger(&config, &pace(), after(2000)),
        Duration::ZERO,
        "a lone caller: the other server signed"
    );
    assert_eq!(linger(&config, &pace(), after(2500)), Duration::ZERO, "the share is kept already");
    let contended = BatchConfig { linger_us_max: 10_000, busy_cpu_share_percent: 10, ..config };
    let pace_of = |contention| Pace { contention, ..pace() };
    assert_eq!(
        linger(&contended, &pace_of(1.0), after(1000)),
        Duration::from_micros(9000),
        "cores are scarce"
    );
    assert_eq!(
        linger(&contended, &pace_of(5.0), after(1000)),
        linger(&contended, &pace_of(1.0), after(1000))
    );
    assert_eq!(linger(&contended, &pace_of(0.0), after(1000)), Duration::from_micros(1000), "cores are free");
    let short = BatchConfig { linger_us_max: 100, ..config };
    assert_eq!(linger(&short, &pace(), after(1000)), Duration::from_micros(100), "never longer");
    let never = BatchConfig { linger_us_max: 0, ..config };
    assert_eq!(linger(&never, &pace(), after(1000)), Duration::ZERO);
}

#[test]
fn contention_follows_how_late_signatures_are() {
    let took = Duration::from_micros(1000);
    let mut now = 0.0;
    for _ in 0..100 {
        now = contention(now, Duration::from_millis(3), took);
    }
    assert!(now > 2.8 && now < 3.0);
    for _ in 0..100 {
        now = contention(now, Duration::from_micros(100), took);
    }
    assert!(now < 0.01);
    // One signature in three waits, and so long that all together wait longer than they take.
    let mut lowest = f32::MAX;
    for at in 0..300 {
        now = contention(now, Duration::from_millis(if at % 3 == 0 { 7 } else { 0 }), took);
        if at > 100 {
            lowest = lowest.min(now);
        }
    }
    assert!(lowest > 1.0, "{lowest}");
    now = contention(0.0, Duration::from_secs(9), took);
    assert!(now <= 1.0, "one long wait: {now}");
    assert_eq!(contention(0.5, Duration::from_millis(5), Duration::ZERO), 0.5, "a token signs elsewhere");
}
