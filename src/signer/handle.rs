//! Signing for the data plane, and the identity for TLS.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashMapExt};

use super::batcher::{BatchConfig, Batcher, SignBatch};
use super::route::{Candidate, Choice, Route};
use super::select;
use super::statistics::{Counters, SignerStatistics};
use super::token::{KeyPurpose, Token, TokenError, TokenKey};
use crate::crypto::{Certificate, Digest, DigestAlgorithm};
use crate::evidence::{SignatureData, SignatureTemplate, sign_batch};
use crate::limits::ATTACHMENTS_MAX;
use crate::message::{ErrorCode, MemberId, SecurityServerId, XRoadError};
use crate::time::SharedClock;
use crate::trust::{OcspResponse, TrustSnapshot};

/// Signs for the members of this server. Cheap to clone; may be used from every thread and runtime.
#[derive(Clone)]
pub struct SignerHandle(Arc<Shared>);

struct Shared {
    trust: Arc<ArcSwap<TrustSnapshot>>,
    clock: SharedClock,
    config: BatchConfig,
    counters: Arc<Counters>,
    keys: ArcSwap<Keys>,
    reloading: Mutex<()>,
}

/// What the tokens held when they were read last.
#[derive(Default)]
struct Keys {
    routes: HashMap<MemberId, Route>,
    /// By key id and public key: a key that stays keeps its thread.
    batchers: HashMap<(String, Vec<u8>), Batcher<SignatureTemplate>>,
    authentication: Vec<TokenKey>,
    all: Vec<TokenKey>,
}

/// What a signature of a member carries now.
#[derive(Debug, Clone)]
pub struct SignInfo {
    /// The signing certificate and the intermediate authorities above it, without the topmost.
    pub chain: Vec<Certificate>,
    /// One answer per certificate of `chain`, in its order.
    pub ocsp_responses: Vec<OcspResponse>,
}

/// Key and certificates for TLS between servers.
#[derive(Clone)]
pub struct AuthIdentity {
    /// The private key, PKCS#8 DER.
    pub pkcs8: Arc<[u8]>,
    /// The authentication certificate and the intermediate authorities above it, without the topmost.
    pub chain: Vec<Certificate>,
    /// The answers about the certificates of `chain`, in its order; `None` where there is none now.
    pub ocsp_responses: Vec<Option<OcspResponse>>,
}

impl std::fmt::Debug for AuthIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthIdentity").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl SignerHandle {
    /// Reads the tokens and starts one thread per signing key.
    pub fn start(
        tokens: &[&dyn Token],
        trust: Arc<ArcSwap<TrustSnapshot>>,
        clock: SharedClock,
        config: BatchConfig,
    ) -> Result<Self, TokenError> {
        let (counters, keys) = (Arc::new(Counters::default()), ArcSwap::default());
        let shared = Shared { trust, clock, config, counters, keys, reloading: Mutex::new(()) };
        let signer = Self(Arc::new(shared));
        signer.reload(tokens)?;
        Ok(signer)
    }

    /// Reads the tokens again. Requests under way are answered with the key that they were given to.
    pub fn reload(&self, tokens: &[&dyn Token]) -> Result<(), TokenError> {
        let _one_reloads = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for token in tokens {
            all.extend(token.keys()?);
        }
        let keys = self.0.arrange(all)?;
        self.0.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Signs the parts of one message for a member: SHA-512 digests, message first, then the attachments.
    /// Every error is `cannot_create_signature`, perhaps with more behind it.
    pub async fn sign(&self, member: &MemberId, parts: Vec<Digest>) -> Result<SignatureData, XRoadError> {
        // One request with other digests would spoil the tree for its whole batch.
        let fits = |digest: &Digest| digest.algorithm() == DigestAlgorithm::Sha512;
        if parts.is_empty() || parts.len() > 1 + ATTACHMENTS_MAX || !parts.iter().all(fits) {
            let text = "A message to be signed must have SHA-512 digests of its parts";
            return Err(XRoadError::new(ErrorCode::CannotCreateSignature, text));
        }
        let choice = self.choose(member)?;
        choice.batcher.sign(Arc::clone(&choice.template), parts).await
    }

    /// What a signature of this member carries now; the error says why it cannot sign
    /// (`cannot_create_signature`).
    pub fn sign_info(&self, member: &MemberId) -> Result<SignInfo, XRoadError> {
        let choice = self.choose(member)?;
        let (chain, ocsp_responses) = (choice.usable.chain.clone(), choice.usable.ocsp_responses.clone());
        Ok(SignInfo { chain, ocsp_responses })
    }

    /// Whether this member can sign now; the error says why it cannot (`cannot_create_signature`).
    pub fn require_usable(&self, member: &MemberId) -> Result<(), XRoadError> {
        self.choose(member).map(drop)
    }

    fn choose(&self, member: &MemberId) -> Result<Arc<Choice>, XRoadError> {
        let keys = self.0.keys.load();
        let Some(route) = keys.routes.get(member) else {
            let text = format!("Member {member} has no suitable certificates");
            return Err(XRoadError::new(ErrorCode::CannotCreateSignature, text));
        };
        route.choose(&self.0.trust.load(), self.0.clock.now())
    }

    /// Key and certificates for TLS: the first authentication certificate that is active, registered, valid,
    /// this server's by the global configuration, and good by its OCSP answer. The error says of each why not.
    pub fn auth_identity(&self, server: &SecurityServerId) -> Result<AuthIdentity, XRoadError> {
        let trust = self.0.trust.load();
        let mut reasons = Vec::new();
        for key in &self.0.keys.load().authentication {
            match self.0.identity_of(key, server, &trust) {
                Ok(identity) => return Ok(identity),
                Err(found) => reasons.extend(found),
            }
        }
        let text = match reasons.is_empty() {
            true => "there is no authentication certificate".to_owned(),
            false => reasons.join("; "),
        };
        Err(XRoadError::new(
            ErrorCode::SslAuthenticationFailed,
            format!("No usable authentication key: {text}"),
        ))
    }

    /// Every certificate of every key, active or not: OCSP answers are needed for the active ones that are
    /// registered.
    pub fn keys(&self) -> Vec<TokenKey> {
        self.0.keys.load().all.clone()
    }

    /// Figures since start.
    pub fn statistics(&self) -> SignerStatistics {
        self.0.counters.read()
    }
}

impl Shared {
    fn arrange(&self, all: Vec<TokenKey>) -> Result<Keys, TokenError> {
        let before = self.keys.load();
        let mut keys = Keys { all, ..Keys::default() };
        let mut candidates: HashMap<MemberId, Vec<Candidate>> = HashMap::new();
        for key in &keys.all {
            if key.purpose == Some(KeyPurpose::Authentication) {
                keys.authentication.push(key.clone());
            }
            if key.purpose != Some(KeyPurpose::Signing) {
                continue;
            }
            let name = (key.id.clone(), key.key.public_key_spki().to_vec());
            let batcher = match before.batchers.get(&name) {
                Some(batcher) => batcher.clone(),
                None => self.start_batcher(key)?,
            };
            for certificate in &key.certificates {
                let Some(member) = &certificate.member else { continue };
                candidates.entry(member.clone()).or_default().push(Candidate {
                    batcher: batcher.clone(),
                    algorithm: key.key.algorithm(),
                    certificate: certificate.clone(),
                });
            }
            keys.batchers.insert(name, batcher);
        }
        let routes = candidates.into_iter().map(|(member, list)| (member.clone(), Route::new(member, list)));
        keys.routes = routes.collect();
        Ok(keys)
    }

    fn start_batcher(&self, key: &TokenKey) -> Result<Batcher<SignatureTemplate>, TokenError> {
        let (signing_key, clock) = (Arc::clone(&key.key), Arc::clone(&self.clock));
        let sign: Box<SignBatch<SignatureTemplate>> = Box::new(move |template, requests| {
            Ok(sign_batch(template, signing_key.as_ref(), clock.now(), requests)?)
        });
        let mut config = self.config;
        if !key.batch_signing {
            config.requests_max = 1;
        }
        Batcher::start(&key.id, config, Arc::clone(&self.counters), sign)
            .map_err(|source| TokenError::Io { path: "signing thread".into(), source })
    }

    fn identity_of(
        &self,
        key: &TokenKey,
        server: &SecurityServerId,
        trust: &TrustSnapshot,
    ) -> Result<AuthIdentity, Vec<String>> {
        let Some(pkcs8) = &key.pkcs8 else {
            return Err(vec![format!("key {} cannot be used for TLS", key.id)]);
        };
        let mut reasons = Vec::new();
        for certificate in &key.certificates {
            match self.authentication_chain(certificate, server, trust) {
                Ok((chain, ocsp_responses)) => {
                    return Ok(AuthIdentity { pkcs8: Arc::clone(pkcs8), chain, ocsp_responses });
                }
                Err(reason) => {
                    reasons.push(format!("certificate \"{}\": {reason}", certificate.certificate.subject()));
                }
            }
        }
        Err(reasons)
    }

    #[allow(clippy::type_complexity)]
    fn authentication_chain(
        &self,
        certificate: &super::TokenCertificate,
        server: &SecurityServerId,
        trust: &TrustSnapshot,
    ) -> Result<(Vec<Certificate>, Vec<Option<OcspResponse>>), String> {
        let now = self.clock.now();
        select::check_state(certificate, now)?;
        if trust.global_conf.auth_cert_server(&certificate.certificate).as_ref() != Some(server) {
            return Err("the global configuration does not list it for this server".into());
        }
        let text = |error: XRoadError| error.text().to_owned();
        let mut chain = select::chain_of(trust, server.instance(), &certificate.certificate).map_err(text)?;
        let response = trust.ocsp.get(&certificate.certificate).ok_or("its OCSP response is missing")?;
        if let Some(issuer) = chain.get(1) {
            response
                .verify(issuer, &certificate.certificate, now, &trust.global_conf, &trust.policy)
                .map_err(text)?;
        }
        chain.pop();
        let ocsp_responses = chain.iter().map(|link| trust.ocsp.get(link).cloned()).collect();
        Ok((chain, ocsp_responses))
    }
}
