use crate::crypto::{Digest, DigestAlgorithm};

use super::super::base64;
use super::super::part::PartName;
use super::form;
use super::{ChainPath, DigestList};

/// What one request of a batch brings into the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// One digest: the leaf is the digest itself.
    Single(Digest),
    /// The digests of several parts, message first: the leaf is one hash step over them.
    Parts(Vec<Digest>),
}

/// Why no tree can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is no leaf, or a leaf without digest.
    #[error("nothing to build a hash tree over")]
    Empty,
    /// One single digest needs no tree, and its chain would have no step.
    #[error("a hash tree over one digest")]
    Lone,
    /// Digests of different algorithms.
    #[error("digests of different algorithms in one hash tree")]
    Algorithms,
}

/// A Merkle tree over the leaves of a batch, in their order (`signature.md` 2.4).
#[derive(Debug)]
pub struct HashTree {
    algorithm: DigestAlgorithm,
    leaves: Vec<Leaf>,
    // From the leaves' values up to the root; a node without neighbour moves up unchanged.
    levels: Vec<Vec<Digest>>,
}

impl HashTree {
    /// Builds the tree with the digests' own algorithm.
    pub fn new(leaves: Vec<Leaf>) -> Result<Self, TreeError> {
        let digests = || leaves.iter().flat_map(Leaf::digests);
        let algorithm = digests().next().ok_or(TreeError::Empty)?.algorithm();
        if leaves.iter().any(|leaf| leaf.digests().is_empty()) {
            return Err(TreeError::Empty);
        }
        if digests().any(|digest| digest.algorithm() != algorithm) {
            return Err(TreeError::Algorithms);
        }
        if matches!(leaves.as_slice(), [Leaf::Single(_)]) {
            return Err(TreeError::Lone);
        }
        let mut list = DigestList::with_capacity(4);
        let mut level: Vec<Digest> = leaves.iter().map(|leaf| leaf.value(algorithm, &mut list)).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let parent = |pair: &[Digest]| match pair {
                [lone] => *lone,
                pair => {
                    pair.iter().for_each(|digest| list.push(digest));
                    list.digest(algorithm)
                }
            };
            let above = level.chunks(2).map(parent).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Ok(Self { algorithm, leaves, levels })
    }

    /// The value over all leaves.
    pub fn root(&self) -> &Digest {
        // The last level exists and holds exactly the root, by construction.
        &self.levels[self.levels.len() - 1][0]
    }

    /// How many leaves there are.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Never: a tree has a leaf.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The hash chain result document, common to all leaves. `chain_uri` is the URI of the chain document.
    pub fn result_xml(&self, chain_uri: &str) -> Vec<u8> {
        result_xml(self.root(), chain_uri)
    }

    /// The hash chain document of leaf `index`, which must exist. `data_uri` names the data of a single leaf, or
    /// the first part of several; the other parts are attachments in order.
    pub fn chain_xml(&self, index: usize, data_uri: &str) -> Vec<u8> {
        let depth = self.path(index).count();
        chain_xml(self.algorithm, self.path(index), depth, &self.leaves[index], data_uri)
    }

    /// What that document says.
    pub fn chain_path(&self, index: usize) -> ChainPath {
        let siblings = self.path(index).map(|(digest, is_left)| (*digest, is_left)).collect();
        ChainPath { algorithm: self.algorithm, siblings, leaf: self.leaves[index].clone() }
    }

    // The siblings from the root down to the leaf, each with whether it stands to the left.
    fn path(&self, index: usize) -> impl Iterator<Item = (&Digest, bool)> {
        self.levels.iter().enumerate().rev().filter_map(move |(height, level)| {
            let own = index >> height;
            level.get(own ^ 1).map(|sibling| (sibling, own & 1 == 1))
        })
    }
}

impl Leaf {
    pub(crate) fn digests(&self) -> &[Digest] {
        match self {
            Self::Single(digest) => std::slice::from_ref(digest),
            Self::Parts(digests) => digests,
        }
    }

    pub(super) fn value(&self, algorithm: DigestAlgorithm, list: &mut DigestList) -> Digest {
        match self {
            Self::Single(digest) => *digest,
            Self::Parts(digests) => {
                digests.iter().for_each(|digest| list.push(digest));
                list.digest(algorithm)
            }
        }
    }
}

/// A hash chain result document.
pub(super) fn result_xml(value: &Digest, chain_uri: &str) -> Vec<u8> {
    let mut out = String::with_capacity(512);
    out.push_str(form::DECLARATION);
    out.push_str(form::RESULT);
    out.push_str(chain_uri);
    out.push_str("#STEP0\"");
    out.push_str(form::NAMESPACES);
    out.push_str(form::METHOD);
    out.push_str(value.algorithm().uri());
    out.push_str(form::CLOSED);
    out.push_str(form::RESULT_INDENT);
    push_digest_value(&mut out, value);
    out.push_str(form::RESULT_END);
    out.into_bytes()
}

/// The hash chain document of a leaf below `depth` siblings.
pub(super) fn chain_xml<'d>(
    algorithm: DigestAlgorithm,
    siblings: impl Iterator<Item = (&'d Digest, bool)>,
    depth: usize,
    leaf: &Leaf,
    data_uri: &str,
) -> Vec<u8> {
    let mut out = String::with_capacity(512 + depth * 256 + leaf.digests().len() * 192);
    out.push_str(form::DECLARATION);
    out.push_str(form::CHAIN);
    out.push_str(form::NAMESPACES);
    out.push_str(form::DEFAULT_METHOD);
    out.push_str(algorithm.uri());
    out.push_str(form::CLOSED);
    let multipart = matches!(leaf, Leaf::Parts(_));
    let mut steps = Steps { out: &mut out, written: 0 };
    for (at, (sibling, is_left)) in siblings.enumerate() {
        steps.open();
        let next = steps.written;
        let own = |steps: &mut Steps| match leaf {
            Leaf::Single(digest) if at + 1 == depth => steps.data_ref(data_uri, digest),
            _ => steps.step_ref(next),
        };
        if is_left {
            steps.hash_value(sibling);
            own(&mut steps);
        } else {
            own(&mut steps);
            steps.hash_value(sibling);
        }
        steps.close();
    }
    if multipart {
        steps.open();
        for (part, digest) in leaf.digests().iter().enumerate() {
            match part {
                0 => steps.data_ref(data_uri, digest),
                _ => steps.data_ref(&PartName::at(part).uri(), digest),
            }
        }
        steps.close();
    }
    out.push_str(form::CHAIN_END);
    out.into_bytes()
}

fn push_digest_value(out: &mut String, digest: &Digest) {
    out.push_str(form::VALUE);
    base64::push(out, digest.as_ref());
    out.push_str(form::VALUE_END);
}

struct Steps<'o> {
    out: &'o mut String,
    written: usize,
}

impl Steps<'_> {
    fn number(&mut self, number: usize) {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{number}");
    }

    fn open(&mut self) {
        self.out.push_str(form::STEP_NAMED);
        self.number(self.written);
        self.out.push_str(form::STEP_OPEN);
        self.written += 1;
    }

    fn close(&mut self) {
        self.out.push_str(form::STEP_END);
    }

    fn step_ref(&mut self, step: usize) {
        self.out.push_str(form::STEP_REF_NAMED);
        self.number(step);
        self.out.push_str(form::CLOSED);
    }

    fn hash_value(&mut self, digest: &Digest) {
        self.out.push_str(form::HASH_VALUE);
        push_digest_value(self.out, digest);
        self.out.push_str(form::HASH_VALUE_END);
    }

    fn data_ref(&mut self, uri: &str, digest: &Digest) {
        self.out.push_str(form::DATA_REF);
        self.out.push_str(uri);
        self.out.push_str(form::DATA_REF_OPEN);
        push_digest_value(self.out, digest);
        self.out.push_str(form::DATA_REF_END);
    }
}
