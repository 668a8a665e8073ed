//! Merkle trees over what was signed or stamped together, and the path of one message through them.
//!
//! * [`HashTree`]: built over the leaves of a batch; writes each leaf's hash chain and the common result.
//! * [`ChainPath`]: a chain without its XML, and the same XML again.
//! * [`VerifiedNodes`]: what the paths of a batch have in common, verified once.
//! * [`verify_chain`]: checks a hash chain against its result and the parts at hand.

mod document;
mod fixed;
mod form;
mod nodes;
mod path;
mod step;
mod tree;
mod verify;

pub use nodes::VerifiedNodes;
pub use path::{ChainPath, read_result, result_xml};
pub use step::DigestList;
pub use tree::{HashTree, Leaf, TreeError};
pub use verify::{ChainError, ChainInput, ChainRequest, CoveredPart, InputValue, verify_chain};

#[cfg(test)]
mod tests;

pub(crate) const NAMESPACE: &str = "http://cyber.ee/hashchain";
