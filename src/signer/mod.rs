//! Tokens and the batcher.
//!
//! * A [`Token`] gives keys with their certificates: [`SoftwareToken`] is Hermod's own directory of PKCS#12
//!   files, [`OfficialToken`] reads what an official signer has. A PKCS#11 module is to be a third.
//! * [`SignerHandle`] signs for the data plane: `route` and `select` find the certificate that may be used,
//!   `batcher` makes one signature for all messages that wait for its key.

mod batcher;
mod handle;
mod keyconf;
mod pkcs12;
mod request;
mod route;
mod select;
mod statistics;
mod store;
#[cfg(test)]
mod tests;
mod token;

pub use batcher::BatchConfig;
pub use handle::{AuthIdentity, SignInfo, SignerHandle};
pub use keyconf::{ListedKey, OfficialToken, parse_keyconf};
pub use request::certificate_request;
pub use statistics::{BATCH_SIZE_CLASSES, SignerStatistics};
pub use store::{KeyAlgorithm, SoftwareToken};
pub use token::{CertificateStatus, KeyPurpose, Token, TokenCertificate, TokenError, TokenKey};
