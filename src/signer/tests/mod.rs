//! Tests of tokens and of the signer.

mod tokens;
