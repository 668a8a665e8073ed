//! This binary as a security server: `hermod run`, with a token that can be as slow as a hardware security module.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use hermod::appliance::TokenFilter;
use hermod::cli::run::{RunArgs, run_with};
use hermod::crypto::{SignError, SignatureAlgorithm, SigningKey};
use hermod::signer::{KeyPurpose, Token, TokenError, TokenKey};

/// File beside the configuration of a server: signatures per second of its token.
pub const LIMIT_FILE: &str = "signatures-per-second";

#[derive(Parser)]
#[command(name = "hermod-load")]
enum Cli {
    /// As `hermod run`
    Run(RunArgs),
}

/// Runs until told to stop.
pub fn main() -> ExitCode {
    let Cli::Run(args) = Cli::parse();
    match limit(&args.server.file) {
        0 => run_with(&args, Arc::new(|token| token)),
        limit => run_with(&args, slowed(limit)),
    }
}

fn limit(config: &Path) -> u32 {
    let text = std::fs::read_to_string(config.with_file_name(LIMIT_FILE)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn slowed(per_second: u32) -> TokenFilter {
    Arc::new(move |token| Box::new(SlowToken { token, per_second }))
}

struct SlowToken {
    token: Box<dyn Token>,
    per_second: u32,
}

impl Token for SlowToken {
    fn name(&self) -> String {
        format!("{}, {} signatures/s", self.token.name(), self.per_second)
    }

    fn keys(&self) -> Result<Vec<TokenKey>, TokenError> {
        let mut keys = self.token.keys()?;
        for key in keys.iter_mut().filter(|key| key.purpose == Some(KeyPurpose::Signing)) {
            let pause = Duration::from_secs(1) / self.per_second;
            let next = Mutex::new(Instant::now());
            key.key = Arc::new(SlowKey { key: Arc::clone(&key.key), pause, next });
        }
        Ok(keys)
    }
}

/// Signs one thing after the other, each in its time.
struct SlowKey {
    key: Arc<dyn SigningKey>,
    pause: Duration,
    next: Mutex<Instant>,
}

impl SigningKey for SlowKey {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn public_key_spki(&self) -> &[u8] {
        self.key.public_key_spki()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let done = (*next).max(Instant::now()) + self.pause;
        let signature = self.key.sign(message);
        std::thread::sleep(done.saturating_duration_since(Instant::now()));
        *next = done;
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermod::crypto::SoftwareKey;

    #[test]
    fn a_slow_key_signs_the_same_and_takes_its_time() {
        let key = Arc::new(SoftwareKey::generate_ec_p256().unwrap());
        let next = Mutex::new(Instant::now());
        let slow = SlowKey { key: key.clone(), pause: Duration::from_millis(20), next };
        let began = Instant::now();
        for _ in 0..3 {
            slow.sign(b"x").unwrap();
        }
        assert!(began.elapsed() >= Duration::from_millis(60));
        assert_eq!(slow.public_key_spki(), key.public_key_spki());
    }
}
