//! A whole small ecosystem on loopback, with no other software: certificate authority, OCSP responder, time-stamping
//! authority and configuration source as real servers speaking the real protocols, example services, and two or more
//! security servers as real child processes (`hermod run`) with their own directories.
//!
//! `hermod sandbox` shows it to people; integration tests start an [`Ecosystem`] of their own, stop and kill its
//! servers and switch [`Fault`]s on.
//!
//! * [`plan`], [`addresses`]: who there is and where each one listens.
//! * [`keys`], [`pki`]: keys and certificates.
//! * [`authority`], [`ocsp`], [`tsa`], [`source`], [`parameters`]: the trust services and what they publish.
//! * [`management`]: what is registered, and how it is changed.
//! * [`rest_service`], [`soap_service`], [`mime`]: the example services.
//! * [`files`], [`process`]: the directory and the process of one security server.
//! * [`ecosystem`]: all of it together.
//! * [`client`], [`messages`], [`traffic`]: messages sent through it, and the checks of their answers.
//! * [`tour`]: what a newcomer is shown.
//! * [`audit`], [`proof`], [`report`]: every exchange proved again from the logs, and what a run comes to.

pub mod addresses;
pub mod audit;
pub mod authority;
pub mod client;
pub mod ecosystem;
mod error;
pub mod files;
pub mod keys;
pub mod management;
pub mod messages;
pub mod mime;
pub mod ocsp;
pub mod options;
pub mod parameters;
pub mod pki;
pub mod plan;
pub mod process;
pub mod proof;
pub mod report;
pub mod rest_service;
pub mod soap_service;
pub mod source;
pub mod station;
pub mod tour;
pub mod traffic;
pub mod tsa;

pub use ecosystem::Ecosystem;
pub use error::SandboxError;
pub use options::{KeyType, Options, RuntimeChoice};
pub use station::{Fault, Stations};

/// Random letters and digits: boundaries, PINs, names that must not meet.
pub(crate) fn random_text(len: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";
    let mut bytes = vec![0; len];
    // Nothing secret depends on it: if the generator ever failed, the letters would be equal, not wrong.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
}

#[cfg(test)]
mod tests;
