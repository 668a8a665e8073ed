//! Nodes of one hash tree that were verified: the messages of a batch have most of their ways to the root in common.

use std::sync::Arc;

use foldhash::HashMap;

use super::{ChainPath, DigestList};
use crate::crypto::Digest;
use crate::limits::HASH_TREE_NODES_REMEMBERED_MAX;

/// Nodes by their value, each with all that stands beside its way to the root.
///
/// A path is taken as verified where it meets such a node **and** goes on from there over the same siblings; so all that it
/// says was hashed once, if not for this path.
#[derive(Debug, Default)]
pub struct VerifiedNodes(HashMap<Digest, Way>);

/// Siblings from the root down, each with whether it stands to the left: the first `length` of `above`, then `beside`.
#[derive(Debug)]
struct Way {
    above: Arc<[(Digest, bool)]>,
    length: usize,
    beside: (Digest, bool),
}

impl Way {
    fn is(&self, siblings: &[(Digest, bool)]) -> bool {
        siblings.split_last().is_some_and(|(beside, above)| {
            *beside == self.beside && self.above.get(..self.length) == Some(above)
        })
    }
}

impl VerifiedNodes {
    /// Whether the path leads to `root`, which must be the same for all paths. Remembers its nodes when it does.
    pub fn lead(&mut self, path: &ChainPath, root: &Digest) -> bool {
        let mut list = DigestList::with_capacity(4);
        let mut own = path.leaf.value(path.algorithm, &mut list);
        let mut new = Vec::with_capacity(path.siblings.len());
        let mut left = path.siblings.as_slice();
        while let Some((sibling, above)) = left.split_last() {
            if self.0.get(&own).is_some_and(|way| way.is(left)) {
                self.remember(path, new);
                return true;
            }
            new.push((own, above.len()));
            own = path.parent(&own, sibling, &mut list);
            left = above;
        }
        let leads = own == *root;
        if leads {
            self.remember(path, new);
        }
        leads
    }

    /// Nodes on the path, each with how many siblings stand above its own one; and these siblings, whose ways are no less
    /// verified.
    fn remember(&mut self, path: &ChainPath, nodes: Vec<(Digest, usize)>) {
        if nodes.is_empty() {
            return;
        }
        if self.0.len() + 2 * nodes.len() > HASH_TREE_NODES_REMEMBERED_MAX {
            self.0.clear();
        }
        let above: Arc<[(Digest, bool)]> = path.siblings.as_slice().into();
        for (node, length) in nodes {
            let Some(beside) = above.get(length).copied() else { continue };
            let (sibling, is_left) = beside;
            let way = |beside| Way { above: Arc::clone(&above), length, beside };
            self.0.insert(sibling, way((node, !is_left)));
            self.0.insert(node, way(beside));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HashTree, Leaf};
    use super::*;
    use crate::crypto::DigestAlgorithm;

    fn digest(at: usize) -> Digest {
        DigestAlgorithm::Sha512.digest(&at.to_be_bytes())
    }

    fn paths(leaves: usize) -> (Vec<ChainPath>, Digest) {
        let leaf = |at| match at % 3 {
            0 => Leaf::Single(digest(at)),
            parts => Leaf::Parts((0..=parts).map(|part| digest(1000 * part + at)).collect()),
        };
        let tree = HashTree::new((0..leaves).map(leaf).collect()).unwrap();
        ((0..tree.len()).map(|at| tree.chain_path(at)).collect(), *tree.root())
    }

    #[test]
    fn every_path_of_a_tree_leads_and_the_later_ones_are_short() {
        for leaves in [2, 3, 7, 64] {
            let (paths, root) = paths(leaves);
            let mut nodes = VerifiedNodes::default();
            for _ in 0..2 {
                paths.iter().for_each(|path| assert!(nodes.lead(path, &root)));
            }
            assert!(nodes.0.len() <= 2 * leaves, "{} nodes of {leaves} leaves", nodes.0.len());
        }
    }

    #[test]
    fn a_path_that_differs_anywhere_does_not_lead_whatever_is_known() {
        let (paths, root) = paths(16);
        let mut nodes = VerifiedNodes::default();
        paths.iter().for_each(|path| assert!(nodes.lead(path, &root)));
        for path in &paths {
            for at in 0..path.siblings.len() {
                let mut others: Vec<ChainPath> = vec![path.clone(); 4];
                others[0].siblings[at].0 = digest(77);
                others[1].siblings[at].1 ^= true;
                others[2].siblings.remove(at);
                others[3].siblings.insert(at, (digest(78), true));
                for other in others {
                    assert!(!nodes.lead(&other, &root));
                    assert_ne!(other.root(), root);
                }
            }
            let other = ChainPath { leaf: Leaf::Single(digest(79)), ..path.clone() };
            assert!(!nodes.lead(&other, &root));
        }
    }

    #[test]
    fn a_tree_with_many_leaves_takes_bounded_memory() {
        let (paths, root) = paths(HASH_TREE_NODES_REMEMBERED_MAX);
        let mut nodes = VerifiedNodes::default();
        for path in &paths {
            assert!(nodes.lead(path, &root));
            assert!(nodes.0.len() <= HASH_TREE_NODES_REMEMBERED_MAX);
        }
    }
}
