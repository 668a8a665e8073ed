//! The chain of digests that ties the containers of an archive, and one archive to the next (`signature.md` 7.4).

use crate::crypto::{DigestAlgorithm, to_hex};
use crate::limits::ARCHIVE_ENTRIES_MAX;

/// Name of the entry that holds the chain.
pub const LINKING_INFO: &str = "linkinginfo";

/// What stands for nothing in the file; in the computation nothing is the empty string.
const NOTHING: &str = "-";

/// The content of `linkinginfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkingInfo {
    /// Last digest of the archive before, lower-case hex; empty for the first archive.
    pub previous_digest: String,
    /// File name of the archive before; empty for the first archive.
    pub previous_file: String,
    /// Digest of containers and of the chain.
    pub algorithm: DigestAlgorithm,
    /// The chain's digest after each container, lower-case hex, and the container's name.
    pub links: Vec<(String, String)>,
}

/// The next digest of a chain: over the hex text of the one before (nothing at the beginning) and of the container's.
pub fn link(algorithm: DigestAlgorithm, previous: &str, container: &[u8]) -> String {
    let own = to_hex(algorithm.digest(container).as_ref());
    to_hex(algorithm.digest(format!("{previous}{own}").as_bytes()).as_ref())
}

impl LinkingInfo {
    /// Reads the text of the entry. The error is one clause.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let [digest, file, algorithm] = head[..] else { return Err("its first line has not three fields") };
        let something = |field: &str| if field == NOTHING { String::new() } else { field.to_owned() };
        // Those that the official verifier takes.
        let algorithm = DigestAlgorithm::from_name(algorithm).filter(|known| known.length() >= 32);
        let algorithm = algorithm.ok_or("its digest is not one of SHA-256, SHA-384 and SHA-512")?;
        let mut links = Vec::new();
        for line in lines {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [digest, name] = fields[..] else { return Err("a line has not two fields") };
            if links.len() == ARCHIVE_ENTRIES_MAX {
                return Err("it has too many lines");
            }
            links.push((digest.to_owned(), name.to_owned()));
        }
        Ok(Self { previous_digest: something(digest), previous_file: something(file), algorithm, links })
    }

    /// The text of the entry.
    pub fn to_text(&self) -> String {
        let or_nothing = |field: &str| if field.is_empty() { NOTHING.to_owned() } else { field.to_owned() };
        let mut text = format!(
            "{} {} {}\n",
            or_nothing(&self.previous_digest),
            or_nothing(&self.previous_file),
            self.algorithm.name()
        );
        for (digest, name) in &self.links {
            text.push_str(&format!("{digest} {name}\n"));
        }
        text
    }

    /// The last digest of the chain, by which the next archive continues it.
    pub fn last_digest(&self) -> &str {
        self.links.last().map_or(&self.previous_digest, |(digest, _)| digest)
    }
}
