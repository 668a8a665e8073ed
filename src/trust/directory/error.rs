//! Why a directory or a file of it was not accepted.

use crate::message::XRoadError;

/// The error of one location; the next one is tried then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DirectoryError {
    #[error("the directory cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the signature is not base64")]
    SignatureDecode,
    #[error("field \"{0}\" is missing")]
    MissingField(String),
    #[error("field \"{0}\" has the wrong value \"{1}\"")]
    WrongValue(&'static str, String),
    #[error("field \"{0}\" has no parameter \"{1}\"")]
    MissingParameter(&'static str, &'static str),
    #[error("algorithm \"{0}\" is not supported")]
    Algorithm(String),
    #[error("no certificate of this location has the hash that the directory names")]
    MissingVerificationCert,
    #[error("the signature is not valid")]
    Signature,
    #[error("the directory has expired")]
    Outdated,
    #[error("the directory has no signed content")]
    MissingSignedData,
    #[error("the directory has no expiration date, its signature is missing")]
    MissingExpirationDate,
    #[error("version \"{0}\" is not supported")]
    Version(String),
    #[error("file \"{0}\" is not the one that was signed")]
    Integrity(String),
    #[error("the file does not follow its schema: {0}")]
    Schema(String),
    #[error("the file is of another instance, \"{0}\"")]
    Instance(String),
}

impl DirectoryError {
    /// The code that official clients report.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "global_conf_parsing_downloaded_conf_directory_failure",
            Self::SignatureDecode => "global_conf_signature_decode_failure",
            Self::MissingField(_) => "global_conf_header_field_missing",
            Self::WrongValue(..) => "global_conf_header_field_wrong_value",
            Self::MissingParameter(..) => "global_conf_header_field_missing_parameter",
            Self::Algorithm(_) | Self::Version(_) => "internal_error",
            Self::MissingVerificationCert => "global_conf_missing_verification_cert",
            Self::Signature => "global_conf_signature_verification_failure",
            Self::Outdated => "global_conf_outdated",
            Self::MissingSignedData => "global_conf_missing_signed_data",
            Self::MissingExpirationDate => "global_conf_missing_signed_data_expiration_date",
            Self::Integrity(_) => "global_conf_part_downloaded_file_integrity_failure",
            Self::Schema(_) => "malformed_global_conf",
            Self::Instance(_) => "global_conf_part_invalid_instance_identifier",
        }
    }
}

impl From<DirectoryError> for XRoadError {
    fn from(error: DirectoryError) -> Self {
        Self::with_code(error.code(), error.to_string())
    }
}
