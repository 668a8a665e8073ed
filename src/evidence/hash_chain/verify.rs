use std::collections::{HashMap, HashSet};

use crate::crypto::{Digest, DigestAlgorithm};
use crate::limits::HASH_CHAIN_STEPS_MAX;
use crate::message::{ErrorCode, XRoadError};
use crate::xml::{C14n, Document, Limits, canonicalize_within};

use super::DigestList;
use super::document::{self, Chain, ChainResult, Item, ItemKind};
use super::fixed;

/// What is to be verified.
#[derive(Debug, Clone, Copy)]
pub struct ChainRequest<'a> {
    /// The hash chain result document. The caller has checked, or will check, what signs or stamps it.
    pub result: &'a [u8],
    /// The chain documents at hand by URI, for example `/sig-hashchain.xml`.
    pub chains: &'a [(&'a str, &'a [u8])],
    /// The data that the chain must cover.
    pub inputs: &'a [ChainInput<'a>],
    /// Whether the chain may name data that is not among the inputs (attachments that were not kept).
    pub allow_absent: bool,
    /// Whether SHA-1 is accepted, for evidence of the past.
    pub allow_sha1: bool,
}

/// Data that the chain must cover.
#[derive(Debug, Clone, Copy)]
pub struct ChainInput<'a> {
    /// Its URI, for example `/message.xml`.
    pub uri: &'a str,
    /// The data or its digest.
    pub value: InputValue<'a>,
}

/// Data, or its digest made while it passed by.
#[derive(Debug, Clone, Copy)]
pub enum InputValue<'a> {
    /// The bytes themselves, digested with whatever method the chain says.
    Data(&'a [u8]),
    /// A digest, which the chain must have made with the same method.
    Digest(DigestAlgorithm, &'a [u8]),
}

/// Data that a verified chain covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredPart {
    /// Its URI.
    pub uri: String,
    /// The method of its digest.
    pub method: DigestAlgorithm,
    /// Its digest.
    pub digest: Vec<u8>,
    /// Whether it was among the inputs and so was compared.
    pub present: bool,
}

/// Why a hash chain does not prove what it should (`signature.md` 3.4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A document is not a hash chain, or breaks a bound.
    #[error("malformed hash chain: {0}")]
    Malformed(&'static str),
    /// The chain refers to something that is not there.
    #[error("hash chain refers to unknown {0}")]
    Reference(String),
    /// Data differs from its digest in the chain.
    #[error("hash chain does not match {0}")]
    Data(String),
    /// The root differs from the result.
    #[error("hash chain does not lead to its result")]
    Root,
    /// An input is not covered.
    #[error("hash chain does not cover {0}")]
    Unused(String),
}

impl From<ChainError> for XRoadError {
    fn from(error: ChainError) -> Self {
        let code = match error {
            ChainError::Malformed(_) => ErrorCode::MalformedHashChain,
            ChainError::Reference(_) => ErrorCode::InvalidReference,
            ChainError::Data(_) => ErrorCode::InvalidHashChainRef,
            ChainError::Root => ErrorCode::InvalidHashChain,
            ChainError::Unused(_) => ErrorCode::HashchainUnusedInputs,
        };
        Self::new(code, error.to_string())
    }
}

/// Verifies that the chain leads from the inputs to the result; returns all data that the chain covers.
///
/// A chain is a path: each step is referred to exactly once, so the work is linear; there is no recursion.
pub fn verify_chain(request: &ChainRequest<'_>) -> Result<Vec<CoveredPart>, ChainError> {
    let result = match fixed::result(request.result, request.allow_sha1) {
        Some(result) => result,
        None => ChainResult::read(request.result, request.allow_sha1)?,
    };
    let usual: Vec<Option<Chain<'_>>> =
        request.chains.iter().map(|(_, bytes)| fixed::chain(bytes, request.allow_sha1)).collect();
    let documents: Vec<Option<Document<'_>>> = request
        .chains
        .iter()
        .zip(&usual)
        .map(|((_, bytes), usual)| if usual.is_some() { Ok(None) } else { document::parse(bytes).map(Some) })
        .collect::<Result<_, _>>()?;
    let chains: Vec<(&str, Chain<'_>)> = request
        .chains
        .iter()
        .zip(usual.into_iter().zip(&documents))
        .filter_map(|((uri, _), (usual, document))| {
            let strict = || document.as_ref().map(|document| Chain::read(document, request.allow_sha1));
            usual.map(Ok).or_else(strict).map(|chain| chain.map(|chain| (*uri, chain)))
        })
        .collect::<Result<_, _>>()?;
    let mut evaluation = Evaluation {
        chains: &chains,
        inputs: request.inputs.iter().map(|input| (input.uri, input.value)).collect(),
        seen: HashSet::new(),
        allow_absent: request.allow_absent,
        visits: Vec::with_capacity(8),
        covered: Vec::new(),
        misdeclared: None,
    };
    evaluation.visit(&result)?;
    let root = evaluation.evaluate()?;
    if root != result.value {
        return Err(ChainError::Root);
    }
    if let Some(uri) = evaluation.misdeclared {
        return Err(ChainError::Data(uri.to_owned()));
    }
    match request.inputs.iter().find(|input| !evaluation.seen.contains(input.uri)) {
        Some(unused) => Err(ChainError::Unused(unused.uri.to_owned())),
        None => Ok(evaluation.covered),
    }
}

struct Evaluation<'c> {
    chains: &'c [(&'c str, Chain<'c>)],
    inputs: HashMap<&'c str, InputValue<'c>>,
    allow_absent: bool,
    visits: Vec<Visit>,
    seen: HashSet<&'c str>,
    covered: Vec<CoveredPart>,
    // Data whose digest in the chain is another than the one that leads to the root.
    misdeclared: Option<&'c str>,
}

// A step that was reached, in the order of being reached: whoever refers to it comes before it.
struct Visit {
    chain: usize,
    step: usize,
    method: DigestAlgorithm,
    // Visits of the StepRefs among its items, in order.
    below: Vec<usize>,
    value: Option<Digest>,
}

impl<'c> Evaluation<'c> {
    // Finds the order of evaluation.
    fn visit(&mut self, result: &ChainResult) -> Result<(), ChainError> {
        self.reach(&result.uri, None, result.method)?;
        let mut at = 0;
        while let Some((chain, step)) = self.visits.get(at).map(|visit| (visit.chain, visit.step)) {
            let mut below = Vec::new();
            for item in self.items(chain, step) {
                if let ItemKind::StepRef(uri) = &item.kind {
                    below.push(self.visits.len());
                    self.reach(uri, Some(chain), item.method)?;
                }
            }
            if let Some(visit) = self.visits.get_mut(at) {
                visit.below = below;
            }
            at += 1;
        }
        // Steps beside the path prove nothing and have no business in the chain.
        let steps: usize = self.chains.iter().map(|(_, chain)| chain.steps.len()).sum();
        if steps != self.visits.len() {
            return Err(ChainError::Malformed("a step that nothing refers to"));
        }
        Ok(())
    }

    fn reach(&mut self, uri: &str, from: Option<usize>, method: DigestAlgorithm) -> Result<(), ChainError> {
        let (file, id) =
            uri.split_once('#').ok_or(ChainError::Malformed("a step reference without fragment"))?;
        let chain = match file {
            "" => from.ok_or(ChainError::Malformed("a result that names no chain"))?,
            file => {
                let known = self.chains.iter().position(|(uri, _)| *uri == file);
                known.ok_or_else(|| ChainError::Reference(file.to_owned()))?
            }
        };
        let step = self.chains.get(chain).and_then(|(_, chain)| chain.step(id)).filter(|_| !id.is_empty());
        let step = step.ok_or(ChainError::Malformed("a reference to an unknown step"))?;
        if self.visits.iter().any(|visit| visit.chain == chain && visit.step == step) {
            return Err(ChainError::Malformed("a step that is referred to twice"));
        }
        if self.visits.len() == HASH_CHAIN_STEPS_MAX {
            return Err(ChainError::Malformed("too many steps"));
        }
        self.visits.push(Visit { chain, step, method, below: Vec::new(), value: None });
        Ok(())
    }

    // From the leaves to the root: in reverse order, what a step refers to has been evaluated before.
    fn evaluate(&mut self) -> Result<Vec<u8>, ChainError> {
        let mut list = DigestList::with_capacity(4);
        for at in (0..self.visits.len()).rev() {
            let Some(visit) = self.visits.get(at) else { break };
            let (chain, step, method) = (visit.chain, visit.step, visit.method);
            let mut below = 0;
            for item in self.items(chain, step) {
                match &item.kind {
                    ItemKind::HashValue(value) => list.push_value(item.method, value),
                    ItemKind::StepRef(_) => {
                        let visit = self.visits.get(at).and_then(|visit| visit.below.get(below));
                        let value =
                            visit.and_then(|below| self.visits.get(*below)).and_then(|visit| visit.value);
                        // Reached after this step, so evaluated before it.
                        list.push(&value.ok_or(ChainError::Malformed("a step without value"))?);
                        below += 1;
                    }
                    ItemKind::DataRef { uri, transforms, value } => {
                        let (digest, present) = self.data(uri, transforms, item.method, value)?;
                        list.push_value(item.method, &digest);
                        self.covered.push(CoveredPart {
                            uri: (*uri).to_owned(),
                            method: item.method,
                            digest,
                            present,
                        });
                    }
                }
            }
            let value = list.digest(method);
            if let Some(visit) = self.visits.get_mut(at) {
                visit.value = Some(value);
            }
        }
        let root = self.visits.first().and_then(|visit| visit.value);
        Ok(root.map(|root| root.as_ref().to_vec()).unwrap_or_default())
    }

    fn data(
        &mut self,
        uri: &'c str,
        transforms: &[C14n],
        method: DigestAlgorithm,
        declared: &[u8],
    ) -> Result<(Vec<u8>, bool), ChainError> {
        if !self.seen.insert(uri) {
            return Err(ChainError::Malformed("data that is referred to twice"));
        }
        match self.inputs.get(uri).copied() {
            Some(InputValue::Digest(made_with, value)) if made_with == method && transforms.is_empty() => {
                // The input leads to the root, not what the chain says of it. But who reads the evidence later, without
                // the attachments, has only the chain: both must be the same.
                if value != declared {
                    self.misdeclared.get_or_insert(uri);
                }
                Ok((value.to_vec(), true))
            }
            Some(InputValue::Digest(..)) => Err(ChainError::Reference(uri.to_owned())),
            Some(InputValue::Data(data)) => {
                let digest = match transforms {
                    [] => method.digest(data),
                    transforms => method.digest(&transformed(data, transforms, uri)?),
                };
                if digest.as_ref() != declared {
                    return Err(ChainError::Data(uri.to_owned()));
                }
                Ok((declared.to_vec(), true))
            }
            None if self.allow_absent => Ok((declared.to_vec(), false)),
            None => Err(ChainError::Reference(uri.to_owned())),
        }
    }

    fn items(&self, chain: usize, step: usize) -> &'c [Item<'c>] {
        let chains = self.chains;
        chains.get(chain).and_then(|(_, chain)| chain.steps.get(step)).map_or(&[], |step| &step.items)
    }
}

fn transformed(data: &[u8], transforms: &[C14n], uri: &str) -> Result<Vec<u8>, ChainError> {
    let mut octets = data.to_vec();
    for method in transforms {
        let failed = |_| ChainError::Data(uri.to_owned());
        let limits = Limits::default();
        let document = Document::parse(&octets, &limits).map_err(failed)?;
        octets = canonicalize_within(document.top(), *method, &[], limits.max_bytes).map_err(failed)?;
    }
    Ok(octets)
}
