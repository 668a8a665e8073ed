//! A small instance, a clock that follows tokio's, and a network in memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hermod::control::{Answer, Fetch, FetchError, Randomness, Request, SharedTrust};
use hermod::sandbox::pki::Pki;
use hermod::sandbox::plan::Plan;
use hermod::sandbox::source::Parts;
use hermod::sandbox::{KeyType, parameters};
use hermod::time::{Clock, UnixTime};
use hermod::trust::{GlobalConf, Part, PartKind, TrustSnapshot};

/// When the tests begin.
pub const START: UnixTime = UnixTime::from_secs(1_800_000_000);

/// The sandbox's plan, keys and parameters, with one security server.
pub struct Instance {
    pub plan: Plan,
    pub pki: Arc<Pki>,
    _folder: tempfile::TempDir,
}

impl Instance {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(1, (1, 2));
        let pki = Pki::open(folder.path(), &plan, KeyType::Ec, START).unwrap();
        Self { plan, pki: Arc::new(pki), _folder: folder }
    }

    pub fn parts(&self) -> Parts {
        Parts {
            shared: parameters::shared(&self.plan, &self.pki),
            private: parameters::private(&self.plan, &self.pki, 60),
        }
    }

    /// The global configuration that expires at `expires`.
    pub fn global_conf(&self, expires: UnixTime) -> GlobalConf {
        let parts = self.parts();
        let part = |kind, text: String, version| Part {
            kind,
            instance: "SANDBOX".into(),
            bytes: text.into_bytes(),
            version,
            expires: Some(expires),
        };
        let parts = [part(PartKind::Shared, parts.shared, 6), part(PartKind::Private, parts.private, 6)];
        GlobalConf::from_parts("SANDBOX", &parts, None).unwrap()
    }

    pub fn trust(&self) -> SharedTrust {
        let global_conf = Arc::new(self.global_conf(START.plus_secs(10_000_000)));
        Arc::new(arc_swap::ArcSwap::from_pointee(TrustSnapshot { global_conf, ..Default::default() }))
    }
}

/// Moves with tokio's time, so that paused time moves both.
pub struct TokioClock(tokio::time::Instant);

impl TokioClock {
    pub fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(START.millis() + self.0.elapsed().as_millis() as i64)
    }
}

/// Always the middle.
pub struct Half;

impl Randomness for Half {
    fn value(&self) -> u64 {
        u64::MAX / 2
    }
}

type Script = dyn Fn(&Request) -> Result<Vec<u8>, FetchError> + Send + Sync;

/// Answers by a script after one (tokio) second, and remembers what was asked.
pub struct Network {
    script: Box<Script>,
    pub asked: Mutex<Vec<String>>,
    /// A place that takes longer, and how much.
    pub pause: Mutex<Option<(String, std::time::Duration)>>,
}

impl Network {
    pub fn new(
        script: impl Fn(&Request) -> Result<Vec<u8>, FetchError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), asked: Mutex::default(), pause: Mutex::default() })
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Network {
    fn fetch(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + '_>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(request.url.clone());
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let pause = self.pause.lock().unwrap().clone();
            if let Some((_, pause)) = pause.filter(|(url, _)| *url == request.url) {
                tokio::time::sleep(pause).await;
            }
            let body = (self.script)(&request)?;
            Ok(Answer { status: 200, content_type: None, body: body.into() })
        })
    }
}

/// What an unreachable place gives.
pub fn unreachable(request: &Request) -> FetchError {
    FetchError::Connection(request.url.clone(), "connection refused".into())
}
