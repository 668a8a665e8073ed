//! What the tests of the configuration client share: signed directories, a web in memory, a client.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hermod::config::{Config, GlobalConfiguration};
use hermod::control::{Answer, ConfigurationClient, Fetch, FetchError, Request, SharedTrust};
use hermod::crypto::sha512;
use hermod::sandbox::keys::Identity;
use hermod::time::{ManualClock, UnixTime};
use hermod::trust::TrustSnapshot;

use crate::common::{Half, Instance, START};

const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// A file that a directory lists.
#[derive(Clone)]
pub struct Listed {
    pub identifier: String,
    pub location: String,
    pub file_name: Option<&'static str>,
    pub bytes: Vec<u8>,
}

impl Listed {
    pub fn new(identifier: &str, location: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            identifier: identifier.into(),
            location: location.into(),
            file_name: None,
            bytes: bytes.into(),
        }
    }
}

/// A directory before it is signed.
#[derive(Clone)]
pub struct Directory {
    pub head: String,
    pub files: Vec<Listed>,
}

impl Directory {
    /// The sandbox's parameters, for ten minutes from `now` on.
    pub fn of(instance: &Instance, now: UnixTime) -> Self {
        let parts = instance.parts();
        let files = vec![
            Listed::new("SHARED-PARAMETERS; instance='SANDBOX'", "/V6/1/shared-params.xml", parts.shared),
            Listed::new("PRIVATE-PARAMETERS; instance='SANDBOX'", "/V6/1/private-params.xml", parts.private),
        ];
        Self { head: format!("Expire-date: {}\r\nVersion: 6\r\n", now.plus_secs(600)), files }
    }

    /// The bytes that a source serves.
    pub fn signed(&self, signer: &Identity) -> String {
        let mut body = format!("--INNER\r\n{}\r\n", self.head);
        for file in &self.files {
            let name = file.file_name.map(|name| format!("Content-file-name: {name}\r\n"));
            let _ = write!(
                body,
                "--INNER\r\nContent-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n\
                 Content-identifier: {}\r\nContent-location: {}\r\n{}Hash-algorithm-id: {SHA512}\r\n\r\n{}\r\n",
                file.identifier,
                file.location,
                name.unwrap_or_default(),
                BASE64.encode(sha512(&file.bytes)),
            );
        }
        body.push_str("--INNER--\r\n");
        format!(
            "Content-Type: multipart/related; charset=UTF-8; boundary=OUTER\r\n\r\n--OUTER\r\n\
             Content-Type: multipart/mixed; charset=UTF-8; boundary=INNER\r\n\r\n{body}\r\n--OUTER\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
             Signature-Algorithm-Id: {}\r\n\
             Verification-certificate-hash: {}; hash-algorithm-id=\"{SHA512}\"\r\n\r\n{}\r\n--OUTER--\r\n",
            signer.algorithm().uri(),
            BASE64.encode(sha512(signer.certificate().der())),
            BASE64.encode(signer.sign(body.as_bytes()).unwrap()),
        )
    }
}

/// An anchor with these sources: URL and the certificate that verifies.
pub fn anchor(sources: &[(&str, &Identity)]) -> String {
    let sources: String = sources
        .iter()
        .map(|(url, signer)| {
            format!(
                "<source><downloadURL>{url}</downloadURL><verificationCert>{}</verificationCert></source>",
                BASE64.encode(signer.certificate().der())
            )
        })
        .collect();
    format!(
        "<x:configurationAnchor xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\">\
         <instanceIdentifier>SANDBOX</instanceIdentifier>{sources}</x:configurationAnchor>"
    )
}

/// Hosts with pages. A host without any page cannot be reached; a page that is not there is a 404.
#[derive(Default)]
pub struct Web {
    pub pages: Mutex<BTreeMap<String, (u16, Vec<u8>)>>,
    /// URLs that begin like this are never answered.
    pub hangs: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
}

impl Web {
    pub fn put(&self, url: &str, status: u16, body: impl Into<Vec<u8>>) {
        self.pages.lock().unwrap().insert(url.into(), (status, body.into()));
    }

    pub fn remove(&self, start: &str) {
        self.pages.lock().unwrap().retain(|url, _| !url.starts_with(start));
    }

    /// The URLs asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answer(&self, request: &Request) -> Result<Answer, FetchError> {
        let url = request.url.clone();
        self.asked.lock().unwrap().push(url.clone());
        let pages = self.pages.lock().unwrap();
        let host_end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at + 1);
        if !pages.keys().any(|page| page.starts_with(&url[..host_end])) {
            return Err(FetchError::Connection(url, "connection refused".into()));
        }
        let (status, body) = pages.get(&url).cloned().unwrap_or((404, Vec::new()));
        if !(request.accepts)(status) {
            return Err(FetchError::Status(url, status));
        }
        Ok(Answer { status, content_type: None, body: body.into() })
    }
}

impl Fetch for Web {
    fn fetch(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, FetchError>> + Send + '_>> {
        let answer = self.answer(&request);
        let hangs = self.hangs.lock().unwrap().as_ref().is_some_and(|start| request.url.starts_with(start));
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

/// One client with all that it uses. Its anchor names `http://conf.test/internalconf`.
pub struct Setup {
    pub instance: Instance,
    pub web: Arc<Web>,
    pub clock: Arc<ManualClock>,
    pub trust: SharedTrust,
    pub settings: GlobalConfiguration,
    pub client: ConfigurationClient,
    pub folder: tempfile::TempDir,
}

pub const SOURCE: &str = "http://conf.test/internalconf";

impl Setup {
    pub fn new() -> Self {
        let instance = Instance::new();
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse("", "".as_ref(), Config::example()).unwrap();
        let settings = GlobalConfiguration {
            dir: folder.path().join("globalconf"),
            anchor: Some(folder.path().join("anchor.xml")),
            ..config.globalconf
        };
        let (web, clock) = (Arc::new(Web::default()), Arc::new(ManualClock::new(START)));
        let trust = SharedTrust::default();
        let client = client(&settings, &web, &clock, &trust);
        let setup = Self { instance, web, clock, trust, settings, client, folder };
        setup.write_anchor(&anchor(&[(SOURCE, &setup.instance.pki.source)]));
        setup
    }

    pub fn write_anchor(&self, anchor: &str) {
        std::fs::write(self.folder.path().join("anchor.xml"), anchor).unwrap();
    }

    /// Version 6 of a directory, signed by the sandbox's key, and its files, at `http://conf.test`.
    pub fn publish(&self, directory: &Directory) {
        self.publish_at("http://conf.test", directory, &self.instance.pki.source);
    }

    pub fn publish_at(&self, host: &str, directory: &Directory, signer: &Identity) {
        self.web.put(&format!("{host}/internalconf?version=6"), 200, directory.signed(signer));
        for file in &directory.files {
            self.web.put(&format!("{host}{}", file.location), 200, file.bytes.clone());
        }
    }

    /// The sandbox's parameters as of now.
    pub fn directory(&self) -> Directory {
        use hermod::time::Clock as _;
        Directory::of(&self.instance, self.clock.now())
    }

    /// One cycle; its error code, or "".
    pub async fn update(&mut self) -> String {
        self.client.update_once().await;
        self.client.last_error().map(|error| error.code().to_string()).unwrap_or_default()
    }

    /// A new client of the same state, as after a restart.
    pub fn restart(&mut self) {
        self.trust = SharedTrust::default();
        self.client = client(&self.settings, &self.web, &self.clock, &self.trust);
    }

    pub fn in_force(&self) -> Arc<TrustSnapshot> {
        self.trust.load_full()
    }

    /// A stored file of the instance.
    pub fn file(&self, name: &str) -> PathBuf {
        self.settings.dir.join("SANDBOX").join(name)
    }
}

fn client(
    settings: &GlobalConfiguration,
    web: &Arc<Web>,
    clock: &Arc<ManualClock>,
    trust: &SharedTrust,
) -> ConfigurationClient {
    ConfigurationClient::new(settings.clone(), web.clone(), trust.clone(), clock.clone(), Arc::new(Half))
}
