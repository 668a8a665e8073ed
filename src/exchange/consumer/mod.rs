//! The consumer's side: from an information system to the provider's security server and back.
//!
//! [`rest`] and [`soap`] are the steps of `transport.md` 5.2 in their order; [`send`] and [`receive`] are what both share.

mod receive;
mod rest;
mod send;
mod soap;

pub use rest::exchange as exchange_rest;
pub use soap::exchange as exchange_soap;
