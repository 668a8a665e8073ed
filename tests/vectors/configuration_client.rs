//! The configuration client against directories that an official central server signed, over loopback.

#[path = "../../src/control/test_server.rs"]
#[allow(dead_code)]
mod test_server;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use hermod::config::{Config, GlobalConfiguration};
use hermod::control::{
    Answer, ConfigurationClient, Fetch, FetchError, HttpFetcher, Request, SharedTrust, SystemRandomness,
    Timeouts,
};
use hermod::time::{Clock as _, ManualClock, UnixTime};

use self::test_server::TestServer;
use crate::common::vectors;

// As the source's web server: `/internalconf?version=N` is in folder `VN`, everything else where its path says.
fn page(root: &Path, target: &str) -> (u16, &'static str, Vec<u8>) {
    let path = match target.split_once("?version=") {
        Some((path, version)) => format!("V{version}{path}"),
        None => target.trim_start_matches('/').to_string(),
    };
    match std::fs::read(root.join(path)) {
        Ok(bytes) => (200, "application/octet-stream", bytes),
        Err(_) => (404, "text/plain", Vec::new()),
    }
}

/// HTTP to the loopback server that plays `cs`, the host that anchor and parameters name; nothing else is reached.
struct Resolver {
    server: String,
    http: HttpFetcher,
}

impl Fetch for Resolver {
    fn fetch(
        &self,
        mut request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + '_>> {
        Box::pin(async move {
            match request.url.strip_prefix("http://cs") {
                Some(target) => {
                    request.url = format!("{}{target}", self.server);
                    self.http.fetch(request).await
                }
                None => Err(FetchError::Connection(request.url, "not in this test".into())),
            }
        })
    }
}

struct Setup {
    server: TestServer,
    client: ConfigurationClient,
    trust: SharedTrust,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Setup {
    async fn new(root: &Path, at: Arc<Mutex<PathBuf>>) -> Self {
        let server = TestServer::start(move |seen| page(&at.lock().unwrap(), &seen.target)).await;
        let folder = tempfile::tempdir().unwrap();
        let settings = Config::parse("", "".as_ref(), Config::example()).unwrap().globalconf;
        let settings = GlobalConfiguration {
            dir: folder.path().join("globalconf"),
            anchor: Some(root.join("anchors/configuration_anchor_CS_internal.xml")),
            ..settings
        };
        let clock = UnixTime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let (clock, trust) = (Arc::new(ManualClock::new(clock)), SharedTrust::default());
        let http = HttpFetcher::new(Timeouts::from_millis(10_000, 10_000));
        let fetch = Arc::new(Resolver { server: server.url.clone(), http });
        let client = ConfigurationClient::new(
            settings,
            fetch,
            trust.clone(),
            clock.clone(),
            Arc::new(SystemRandomness),
        );
        Self { server, client, trust, clock, _folder: folder }
    }

    async fn update(&mut self) -> String {
        self.client.update_once().await;
        self.client.last_error().map(|error| error.code().to_string()).unwrap_or_default()
    }
}

#[tokio::test]
async fn an_official_configuration_is_downloaded_once_and_followed() {
    let Some(root) = vectors().map(|vectors| vectors.join("globalconf")) else { return };
    let at = Arc::new(Mutex::new(root.join("signed/dev")));
    let mut setup = Setup::new(&root, at.clone()).await;
    assert_eq!(setup.update().await, "");
    let in_force = setup.trust.load_full();
    assert_eq!(in_force.global_conf.local_instance(), "DEV");
    in_force.global_conf.check_valid(setup.clock.now()).unwrap();
    let targets = |server: &TestServer| -> Vec<String> {
        std::mem::take(&mut *server.seen.lock().unwrap()).into_iter().map(|seen| seen.target).collect()
    };
    assert_eq!(
        targets(&setup.server),
        [
            "/internalconf?version=6",
            "/internalconf?version=6",
            "/V6/20251110170000548026000/shared-params.xml",
            "/V6/20251110170000548026000/private-params.xml",
        ]
    );
    assert_eq!(setup.update().await, "");
    assert_eq!(targets(&setup.server), ["/internalconf?version=6"]);
    // Signed by a key that only the stored shared parameters name.
    *at.lock().unwrap() = root.join("signed/dev-rotated");
    assert_eq!(setup.update().await, "");
    assert!(!Arc::ptr_eq(&in_force.global_conf, &setup.trust.load().global_conf));
    let mut newcomer = Setup::new(&root, at.clone()).await;
    assert_eq!(newcomer.update().await, "global_conf_missing_verification_cert");
    // The clock passes the end of what the anchor's key signed.
    *at.lock().unwrap() = root.join("signed/dev");
    setup.clock.set(UnixTime::parse_rfc3339("2036-01-01T00:00:00Z").unwrap());
    assert_eq!(setup.update().await, "global_conf_outdated");
    assert!(setup.trust.load().global_conf.check_valid(setup.clock.now()).is_err());
}
