//! The keys of one member, and which of them signs now.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use super::batcher::Batcher;
use super::select::{self, Usable};
use super::token::TokenCertificate;
use crate::crypto::SignatureAlgorithm;
use crate::evidence::SignatureTemplate;
use crate::message::{ErrorCode, MemberId, XRoadError};
use crate::time::UnixTime;
use crate::trust::TrustSnapshot;

/// How long a refusal is believed before it is looked at again, in seconds.
const REFUSAL_SECS: i64 = 1;

/// One certificate of a key.
pub(super) struct Candidate {
    pub batcher: Batcher<SignatureTemplate>,
    pub algorithm: SignatureAlgorithm,
    pub certificate: TokenCertificate,
}

/// What signs now.
pub(super) struct Choice {
    pub batcher: Batcher<SignatureTemplate>,
    pub template: Arc<SignatureTemplate>,
    pub usable: Usable,
}

struct Decision {
    trust: Arc<TrustSnapshot>,
    until: UnixTime,
    choice: Result<Arc<Choice>, XRoadError>,
}

/// The candidates of one member in the tokens' order; the first usable one signs.
pub(super) struct Route {
    member: MemberId,
    candidates: Vec<Candidate>,
    decision: ArcSwapOption<Decision>,
    deciding: Mutex<()>,
}

impl Route {
    pub fn new(member: MemberId, candidates: Vec<Candidate>) -> Self {
        Self { member, candidates, decision: ArcSwapOption::empty(), deciding: Mutex::new(()) }
    }

    /// What signs under this snapshot at this time. Decided once per snapshot, and again when an answer or
    /// certificate has run out.
    pub fn choose(&self, trust: &Arc<TrustSnapshot>, now: UnixTime) -> Result<Arc<Choice>, XRoadError> {
        if let Some(choice) = self.known(trust, now) {
            return choice;
        }
        let _one_decides = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = self.known(trust, now) {
            return choice;
        }
        let previous = self.decision.load_full().and_then(|decision| decision.choice.clone().ok());
        let choice = self.decide(trust, now, previous.as_deref()).map(Arc::new);
        let until = match &choice {
            Ok(choice) => choice.usable.until,
            Err(_) => now.plus_secs(REFUSAL_SECS),
        };
        let decision = Decision { trust: Arc::clone(trust), until, choice: choice.clone() };
        self.decision.store(Some(Arc::new(decision)));
        choice
    }

    fn known(&self, trust: &Arc<TrustSnapshot>, now: UnixTime) -> Option<Result<Arc<Choice>, XRoadError>> {
        let decision = self.decision.load();
        let decision = decision.as_ref()?;
        let holds = Arc::ptr_eq(&decision.trust, trust) && now <= decision.until;
        holds.then(|| decision.choice.clone())
    }

    fn decide(
        &self,
        trust: &TrustSnapshot,
        now: UnixTime,
        previous: Option<&Choice>,
    ) -> Result<Choice, XRoadError> {
        let mut reasons = Vec::new();
        for candidate in &self.candidates {
            match select::usable(&candidate.certificate, self.member.instance(), trust, now) {
                Ok(usable) => return Ok(candidate.choice(usable, previous)),
                Err(error) => reasons.push(error.text().to_owned()),
            }
        }
        let text = format!("Member {} has no suitable certificates: {}", self.member, reasons.join("; "));
        Err(XRoadError::new(ErrorCode::CannotCreateSignature, text))
    }
}

impl Candidate {
    /// The same template as before when nothing in it has changed, so that batches are not cut in two.
    fn choice(&self, usable: Usable, previous: Option<&Choice>) -> Choice {
        let same = previous.filter(|previous| previous.usable.carries_the_same(&usable));
        let template = same.map_or_else(|| Arc::new(self.template(&usable)), |p| Arc::clone(&p.template));
        Choice { batcher: self.batcher.clone(), template, usable }
    }

    fn template(&self, usable: &Usable) -> SignatureTemplate {
        let ocsp: Vec<Bytes> =
            usable.ocsp_responses.iter().map(|response| Bytes::copy_from_slice(response.der())).collect();
        let extra = usable.chain.get(1..).unwrap_or_default();
        SignatureTemplate::new(&self.certificate.certificate, extra, &ocsp, self.algorithm)
    }
}

impl Usable {
    fn carries_the_same(&self, other: &Usable) -> bool {
        let chain = |usable: &Usable| usable.chain.iter().map(|c| c.der().to_vec()).collect::<Vec<_>>();
        let ocsp =
            |usable: &Usable| usable.ocsp_responses.iter().map(|r| r.der().to_vec()).collect::<Vec<_>>();
        chain(self) == chain(other) && ocsp(self) == ocsp(other)
    }
}
