//! What comes out of an examination.

use std::fmt;

use crate::crypto::Certificate;
use crate::message::{ClientId, XRoadError};
use crate::time::UnixTime;

/// The verdict on one container.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Why the container is not valid; `None` when it is.
    pub error: Option<XRoadError>,
    /// The client of a request or the provider of a response, whose member's certificate signed it.
    pub signer: Option<ClientId>,
    /// The signing certificate.
    pub signing_certificate: Option<Certificate>,
    /// The time of the time-stamp, at which everything was judged.
    pub time: Option<UnixTime>,
    /// The time-stamping authority.
    pub timestamp_authority: Option<Certificate>,
    /// The attachments that the signature covers, by number in ascending order.
    pub attachments: Attachments,
    /// What a reader should know of a valid container; never a reason to doubt the signature.
    pub warnings: Vec<Warning>,
}

/// The attachments that a signature covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// In the container, and what was signed.
    pub verified: Vec<u32>,
    /// Signed, but not in the container.
    pub absent: Vec<u32>,
}

impl Verdict {
    /// The verdict on something that is not valid.
    pub fn invalid(error: XRoadError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Whether the container proves what it says.
    pub fn is_valid(&self) -> bool {
        self.error.is_none()
    }
}

/// Something remarkable about valid evidence. `Display` gives its name for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Hash chain files that the signature does not refer to.
    UnusedHashChain,
    /// An entry that has no meaning in a container; nothing vouches for it.
    UnknownEntry(String),
    /// An identity header occurs more than once; the last one counted.
    DuplicateIdentityHeader,
    /// Accepted only because SHA-1 or short keys were admitted.
    LegacyAlgorithm,
    /// Accepted only because OCSP answers given after the time-stamp were admitted.
    FutureOcsp,
}

impl Warning {
    /// One sentence for people.
    pub fn explanation(&self) -> String {
        match self {
            Self::UnusedHashChain => {
                "the signature does not refer to the hash chain files in the container".to_owned()
            }
            Self::UnknownEntry(name) => format!("nothing vouches for the entry {name}"),
            Self::DuplicateIdentityHeader => {
                "a header that identifies a party occurs more than once; the last counts".to_owned()
            }
            Self::LegacyAlgorithm => {
                "accepted only because weak algorithms or keys of the past were admitted".to_owned()
            }
            Self::FutureOcsp => {
                "accepted only because OCSP answers given after the time-stamp were admitted".to_owned()
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnusedHashChain => "unused_hash_chain",
            Self::UnknownEntry(_) => "unknown_entry",
            Self::DuplicateIdentityHeader => "duplicate_identity_header",
            Self::LegacyAlgorithm => "legacy_algorithm",
            Self::FutureOcsp => "future_ocsp",
        })
    }
}
