//! What is wrong with a time-stamp.

use crate::crypto::der::DerError;
use crate::message::XRoadError;

/// Why a time-stamp is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The authority refused.
    #[error("the time-stamping authority refused (status {status:02x?}): {text}")]
    NotGranted {
        /// Content octets of the status.
        status: Vec<u8>,
        /// The authority's explanation, may be empty.
        text: String,
    },
    /// The response or token cannot be read.
    #[error("malformed time-stamp: {0}")]
    Malformed(#[from] DerError),
    /// There is not exactly one signer.
    #[error("the time-stamp does not have exactly one signer")]
    SignerInfoNotFound,
    /// It stamps something else.
    #[error("the time-stamp is for other data")]
    OtherData,
    /// The global configuration lists no time-stamping authority.
    #[error("the global configuration has no time-stamping authority")]
    NoAuthority,
    /// The signer is none of the listed authorities.
    #[error("the time-stamp was not made by a time-stamping authority of the global configuration")]
    UnknownAuthority,
    /// The authority's signature, or what it covers, is wrong.
    #[error("the time-stamp's signature is not acceptable: {0}")]
    Signer(&'static str),
    /// A signature document into which no stamp can be put.
    #[error("the signature document cannot be stamped: {0}")]
    Document(&'static str),
}

impl TimestampError {
    /// The error code as official servers spell it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotGranted { .. } => "mlog.timestamp_non_granted_response",
            Self::Malformed(_) | Self::OtherData | Self::Document(_) => "malformed_signature",
            Self::SignerInfoNotFound => "mlog.timestamp_token_signer_info_not_found",
            Self::NoAuthority => "mlog.no_timestamping_provider_found",
            Self::UnknownAuthority => "mlog.tsp_certificate_not_found",
            Self::Signer(_) => "mlog.timestamp_signer_verification_failed",
        }
    }
}

impl From<TimestampError> for XRoadError {
    fn from(error: TimestampError) -> Self {
        Self::with_code(error.code(), error.to_string())
    }
}
