//! Configuration anchors: where an instance's configuration is and which keys sign it.

use super::schema::{self, SchemaError, Sequence};
use super::shared_params::SharedParams;
use crate::crypto::{Certificate, sha224};
use crate::message::{ErrorCode, XRoadError};
use crate::time::UnixTime;
use crate::xml::Node;

/// An anchor: the file of an administrator, or an element of private parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was made, for people.
    pub generated_at: Option<UnixTime>,
    /// The instance that its sources serve.
    pub instance: String,
    /// At least one.
    pub sources: Vec<AnchorSource>,
}

/// One download location of an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSource {
    /// URL of the signed directory without version parameter.
    pub download_url: String,
    /// Bytes of the certificates as they stand in the anchor: hashes are over them. Only their keys count.
    pub verification_certs: Vec<Vec<u8>>,
}

/// A place to download from, with what verifies what comes from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The instance that the location serves.
    pub instance: String,
    /// URL of the signed directory.
    pub url: String,
    /// Certificates accepted for this location only.
    pub verification_certs: Vec<Vec<u8>>,
}

impl Location {
    /// Whether the location is reached by TLS.
    pub fn is_https(&self) -> bool {
        self.url.starts_with("https")
    }
}

impl Anchor {
    /// Reads an anchor file. Errors: `malformed_anchor`.
    pub fn parse(bytes: &[u8]) -> Result<Self, XRoadError> {
        let read = || -> Result<Self, SchemaError> {
            let document = schema::parse(bytes)?;
            let fields = schema::root(&document, "configurationAnchor")?;
            Self::read(fields)
        };
        let anchor =
            read().map_err(|error| XRoadError::new(ErrorCode::MalformedAnchor, error.to_string()))?;
        anchor.check_keys()?;
        Ok(anchor)
    }

    pub(super) fn from_node(node: Node<'_>) -> Result<Self, SchemaError> {
        Self::read(Sequence::of(node, &[])?)
    }

    fn read(mut fields: Sequence<'_>) -> Result<Self, SchemaError> {
        let generated_at = fields.optional("generatedAt").map(schema::date_time).transpose()?;
        let instance = fields.text("instanceIdentifier")?;
        let mut sources = Vec::new();
        for node in fields.at_least_one("source")? {
            let mut fields = Sequence::of(node, &[])?;
            let download_url = fields.text("downloadURL")?;
            let certs = fields.at_least_one("verificationCert")?;
            fields.finish()?;
            let verification_certs = certs.into_iter().map(schema::base64).collect::<Result<_, _>>()?;
            sources.push(AnchorSource { download_url, verification_certs });
        }
        fields.finish()?;
        Ok(Self { generated_at, instance, sources })
    }

    fn check_keys(&self) -> Result<(), XRoadError> {
        let malformed = |error: String| XRoadError::new(ErrorCode::MalformedAnchor, error);
        for bytes in self.sources.iter().flat_map(|source| &source.verification_certs) {
            Certificate::from_der_or_pem(bytes).map_err(|error| malformed(error.to_string()))?;
        }
        // The instance becomes a directory name.
        if self.instance.trim().is_empty() || matches!(self.instance.as_str(), "." | "..") {
            return Err(malformed("the instance identifier is not usable".to_owned()));
        }
        Ok(())
    }

    /// The fingerprint that administrators compare: SHA-224 over the file, upper case, colons between bytes.
    pub fn fingerprint(file: &[u8]) -> String {
        let parts: Vec<String> = sha224(file).iter().map(|byte| format!("{byte:02X}")).collect();
        parts.join(":")
    }

    /// Where to download from, https before http within each group: first what the stored shared parameters
    /// of the instance say (that is how signing keys rotate), then the anchor itself. Callers shuffle within
    /// the four runs. An anchor with only https URLs is used as it is; official clients download nothing.
    pub fn locations(&self, stored: Option<&SharedParams>) -> Vec<Location> {
        let mut groups: [Vec<Location>; 4] = Default::default();
        let [shared_https, shared_http, anchor_https, anchor_http] = &mut groups;
        let mut shared = |location: Location| {
            if location.is_https() { shared_https.push(location) } else { shared_http.push(location) }
        };
        for (url, verification_certs) in stored.map(|stored| self.stored_sources(stored)).unwrap_or_default()
        {
            shared(Location { instance: self.instance.clone(), url, verification_certs });
        }
        for source in &self.sources {
            let location = |url: String| Location {
                instance: self.instance.clone(),
                url,
                verification_certs: source.verification_certs.clone(),
            };
            let url = &source.download_url;
            match url.strip_prefix("http://") {
                Some(rest) => {
                    anchor_https.push(location(format!("https://{rest}")));
                    anchor_http.push(location(url.clone()));
                }
                None => anchor_https.push(location(url.clone())),
            }
        }
        let mut all: Vec<Location> = Vec::new();
        for location in groups.into_iter().flatten() {
            if !all.contains(&location) {
                all.push(location);
            }
        }
        all
    }

    fn stored_sources(&self, stored: &SharedParams) -> Vec<(String, Vec<Vec<u8>>)> {
        if stored.version < 3 || stored.instance != self.instance {
            return Vec::new();
        }
        let plain = self.sources.iter().find_map(|source| source.download_url.strip_prefix("http://"));
        let Some((_, directory)) = plain.and_then(|rest| rest.split_once('/')) else { return Vec::new() };
        let mut found = Vec::new();
        for source in &stored.sources {
            let internal = source.internal_verification_certs.iter();
            let external = source.external_verification_certs.iter();
            let certs: Vec<Vec<u8>> = match directory {
                "internalconf" => internal.cloned().collect(),
                "externalconf" => external.cloned().collect(),
                _ => internal.chain(external).cloned().collect(),
            };
            for scheme in ["https", "http"] {
                found.push((format!("{scheme}://{}/{directory}", source.address), certs.clone()));
            }
        }
        found
    }
}
